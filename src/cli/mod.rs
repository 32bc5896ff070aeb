//! The command line: a file for each verb, and what they share.
//!
//! All but `daemon`, `demo` and `check` are clients of the socket. Data goes to standard output,
//! everything else to standard error; `--json` is a contract, prose is not.

mod add;
mod batch;
mod cancel;
mod check;
mod completions;
mod daemon;
mod demo;
mod drain;
mod each;
mod failure;
mod item;
mod jobs;
mod journal;
mod man;
mod next;
mod occurrences;
mod output;
mod pause;
mod progress;
mod reload;
mod render;
mod repair;
mod resume;
mod retry;
mod session;
mod show;
mod socket;
mod status;
mod table;
mod tasks;
mod time;
mod wait;
mod why;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::error::Exit;
use failure::Failure;
use session::Session;

/// Where the config is unless somebody says otherwise.
pub const CONFIG_DEFAULT: &str = "/etc/daybook/daybook.toml";

/// Durable cron, job queue and batch runner in one daemon
///
/// `daybook daemon` is the service, and `daybook demo` a daemon to try things out with; the other
/// commands talk to a running one over its control socket.
#[derive(Debug, Parser)]
#[command(name = "daybook", version, after_help = Exit::HELP, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// Where help shows what every command takes.
const HEADING: &str = "Common options";

/// A path that may be empty: an environment variable without a value is as good as none.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// What every command takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// The control socket of the daemon
    ///
    /// Default: the `socket` of the config.
    #[arg(long, global = true, help_heading = HEADING, value_name = "PATH", env = "DAYBOOK_SOCKET", hide_env_values = true, value_parser = path())]
    pub socket: Option<PathBuf>,
    /// The config file
    ///
    /// Default: /etc/daybook/daybook.toml.
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", env = "DAYBOOK_CONFIG", hide_env_values = true, value_parser = path())]
    pub config: Option<PathBuf>,
    /// Print JSON: one object, or for lists one object a line
    ///
    /// Times are RFC 3339 in UTC, durations are seconds. An error is one object on standard error: `code`, `title`,
    /// `detail`, `errors`, `hint`, `exit_code`.
    #[arg(long, global = true, help_heading = HEADING)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Daemon(daemon::Args),
    Demo(demo::Args),
    Check(check::Args),
    Status(status::Args),
    Repair(repair::Args),
    Reload(reload::Args),
    Drain(drain::Args),
    Add(add::Args),
    Jobs(jobs::Args),
    Show(show::Args),
    Output(output::Args),
    Why(why::Args),
    Cancel(cancel::Args),
    Retry(retry::Args),
    Progress(progress::Args),
    Batch(batch::Args),
    Item(item::Args),
    Tasks(tasks::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Next(next::Args),
    Occurrences(occurrences::Args),
    Journal(journal::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Man(man::Args),
}

/// The command line's definition, for its help.
pub fn definition() -> clap::Command {
    Arguments::command()
}

/// Runs `daybook` with these arguments, of which the first is the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Whoever wants JSON wants it of a command line that is not understood, too.
    let json = arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    let parsed = definition().try_get_matches_from(arguments).and_then(|found| Arguments::from_arg_matches(&found));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) if json && error.use_stderr() => return misused(&error).report(true),
        Err(error) if error.use_stderr() => {
            // Where nobody can be told, the exit code still tells.
            error.print().ok();
            return Exit::Usage;
        }
        // Help goes to standard output; a broken pipe there is nobody's mistake.
        Err(help) => {
            let printed = help.print().and_then(|()| io::stdout().flush());
            return printed.map_or_else(|error| Failure::from(error).report(json), |()| Exit::Done);
        }
    };
    let mut common = arguments.common;
    for path in [&mut common.socket, &mut common.config] {
        path.take_if(|path| path.as_os_str().is_empty());
    }
    let outcome = match arguments.verb {
        Verb::Daemon(args) => return daemon::run(&args, &common),
        Verb::Demo(args) => return demo::run(&args, &common),
        Verb::Check(args) => check::run(&args, &common),
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(args) => man::run(&args),
        verb => ask(verb, common),
    };
    match outcome {
        Ok(exit) => exit,
        Err(failure) => failure.report(json),
    }
}

/// A command line that is not understood: the first line says why, the rest how it is used.
fn misused(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let message = lines.next().unwrap_or_default();
    let failure = Failure::new(Exit::Usage, message.strip_prefix("error: ").unwrap_or(message));
    lines.fold(failure, Failure::because)
}

/// Runs a verb that talks to the daemon.
fn ask(verb: Verb, common: Common) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::new(Exit::Internal, "start the client").because(e.to_string()))?;
    runtime.block_on(async {
        let mut session = Session::new(common);
        let exit = dispatch(verb, &mut session).await?;
        session.out.flush()?;
        Ok(exit)
    })
}

async fn dispatch(verb: Verb, session: &mut Session) -> Result<Exit, Failure> {
    match verb {
        Verb::Daemon(_) | Verb::Demo(_) | Verb::Check(_) | Verb::Completions(_) | Verb::Man(_) => {
            unreachable!("they need no daemon and were run before")
        }
        Verb::Status(args) => status::run(args, session).await,
        Verb::Repair(args) => repair::run(args, session).await,
        Verb::Reload(args) => reload::run(args, session).await,
        Verb::Drain(args) => drain::run(args, session).await,
        Verb::Add(args) => add::run(args, session).await,
        Verb::Jobs(args) => jobs::run(args, session).await,
        Verb::Show(args) => show::run(args, session).await,
        Verb::Output(args) => output::run(args, session).await,
        Verb::Why(args) => why::run(args, session).await,
        Verb::Cancel(args) => cancel::run(args, session).await,
        Verb::Retry(args) => retry::run(args, session).await,
        Verb::Progress(args) => progress::run(args, session).await,
        Verb::Batch(args) => batch::run(args, session).await,
        Verb::Item(args) => item::run(args, session).await,
        Verb::Tasks(args) => tasks::run(args, session).await,
        Verb::Pause(args) => pause::run(args, session).await,
        Verb::Resume(args) => resume::run(args, session).await,
        Verb::Next(args) => next::run(args, session).await,
        Verb::Occurrences(args) => occurrences::run(args, session).await,
        Verb::Journal(args) => journal::run(args, session).await,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_definition_is_consistent() {
        super::definition().debug_assert();
    }
}
