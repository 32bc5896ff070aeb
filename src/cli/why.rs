//! `daybook why`

use serde::Deserialize;

use super::failure::Failure;
use super::session::Session;
use super::table::clean;
use crate::core::id::JobId;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook why 4711

Exit codes: 0 done, 1 no such job, 4 the daemon cannot be reached"#;

/// Tell why a job is not running now, or why it ran
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The job's number
    job: JobId,
}

#[derive(Deserialize)]
struct Why {
    why: String,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.get(&format!("/v1/jobs/{}/why", args.job)).await?;
    if session.json {
        session.out.line(&whole.bytes)?;
    } else {
        session.out.line(clean(&whole.read::<Why>()?.why))?;
    }
    Ok(Exit::Done)
}
