//! `daybook demo`

use std::path::PathBuf;

use super::Common;
use super::failure::Failure;
use crate::error::Exit;

/// Run a daemon to try things out with
///
/// A real daemon with the example config on a folder of its own, in which it makes a database of users
/// and a folder of log files on its first start. Needs no root and no server.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of the demo
    #[arg(long, value_name = "DIR", default_value = ".daybook-demo")]
    pub dir: PathBuf,
}

pub fn run(_: &Args, _: &Common) -> Exit {
    Failure::new(Exit::Internal, "this build has no demo").report()
}
