//! `daybook daemon`

use std::path::PathBuf;

use super::failure::Failure;
use super::{CONFIG_DEFAULT, Common};
use crate::daemon::{self, Options};
use crate::error::Exit;
use crate::history;
use crate::journal::LockError;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook daemon
  daybook daemon --config ./daybook.toml --state-dir ./state

Exit codes: 0 stopped as asked, 1 another daemon has the state folder or the socket, 3 the config is wrong, 74 disk or journal"#;

/// Run the daemon
///
/// Stays in the foreground and logs to standard error, or to the system's journal where that is the same.
/// SIGHUP reloads the config and sweeps. SIGTERM stops in good order: no new work, what runs has
/// `stop_timeout` to end, the rest is resumed by the next start. SIGINT twice stops at once.
///
/// Under systemd it says when it takes commands, keeps the status line of `systemctl status` true, feeds the
/// watchdog while its engine answers, and listens on the socket that is handed over.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The folder of the journal, the history and the outputs
    ///
    /// Default: the `state_dir` of the config.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

pub fn run(args: &Args, common: &Common) -> Exit {
    let config = common.config.clone().unwrap_or_else(|| CONFIG_DEFAULT.into());
    let options = Options { config, state_dir: args.state_dir.clone(), socket: common.socket.clone() };
    match daemon::run(&options, |_| {}) {
        Ok(()) => Exit::Done,
        Err(failure) => Failure::from(failure).report(common.json),
    }
}

impl From<daemon::Failure> for Failure {
    fn from(failure: daemon::Failure) -> Failure {
        use daemon::Failure as Why;
        let (exit, hint) = match &failure {
            Why::Config(_) => (Exit::Config, "mend the files; `daybook check` looks at them again"),
            Why::Lock(LockError::Held { .. }) => (Exit::No, "`daybook status` shows the one that runs"),
            Why::Lock(LockError::Io { .. }) => (Exit::Disk, "check the path, its owner and its mode"),
            Why::Journal(_) | Why::Recover(_) => (Exit::Disk, "`daybook journal verify` tells what is whole"),
            Why::History(history::Error::Io { .. } | history::Error::Stopped { .. }) => {
                (Exit::Disk, "mend the disk, or make room, and start it again: nothing is lost")
            }
            Why::History(_) => (Exit::Disk, "a damaged projection may be deleted: it is made again from the journal"),
            Why::Handed { .. } => {
                (Exit::Config, "`ListenStream=` of the socket unit and `socket` must be the same path")
            }
            Why::Socket { .. } => (Exit::No, "stop or move what is there, or use another `socket`"),
            Why::File { .. } => (Exit::Disk, "check the path, its owner and its mode"),
            Why::Internal(_) => (Exit::Internal, "please report this, with the lines before it"),
        };
        let text = failure.to_string();
        let (message, causes): (String, Vec<String>) = match failure {
            Why::Config(_) => ("the config has errors".to_owned(), text.lines().map(str::to_owned).collect()),
            _ => (text, Vec::new()),
        };
        causes.into_iter().fold(Failure::new(exit, message).hint(hint), Failure::because)
    }
}
