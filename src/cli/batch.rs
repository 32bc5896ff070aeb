//! `daybook batch`: a file for each of its verbs.

mod advance;
mod items;
mod list;
mod repair;
mod show;
mod source;
mod start;
mod wait;

use super::failure::Failure;
use super::session::Session;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook batch start client-auth --op on --items clients.txt --wait
  daybook batch list --state running
  daybook batch items 9 --state failed
  daybook batch repair 9 --wait

Exit codes: 0 done, 1 the answer is no, 2 wrong arguments, 4 the daemon cannot be reached"#;

/// Batches: one operation over many items
///
/// A batch is a job with items: `show`, `why`, `cancel` and `output` take its number too.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Start(start::Args),
    List(list::Args),
    Show(show::Args),
    Items(items::Args),
    Repair(repair::Args),
    Advance(advance::Args),
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Start(args) => start::run(args, session).await,
        Verb::List(args) => list::run(args, session).await,
        Verb::Show(args) => show::run(args, session).await,
        Verb::Items(args) => items::run(args, session).await,
        Verb::Repair(args) => repair::run(args, session).await,
        Verb::Advance(args) => advance::run(args, session).await,
    }
}
