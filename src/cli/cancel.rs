//! `daybook cancel`

use serde_json::json;

use super::failure::Failure;
use super::session::Session;
use crate::core::id::JobId;
use crate::core::view::JobView;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook cancel 4711
  daybook cancel 4711 --reason "sent by hand"

Exit codes: 0 it is cancelled or being ended, 1 no such job or it is finished, 4 the daemon cannot be reached"#;

/// Cancel a job
///
/// One that waits is cancelled at once. One that runs is asked to end (SIGTERM), and made to (SIGKILL)
/// if it does not.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The job's number
    job: JobId,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let body = args.reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
    let whole = session.post(&format!("/v1/jobs/{}/cancel", args.job), body.to_string()).await?;
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let job: JobView = whole.read()?;
    match job.state.is_finished() {
        true => session.out.line(format!("job {} is {}", job.id, job.state))?,
        false => session.out.line(format!("job {} is being ended", job.id))?,
    }
    Ok(Exit::Done)
}
