//! The process that looks after one attempt at a time, so that this outlives the daemon: `daybook shim`.
//!
//! The daemon writes a *run file*, takes its lock, and gives that open file and an [`Order`] to a shim that its [`nursery`]
//! has made. The shim
//! leads a session of its own, takes in orphans (subreaper), starts the job, keeps its deadline and its output bound,
//! ends all that is left of it, and writes how it ended into the run file. It holds the lock until then, so
//! there is no instant in which nobody holds the lock of an attempt that runs. Afterwards it may be given another one: see
//! [`life`].
//!
//! | run file | means |
//! |---|---|
//! | its lock is held | the shim looks after it: it is adopted |
//! | free, with an end | over: the end counts |
//! | free, without a mark | never started: it can be started now |
//! | free, with a mark and no end | the shim was killed: lost |
//!
//! Told by signals: SIGUSR1 cancels, SIGTERM ends for a shutdown, SIGUSR2 kills at once.
//!
//! No runtime and no thread is in here, and nothing of the engine: there is a shim for each attempt, and it is to
//! cost next to nothing. What the daemon does with shims stands in `exec`.

mod attempt;
mod cgroup;
mod child;
mod drain;
mod enter;
pub mod life;
pub mod limits;
pub mod line;
pub mod nursery;
mod order;
mod output;
pub(crate) mod program;
mod result;
mod run_file;
mod setup;
mod signals;
mod tree;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

pub(crate) use cgroup::remove as remove_cgroup;
pub use order::{Io, IoClass, Limit, Order, Stdin, User};
pub use run_file::{Ended, Look, Marked, RunFile, Stragglers, parse_name, path};

/// What this program does when it is started as `daybook shim [WORD]`.
pub fn run(mut words: impl Iterator<Item = OsString>) -> ExitCode {
    match words.next() {
        Some(word) if word == "drain" => drain::run(),
        Some(word) if word == "enter" => enter::run(),
        Some(word) if word == "nursery" => nursery::run(),
        Some(_) => setup::refused("`daybook shim` takes no such word"),
        None => attempt::by_hand(),
    }
}
