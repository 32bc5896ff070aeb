//! `daybook reload`

use serde::Deserialize;

use super::failure::Failure;
use super::session::Session;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook check && daybook reload

Exit codes: 0 the config is in use, 3 it has errors and the last good one stays, 4 the daemon cannot be reached"#;

/// Read the config again
///
/// If it has an error the last good config stays, the errors are printed, and the exit code is 3.
/// Running jobs are not touched. Returns when the new config is in use.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// Wait until the new config is in use, which is always done
    #[arg(long, hide = true)]
    wait: bool,
}

#[derive(Deserialize)]
struct Reloaded {
    changes: Vec<String>,
}

pub async fn run(_: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.post("/v1/reload", String::new()).await?;
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let reloaded: Reloaded = whole.read()?;
    if reloaded.changes.is_empty() {
        session.out.line("reloaded; nothing has changed")?;
        return Ok(Exit::Done);
    }
    session.out.line("reloaded")?;
    for change in reloaded.changes {
        session.out.line(format!("  {change}"))?;
    }
    Ok(Exit::Done)
}
