//! `daybook item override`

use serde_json::value::RawValue;

use super::path;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::table::clean;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook item override client:17 '{"length": 6}'

Exit codes: 0 it is on disk, 1 refused, 2 wrong arguments, 4 the daemon cannot be reached"#;

/// Give a thing parameters of its own
///
/// The handler of a batch gets them instead of the batch's, until `item restore`, or a batch that restores.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The thing's name
    key: String,
    /// Its parameters
    #[arg(value_name = "JSON", value_parser = crate::cli::add::json_text)]
    params: Box<RawValue>,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.put(&format!("{}/override", path(&args.key)), args.params.get().to_owned()).await?;
    match session.json {
        true => session.out.line(&whole.bytes)?,
        false => session.out.line(format!("{} is custom", clean(&args.key)))?,
    }
    Ok(Exit::Done)
}
