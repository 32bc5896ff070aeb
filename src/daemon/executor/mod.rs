//! Which handler runs an attempt: processes by `exec`, workers on a task of the runtime. Reports go
//! to the engine as commands.

mod attempts;
mod batch;
mod door;
mod process;
mod reports;
mod worker;

pub use attempts::Attempts;
pub use door::Door;
pub use process::UMASK;
pub use reports::{forward_commands, forward_reports};
pub use worker::database;
