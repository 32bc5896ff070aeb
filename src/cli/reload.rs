//! `daybook reload`

use serde_json::json;

use super::failure::Failure;
use super::render::{Colour, count, say};
use super::session::Session;
use crate::control::service::Reloaded;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook check && daybook reload

Exit codes: 0 the config is in use, 3 it has errors and the last good one stays, 4 the daemon cannot be reached"#;

/// Read the config again
///
/// Says what has changed. If the config has an error the last good one stays, all errors are printed, and the exit code
/// is 3; if the daemon cannot be reached it is 4. Running jobs are not touched: they go on with what they were started
/// with, and their next attempt is run as the new config says. Returns when the new config is in use.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// Return after the sweep that follows a reload
    #[arg(long)]
    wait: bool,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.post("/v1/reload", json!({ "wait": args.wait }).to_string()).await?;
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let Reloaded { changes, after_restart, warnings, sweep } = whole.read()?;
    let same = changes.is_empty() && after_restart.is_empty();
    session.out.line(if same { "reloaded; nothing has changed" } else { "reloaded" })?;
    for change in changes {
        session.out.line(format!("  {change}"))?;
    }
    for change in after_restart {
        session.out.line(format!("  {}", session.out.coloured(&change, Colour::Yellow)))?;
    }
    if let Some(sweep) = sweep {
        session.out.line(format!("swept: {}, {} fixed", count(u64::from(sweep.findings), "finding"), sweep.fixed))?;
    }
    session.out.flush()?;
    for warning in warnings {
        say(format!("warning: {warning}"));
    }
    Ok(Exit::Done)
}
