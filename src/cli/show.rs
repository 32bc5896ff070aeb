//! `daybook show`

use super::failure::Failure;
use super::render::{progress, state_colour};
use super::session::Session;
use super::time::{iso, length, relative};
use crate::core::id::JobId;
use crate::core::json::Json;
use crate::core::lifecycle::JobState;
use crate::core::time::Timestamp;
use crate::core::view::JobView;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook show 4711
  daybook show 4711 --json | jq .result

Exit codes: 0 done, 1 no such job, 4 the daemon cannot be reached"#;

/// Show a job
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The job's number
    job: JobId,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.get(&format!("/v1/jobs/{}", args.job)).await?;
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let job: JobView = whole.read()?;
    let state = match state_colour(job.state) {
        Some(colour) => session.out.coloured(job.state.name(), colour),
        None => job.state.to_string(),
    };
    session.out.facts(&facts(&job, state, whole.now))?;
    Ok(Exit::Done)
}

fn facts(job: &JobView, state: String, now: Timestamp) -> Vec<(&'static str, String)> {
    let at = |at: Option<Timestamp>| at.map_or_else(String::new, |at| format!("{} ({})", iso(at), relative(at, now)));
    // What others have written may hold commands to the terminal.
    let clean = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    let text = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().chars().map(clean).collect::<String>();
    let ran = match (job.started_at, job.finished_at) {
        (Some(started), Some(finished)) => length(finished.since(started)),
        _ => String::new(),
    };
    vec![
        ("job", job.id.to_string()),
        ("task", job.task.to_string()),
        ("state", if job.orphaned { format!("{state}, orphaned: its task is no longer in the config") } else { state }),
        ("attempts", job.attempts.to_string()),
        ("priority", job.priority.to_string()),
        ("key", text(&job.key)),
        ("args", if job.args == Json::null() { String::new() } else { job.args.as_str().to_owned() }),
        ("progress", progress(&job.progress)),
        ("result", job.result.as_ref().map_or_else(String::new, |result| result.as_str().to_owned())),
        (if job.state == JobState::Completed { "note" } else { "error" }, text(&job.error)),
        ("occurrence", at(job.scheduled_at)),
        ("created", at(Some(job.created_at))),
        ("due", at(Some(job.due_at))),
        ("started", at(job.started_at)),
        ("finished", at(job.finished_at)),
        ("ran for", ran),
    ]
}
