//! `daybook retry`

use super::failure::Failure;
use super::session::Session;
use crate::core::id::JobId;
use crate::core::view::JobView;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook retry 4711

Exit codes: 0 it runs or waits for a place, 1 no such job or it runs already, 4 the daemon cannot be reached"#;

/// Run a job again, now
///
/// One that waits for its next attempt, that was interrupted and is held, or that is finished: it comes
/// back from the history under its number.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The job's number
    job: JobId,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.post(&format!("/v1/jobs/{}/retry", args.job), String::new()).await?;
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let job: JobView = whole.read()?;
    session.out.line(format!("job {} is {}", job.id, job.state))?;
    Ok(Exit::Done)
}
