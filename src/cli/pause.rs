//! `daybook pause`

use super::failure::Failure;
use super::session::Session;
use crate::control::client::escaped;
use crate::control::service::TaskView;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook pause backup

Exit codes: 0 it is paused, 1 no such task or it is paused already, 4 the daemon cannot be reached"#;

/// Pause a task: nothing of it starts until it is resumed
///
/// What runs goes on. Jobs can still be added; they wait. Occurrences that fall into the pause are noted as
/// missed, and made up for by the task's policy.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The task's name
    task: String,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.post(&format!("/v1/tasks/{}/pause", escaped(&args.task)), String::new()).await?;
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let task: TaskView = whole.read()?;
    session.out.line(format!("task {} is paused; {} wait, {} run", task.task, task.waiting, task.running))?;
    Ok(Exit::Done)
}
