//! `daybook item`: a file for each of its verbs.

mod check;
mod overrides;
mod remove;
mod restore;
mod set;

use super::failure::Failure;
use super::session::Session;
use crate::control::client::escaped;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook item check client:17 && delete-client 17
  daybook item override client:17 '{"length": 6}'
  daybook item overrides

Exit codes: 0 done, 1 the answer is no, 2 wrong arguments, 4 the daemon cannot be reached"#;

/// Things that items of batches and jobs are about
///
/// KEY is the name that a task's `lock` makes of an item, such as `client:17`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Check(check::Args),
    Override(set::Args),
    Restore(restore::Args),
    Overrides(overrides::Args),
    Remove(remove::Args),
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Check(args) => check::run(args, session).await,
        Verb::Override(args) => set::run(args, session).await,
        Verb::Restore(args) => restore::run(args, session).await,
        Verb::Overrides(args) => overrides::run(args, session).await,
        Verb::Remove(args) => remove::run(args, session).await,
    }
}

/// Where the API has a thing.
fn path(key: &str) -> String {
    format!("/v1/items/{}", escaped(key))
}
