//! `daybook item check`

use super::path;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::table::clean;
use crate::control::batches::ThingView;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook item check client:17 && delete-client 17
  daybook item check client:17 --json | jq .held_by

Exit codes: 0 nobody handles it, 1 somebody does, 4 the daemon cannot be reached"#;

/// Say whether a thing may be changed or deleted from outside, and if not, who handles it
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The thing's name
    key: String,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.get(&path(&args.key)).await?;
    let thing: ThingView = whole.read()?;
    if session.json {
        session.out.line(&whole.bytes)?;
    } else {
        let word = if thing.free { "free" } else { "held" };
        let custom = if thing.own.is_some() { "; it has an override" } else { "" };
        session.out.line(format!("{} is {word}: {}{custom}", clean(&thing.key), clean(&thing.reason)))?;
    }
    Ok(if thing.free { Exit::Done } else { Exit::No })
}
