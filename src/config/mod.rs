//! The config: which keys there are, how files are read and checked, what changed on a reload.
//!
//! [`load`] reads the main file and its includes and answers a [`Config`] in which everything has
//! been checked, or [`Errors`]: all of them at once, each with its place. Nothing here starts, opens
//! or connects to anything; what a value means to the daemon is its reader's business.
//!
//! The tables in [`keys`] are the one source of names, bounds, defaults and their explanation: the
//! reader checks by them, hints are drawn from them, and `etc/daybook.toml` is printed from them.

mod differences;
pub mod keys;
mod load;
mod model;
mod outside;
mod page;
mod problem;
mod raw;
mod reference;
mod source;
mod state_folder;
mod table;
mod task;
mod trust;
mod value;

pub use differences::{after_restart, differences};
pub use load::{check_text, load};
pub use model::{Config, Keep, LogFormat, LogLevel, Logs};
pub use page::reference_page;
pub use problem::{Errors, Problem};
pub use reference::example_file;
pub use state_folder::is_of_the_system;
pub use task::{
    Action, Batch, Each, Environment, Handler, Hours, ItemSource, Process, Rate, Task, UMASK_DEFAULT, WorkerConfig,
};
