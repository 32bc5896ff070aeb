//! `daybook next`

use super::failure::Failure;
use super::render::say;
use super::session::Session;
use super::table::{Row, text, word};
use super::time;
use crate::control::client::escaped;
use crate::control::service::Coming;
use crate::core::time::Timestamp;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook next
  daybook next backup --count 3
  daybook next backup --from 2026-10-24T00:00:00Z

Exit codes: 0 done, 1 no such task, 4 the daemon cannot be reached"#;

/// List coming occurrences
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// Only of this task
    task: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    count: u64,
    /// Those after this instant (RFC 3339)
    ///
    /// Default: now.
    #[arg(long, value_name = "T")]
    from: Option<Timestamp>,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let mut path = match &args.task {
        Some(task) => format!("/v1/tasks/{}/next?count={}", escaped(task), args.count),
        None => format!("/v1/next?count={}", args.count),
    };
    if let Some(from) = args.from {
        path.push_str(&format!("&from={}", escaped(&from.to_string())));
    }
    let whole = session.list(&path).await?;
    if session.json {
        session.out.raw(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let coming: Vec<Coming> = whole.read_lines()?;
    if coming.is_empty() {
        say("nothing is scheduled");
        return Ok(Exit::Done);
    }
    let rows: Vec<Row> = coming
        .iter()
        .map(|it| Row::new([time::iso(it.at), it.task.to_string(), time::relative(it.at, whole.now)]))
        .collect();
    session.out.table(&[word("AT"), text("TASK"), word("WHEN")], &rows)?;
    Ok(Exit::Done)
}
