//! `daybook batch list`

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::failure::Failure;
use crate::cli::render::{say, state_colour};
use crate::cli::session::Session;
use crate::cli::table::{Row, number, text, word};
use crate::cli::time::relative;
use crate::control::batches::BatchView;
use crate::control::client::escaped;
use crate::core::id::JobId;
use crate::core::lifecycle::JobState;
use crate::core::time::Timestamp;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook batch list
  daybook batch list --state retryable,discarded --json

Exit codes: 0 done, also if there are none; 4 the daemon cannot be reached"#;

/// List batches, newest first
///
/// Live ones, and those that are over and whose items are still known; `daybook jobs --task TASK` lists older ones.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// Only batches in this state (can be repeated, or several separated by commas)
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state(), hide_possible_values = true)]
    state: Vec<JobState>,
    /// Only batches of this task
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    limit: u64,
    /// Only batches with smaller numbers than this one
    #[arg(long, value_name = "B")]
    after: Option<JobId>,
}

/// One of the states: shells complete them.
fn state() -> impl TypedValueParser<Value = JobState> {
    PossibleValuesParser::new(JobState::ALL.map(JobState::name)).try_map(|name| name.parse::<JobState>())
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let mut path = format!("/v1/batches?limit={}", args.limit);
    args.state.iter().for_each(|state| path.push_str(&format!("&state={state}")));
    args.task.iter().for_each(|task| path.push_str(&format!("&task={}", escaped(task))));
    args.after.iter().for_each(|after| path.push_str(&format!("&after={after}")));
    let page = session.list(&path).await?;
    if session.json {
        session.out.raw(&page.bytes)?;
        return Ok(Exit::Done);
    }
    let batches: Vec<BatchView> = page.read_lines()?;
    if batches.is_empty() {
        say("no such batches");
        return Ok(Exit::Done);
    }
    let rows: Vec<Row> = batches.iter().map(|batch| row(batch, page.now)).collect();
    let columns = [
        number("BATCH"),
        text("TASK"),
        word("OP"),
        word("STATE"),
        number("DONE"),
        number("TOTAL"),
        number("FAILED"),
        number("REPAIRS"),
        word("WHEN"),
    ];
    session.out.table(&columns, &rows)?;
    Ok(Exit::Done)
}

fn row(batch: &BatchView, now: Timestamp) -> Row {
    let when = match (batch.finished_at, batch.started_at) {
        (Some(at), _) => format!("ended {}", relative(at, now)),
        (None, Some(at)) => format!("started {}", relative(at, now)),
        (None, None) => format!("added {}", relative(batch.created_at, now)),
    };
    let cells = [
        batch.id.to_string(),
        batch.task.to_string(),
        batch.op.as_deref().unwrap_or_default().to_owned(),
        batch.state.to_string(),
        batch.finished().to_string(),
        batch.total.to_string(),
        batch.failed.to_string(),
        batch.repairs.to_string(),
        when,
    ];
    Row::new(cells).colour(3, state_colour(batch.state))
}
