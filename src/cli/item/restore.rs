//! `daybook item restore`

use super::path;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::table::clean;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook item restore client:17

Exit codes: 0 it is on disk, 1 it has no override, 4 the daemon cannot be reached"#;

/// Return a thing to the default: clear its override
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The thing's name
    key: String,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.delete(&format!("{}/override", path(&args.key))).await?;
    match session.json {
        true => session.out.line(&whole.bytes)?,
        false => session.out.line(format!("{} is back at the default", clean(&args.key)))?,
    }
    Ok(Exit::Done)
}
