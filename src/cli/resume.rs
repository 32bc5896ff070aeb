//! `daybook resume`

use super::failure::Failure;
use super::session::Session;
use crate::control::client::escaped;
use crate::control::service::TaskView;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook resume backup

Exit codes: 0 it goes on, 1 no such task or it is not paused, 4 the daemon cannot be reached"#;

/// Resume a paused task
///
/// Its jobs start again, and occurrences that fell into the pause are made up for by the task's policy.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The task's name
    task: String,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.post(&format!("/v1/tasks/{}/resume", escaped(&args.task)), String::new()).await?;
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let task: TaskView = whole.read()?;
    session.out.line(format!("task {} goes on; {} wait, {} run", task.task, task.waiting, task.running))?;
    Ok(Exit::Done)
}
