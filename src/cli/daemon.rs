//! `daybook daemon`

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use clap::builder::TypedValueParser;

use super::failure::Failure;
use super::{CONFIG_DEFAULT, Common};
use crate::config::is_of_the_system;
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
    #[arg(long, value_name = "DIR", value_parser = super::path().try_map(own_folder))]
    pub state_dir: Option<PathBuf>,
}

fn own_folder(folder: PathBuf) -> Result<PathBuf, &'static str> {
    match is_of_the_system(&folder) {
        true => Err("it belongs to the system; give Daybook a folder of its own"),
        false => Ok(folder),
    }
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
        let hint = because_of_the_disk(&failure).unwrap_or(hint);
        let text = failure.to_string();
        let (message, causes): (String, Vec<String>) = match failure {
            Why::Config(_) => ("the config has errors".to_owned(), text.lines().map(str::to_owned).collect()),
            _ => (text, Vec::new()),
        };
        causes.into_iter().fold(Failure::new(exit, message).hint(hint), Failure::because)
    }
}

/// What to do where the operating system has said that the disk is the reason.
fn because_of_the_disk(failure: &daemon::Failure) -> Option<&'static str> {
    let kind = failure.source().and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    // What has come through the store is text only.
    let text = failure.to_string();
    match kind {
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Some(FULL),
        None if text.contains("os error 28") || text.contains("os error 122") => Some(FULL),
        Some(ErrorKind::ReadOnlyFilesystem) => Some(READ_ONLY),
        None if text.contains("os error 30") => Some(READ_ONLY),
        Some(ErrorKind::PermissionDenied) => {
            Some("the daemon's user must own the state folder and be able to enter it")
        }
        _ => None,
    }
}

const FULL: &str = "the disk is full: make room and start it again, nothing acknowledged is lost. Files below `outputs` in the state \
                    folder may be deleted; `journal` and `checkpoint` may not";
const READ_ONLY: &str = "the disk is read-only: mount it for writing and start it again, nothing acknowledged is lost";

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn hint(failure: daemon::Failure) -> String {
        Failure::from(failure).hint.unwrap()
    }

    #[test]
    fn a_disk_that_is_full_or_read_only_is_named_as_the_reason() {
        let error = |errno: rustix::io::Errno| io::Error::from(errno);
        let file = |errno| daemon::Failure::File {
            what: "cannot make the folder",
            path: "state".into(),
            source: error(errno),
        };
        assert!(hint(file(rustix::io::Errno::NOSPC)).contains("make room"));
        assert!(hint(file(rustix::io::Errno::ROFS)).contains("read-only"));
        assert!(hint(file(rustix::io::Errno::ACCESS)).contains("must own"));
        assert!(hint(file(rustix::io::Errno::NOTDIR)).contains("check the path"));
        let journal = |errno| crate::journal::Error::Io {
            what: "write",
            path: Path::new("journal").into(),
            source: error(errno),
        };
        assert!(hint(journal(rustix::io::Errno::NOSPC).into()).contains("make room"));
        assert!(hint(journal(rustix::io::Errno::IO).into()).contains("journal verify"));
        let stopped = history::Error::Stopped { reason: error(rustix::io::Errno::NOSPC).to_string() };
        assert!(hint(stopped.into()).contains("make room"));
    }
}
