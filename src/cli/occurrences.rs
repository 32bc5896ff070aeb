//! `daybook occurrences`

use super::failure::Failure;
use super::render::{outcome_colour, say};
use super::session::Session;
use super::table::{Row, number, text, word};
use super::time;
use crate::control::client::escaped;
use crate::core::view::OccurrenceView;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook occurrences backup
  daybook occurrences backup --since 7d --json

Exit codes: 0 done, 1 no such task, 4 the daemon cannot be reached"#;

/// List what became of a task's occurrences, newest first
///
/// Every occurrence has one row: it ran, was skipped, was merged into a later one, or was missed, and why.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The task's name
    task: String,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    limit: u64,
    /// Only those within this time (`2h`), or since an instant (RFC 3339)
    #[arg(long, value_name = "D")]
    since: Option<String>,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let mut path = format!("/v1/tasks/{}/occurrences?limit={}", escaped(&args.task), args.limit);
    if let Some(since) = &args.since {
        path.push_str(&format!("&since={}", escaped(since)));
    }
    let whole = session.list(&path).await?;
    if session.json {
        session.out.raw(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let occurrences: Vec<OccurrenceView> = whole.read_lines()?;
    if occurrences.is_empty() {
        say(format!("no occurrence of task {} is known", args.task));
        return Ok(Exit::Done);
    }
    let rows: Vec<Row> = occurrences
        .iter()
        .map(|it| {
            let job = it.job.map_or_else(String::new, |job| job.to_string());
            let cells = [time::iso(it.at), it.outcome.name().to_owned(), job, it.reason.to_string()];
            Row::new(cells).colour(1, outcome_colour(it.outcome))
        })
        .collect();
    session.out.table(&[word("AT"), word("OUTCOME"), number("JOB"), text("REASON")], &rows)?;
    Ok(Exit::Done)
}
