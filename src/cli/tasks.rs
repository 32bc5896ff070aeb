//! `daybook tasks`

use super::failure::Failure;
use super::render::{Colour, say};
use super::session::Session;
use super::table::{Column, Row, number, text, word};
use super::time;
use crate::control::service::TaskView;
use crate::error::Exit;

const COLUMNS: [Column; 7] =
    [text("TASK"), word("RUNS"), word("STATE"), number("RUNNING"), number("WAITING"), word("NEXT"), text("SCHEDULE")];

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook tasks
  daybook tasks --json | jq -r 'select(.paused_at).task'

Exit codes: 0 done, 4 the daemon cannot be reached"#;

/// List the tasks, with what waits and runs of each
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {}

pub async fn run(_: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.list("/v1/tasks").await?;
    if session.json {
        session.out.raw(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let tasks: Vec<TaskView> = whole.read_lines()?;
    if tasks.is_empty() {
        say("no task is defined");
        return Ok(Exit::Done);
    }
    let rows: Vec<Row> = tasks
        .iter()
        .map(|task| {
            let (state, colour) = state(task);
            let cells = [
                task.task.to_string(),
                task.handler.to_string(),
                state.to_owned(),
                task.running.to_string(),
                task.waiting.to_string(),
                task.next.map_or_else(String::new, |at| time::relative(at, whole.now)),
                task.schedule.join(", "),
            ];
            Row::new(cells).colour(2, colour)
        })
        .collect();
    session.out.table(&COLUMNS, &rows)?;
    Ok(Exit::Done)
}

fn state(task: &TaskView) -> (&'static str, Option<Colour>) {
    match (task.removed, task.paused_at) {
        (true, _) => ("removed", Some(Colour::Red)),
        (false, Some(_)) => ("paused", Some(Colour::Yellow)),
        (false, None) => ("active", None),
    }
}
