//! The pure core: what Daybook decides, and nothing of how it is done.
//!
//! No I/O, no clock, no randomness, no async in here, and no import from the rest of the crate.
//! Same state and same commands in, same events out, to the byte: the simulator, the crash
//! tests and `daybook journal verify` all rest on that. `tests/tidy.rs` holds the rule.

pub mod codec;
pub mod command;
pub mod decide;
pub mod effect;
pub mod event;
pub mod id;
pub mod indices;
pub mod item;
pub mod json;
pub mod lifecycle;
pub mod limits;
pub mod policy;
pub mod projection;
pub mod rejection;
pub mod repair;
pub mod retry;
pub mod schedule;
pub mod state;

mod subject;
pub mod texts;
pub mod time;
pub mod view;
pub mod why;
