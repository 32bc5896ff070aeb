//! The sole owner of the state: commands in, one commit for many, answers and orders out after the flush.
//!
//! Nothing outside changes the state; nothing in here runs a process or answers HTTP.

mod alarm;
pub mod archive;
pub mod calendar;
pub mod checkpoint;
pub mod handle;
pub mod machine;
pub mod recent;
pub mod recover;
pub mod release;
pub mod run;
pub mod sweep;

pub use handle::{Gone, Handle, Refusal};
pub use release::Committed;
pub use sweep::Sweep;
