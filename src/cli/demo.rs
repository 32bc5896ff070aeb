//! `daybook demo`

use std::fmt;
use std::path::{Path, PathBuf};

use super::Common;
use super::failure::Failure;
use super::render::say;
use crate::daemon::{self, Options};
use crate::demo::{self, Demo};
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook demo
  daybook demo --dir /tmp/demo

Exit codes: as of `daybook daemon`"#;

/// Run a daemon to try things out with
///
/// A real daemon with the example config on a folder of its own, in which it makes a database of users
/// and a folder of log files on its first start. Needs no root and no server.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The folder of the demo
    #[arg(long, value_name = "DIR", default_value = ".daybook-demo")]
    pub dir: PathBuf,
}

pub fn run(args: &Args, common: &Common) -> Exit {
    start(args).unwrap_or_else(|failure| failure.report(common.json))
}

fn start(args: &Args) -> Result<Exit, Failure> {
    let daybook = std::env::current_exe()
        .map_err(|error| Failure::new(Exit::Internal, "failed to find this program").because(error.to_string()))?;
    let demo = demo::prepare(&args.dir, &daybook).map_err(|error| {
        Failure::new(Exit::Disk, format!("failed to {error}")).hint("give another folder with `--dir`")
    })?;
    let options = Options { config: demo.config.clone(), state_dir: None, socket: None };
    daemon::run(&options, |_| say(Welcome { demo: &demo, daybook: &daybook }))?;
    Ok(Exit::Done)
}

/// What is going on, and what to try next.
struct Welcome<'a> {
    demo: &'a Demo,
    daybook: &'a Path,
}

impl fmt::Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dir, socket, daybook) = (self.demo.dir.display(), self.demo.socket.display(), self.daybook.display());
        writeln!(
            f,
            "\nDaybook runs in {dir}. On its first start it passivates the users of app.db that were not seen"
        )?;
        writeln!(
            f,
            "for 30 days and deletes old files in logs/, then again each hour. Every ten seconds a shell task"
        )?;
        writeln!(f, "says that it is there. In another terminal:\n")?;
        writeln!(f, "  export DAYBOOK_SOCKET={socket}")?;
        writeln!(f, "  alias daybook={daybook}")?;
        writeln!(f, "  daybook status                            # is it well, what runs, what comes next")?;
        writeln!(
            f,
            "  daybook jobs                              # what ran; `daybook output 1` shows what it printed"
        )?;
        writeln!(f, "  daybook occurrences heartbeat             # every occurrence, and what became of it")?;
        writeln!(f, "  daybook add greet --arg name=Ada --wait   # a one-shot job, with progress and a result\n")?;
        writeln!(f, "Kill it with `kill -9 {}` and start it again: it goes on. Ctrl-C stops it.", std::process::id())
    }
}
