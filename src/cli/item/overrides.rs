//! `daybook item overrides`

use crate::cli::failure::Failure;
use crate::cli::render::say;
use crate::cli::session::Session;
use crate::cli::table::{Row, text, word};
use crate::cli::time::relative;
use crate::control::batches::OverrideView;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook item overrides
  daybook item overrides --json | jq -r .key

Exit codes: 0 done, also if there are none; 4 the daemon cannot be reached"#;

/// List the things that have parameters of their own, by name
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {}

pub async fn run(_: Args, session: &mut Session) -> Result<Exit, Failure> {
    let list = session.list("/v1/overrides").await?;
    if session.json {
        session.out.raw(&list.bytes)?;
        return Ok(Exit::Done);
    }
    let overrides: Vec<OverrideView> = list.read_lines()?;
    if overrides.is_empty() {
        say("no overrides");
        return Ok(Exit::Done);
    }
    let row = |own: &OverrideView| {
        Row::new([own.key.to_string(), relative(own.since, list.now), own.params.as_str().to_owned()])
    };
    let rows: Vec<Row> = overrides.iter().map(row).collect();
    session.out.table(&[text("KEY"), word("SINCE"), text("PARAMS")], &rows)?;
    Ok(Exit::Done)
}
