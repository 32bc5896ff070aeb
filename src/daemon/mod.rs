//! The daemon: wires the parts together, starts them in order, and stops them in order.
//!
//! Start: config, lock, journal, history, replay, leftovers of a killed daemon, socket, first commit
//! (interrupts what was running, sweeps), then the doors open. Stop: no more attempts, wait
//! for those that run, end the rest, last commit, everything on disk.

mod adopt;
mod app;
pub mod batch;
mod batches;
mod begin;
mod executor;
mod housekeeping;
mod lists;
mod manager;
mod options;
mod passes;
mod progress;
mod retention;
mod service;
mod signals;
mod socket;
mod start;
mod status;
mod summary;
mod sweep;
mod verify;

pub use options::Options;
pub use start::{Failure, run, run_with_executor};
pub use verify::{Verified, verify_offline};
