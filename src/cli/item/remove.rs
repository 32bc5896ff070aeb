//! `daybook item remove`

use serde::Deserialize;

use super::path;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::table::clean;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook item remove client:17

Exit codes: 0 it is on disk, 1 somebody handles it, 4 the daemon cannot be reached"#;

/// Take a thing out of all batches in which it waits
///
/// They pass it over and count it as skipped. Its override is cleared. Refused while somebody handles it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The thing's name
    key: String,
}

#[derive(Deserialize)]
struct Removed {
    batches: u64,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.delete(&path(&args.key)).await?;
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let Removed { batches } = whole.read()?;
    let key = clean(&args.key);
    session.out.line(match batches {
        0 => format!("{key} waits in no batch"),
        1 => format!("{key} was taken out of 1 batch"),
        many => format!("{key} was taken out of {} batches", many),
    })?;
    Ok(Exit::Done)
}
