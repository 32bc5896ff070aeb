//! Runs the attempts of jobs as processes, and reports back.
//!
//! [`Processes`] is told to start and to stop attempts, and answers each with [`Report`]s; [`Outputs`] keeps
//! what they print. Each attempt is looked after by a process of its own, its [`shim`](crate::shim), which goes on
//! when the daemon ends: [`earlier`] finds them again. [`Identity`] ends what a shim that was killed has left running.
//! Nothing in here changes a job's state: a report is a message, and what it means is decided elsewhere.

mod adopt;
pub mod cgroups;
mod env_file;
mod environment;
mod error;
mod group;
mod horizon;
mod identity;
mod launch;
mod lines;
mod lost;
mod nursery;
mod output;
mod process;
mod processes;
mod prune;
mod report;
mod result;
mod shims;
mod spec;
mod strays;
mod system;
mod user;

pub use adopt::{Alive, Earlier, What, earlier};
pub use env_file::read as read_env_file;
pub use environment::PATH as PATH_DEFAULT;
pub use error::Error;
pub(crate) use group::Stat;
pub use horizon::Horizon;
pub use identity::{Identity, Leftover};
pub use launch::OWN_PROGRAM;
pub use lines::Lines;
pub use lost::end_lost;
pub use output::{Follow, Outputs};
pub use processes::{Place, Processes};
pub use prune::{OutputFile, Pruned};
pub use report::{Ended, Exit, Outcome, OutputSize, Report, Stop};
pub(crate) use result::{DROPPED as RESULT_DROPPED, bytes as result_bytes};
pub use spec::{Program, Spec, Start};
pub use strays::{any_strays, count_strays, end_strays};
pub use system::is_going_down;
pub use user::{Account, RunAs, find_group, find_user};

pub use crate::shim::program::find as find_program;
