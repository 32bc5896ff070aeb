//! `daybook progress`

use serde_json::json;

use super::failure::Failure;
use super::session::Session;
use crate::core::id::JobId;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook progress 30 100 "sending"
  daybook progress 3000 0 --job 4711

Exit codes: 0 noted, 1 the job does not run, 4 the daemon cannot be reached"#;

/// Tell how far a job is, from inside it
///
/// The job and the socket are taken from the environment that the daemon gives to every job.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// How much is done
    current: u64,
    /// How much there is to do; 0 if it is not known
    total: u64,
    /// What is being done
    message: Option<String>,
    /// The job's number
    #[arg(long, value_name = "JOB", env = "DAYBOOK_JOB", hide_env_values = true)]
    job: JobId,
    /// The attempt that tells it
    #[arg(long, value_name = "N", env = "DAYBOOK_ATTEMPT", hide_env_values = true, hide = true)]
    attempt: Option<u32>,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let mut body = json!({ "current": args.current, "total": args.total });
    if let Some(message) = args.message {
        body["message"] = message.into();
    }
    if let Some(attempt) = args.attempt {
        body["attempt"] = attempt.into();
    }
    let whole = session.post(&format!("/v1/jobs/{}/progress", args.job), body.to_string()).await?;
    if session.json {
        session.out.line(&whole.bytes)?;
    }
    Ok(Exit::Done)
}
