//! `daybook daemon`

use std::path::PathBuf;

use super::Common;
use super::failure::Failure;
use crate::error::Exit;

/// Run the daemon
///
/// Stays in the foreground and logs to standard error. SIGHUP reloads the config and sweeps. SIGTERM
/// stops in good order: no new work, what runs has `stop_timeout` to end, the rest is resumed by the
/// next start. SIGINT twice stops at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of the journal, the history and the outputs
    ///
    /// Default: the `state_dir` of the config.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

pub fn run(_: &Args, _: &Common) -> Exit {
    Failure::new(Exit::Internal, "this build has no daemon").report()
}
