//! Runs the attempts of jobs as processes, and reports back.
//!
//! [`Processes`] is told to start and to stop attempts, and answers each with [`Report`]s; [`Outputs`] keeps
//! what they print. [`Identity`] finds again, and ends, what a daemon that died has left running.
//! Nothing in here changes a job's state: a report is a message, and what it means is decided elsewhere.
//!
//! What a stop, a timeout and a leftover have in common: the *process group* of the attempt gets SIGTERM, then,
//! after the grace, SIGKILL. A process that leaves its group (`setsid`) is out of reach here.

mod capture;
pub mod cgroups;
mod env_file;
mod environment;
mod error;
mod group;
mod horizon;
mod identity;
mod lines;
mod output;
mod process;
mod processes;
mod prune;
mod report;
mod result;
mod spawn;
mod spec;
mod strays;
mod user;

pub use env_file::read as read_env_file;
pub use environment::PATH as PATH_DEFAULT;
pub use error::Error;
pub use horizon::Horizon;
pub use identity::{Identity, Leftover};
pub use lines::Lines;
pub use output::{Follow, Outputs};
pub use processes::Processes;
pub use prune::{OutputFile, Pruned};
pub use report::{Ended, Exit, Outcome, OutputSize, Report, Stop};
pub use spec::{Program, Spec, Start};
pub use strays::{count_strays, end_strays};
pub use user::{Account, RunAs, find_group, find_user};

pub use crate::shim::program::find as find_program;
