//! `daybook jobs`

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Deserialize;

use super::failure::Failure;
use super::render;
use super::render::say;
use super::session::Session;
use crate::control::client::{Error, escaped};
use crate::core::id::JobId;
use crate::core::lifecycle::JobState;
use crate::core::view::JobView;
use crate::error::Exit;

/// Jobs that are asked for in one request.
const PAGE: usize = 10_000;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook jobs --state running
  daybook jobs --state discarded --since 1d
  daybook jobs --task mail --limit 1000 --json

Exit codes: 0 done, also if there are none; 4 the daemon cannot be reached"#;

/// List jobs, newest first
///
/// Live jobs and those in the history. Without options, the last 100.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// Only jobs in this state (can be repeated, or several separated by commas)
    ///
    /// scheduled, available, running, retryable and interrupted are live; completed, discarded and cancelled are
    /// in the history.
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state(), hide_possible_values = true)]
    state: Vec<JobState>,
    /// Only jobs of this task
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Only jobs whose task is no longer in the config
    #[arg(long)]
    orphaned: bool,
    /// Only jobs added within this time (`2h`) or since an instant (RFC 3339)
    #[arg(long, value_name = "D")]
    since: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Only jobs with smaller numbers than this one
    #[arg(long, value_name = "JOB")]
    after: Option<JobId>,
}

/// One of the states: shells complete them.
fn state() -> impl TypedValueParser<Value = JobState> {
    PossibleValuesParser::new(JobState::ALL.map(JobState::name)).try_map(|name| name.parse::<JobState>())
}

/// What is needed of a line that is passed on as it is.
#[derive(Deserialize)]
struct Numbered {
    id: JobId,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let mut after = args.after;
    let mut left = args.limit as usize;
    let (mut shown, mut now) = (Vec::<JobView>::new(), None);
    while left > 0 {
        let asked = left.min(PAGE);
        let page = session.list(&path(&args, after, asked)).await?;
        let lines: Vec<&[u8]> = page.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        if let Some(last) = lines.last() {
            after = Some(serde_json::from_slice::<Numbered>(last).map_err(Error::Garbled)?.id);
        }
        let found = lines.len();
        if session.json {
            session.out.raw(&page.bytes)?;
        } else {
            shown.extend(page.read_lines::<JobView>()?);
        }
        now.get_or_insert(page.now);
        left = if found < asked { 0 } else { left - found };
    }
    if session.json {
        return Ok(Exit::Done);
    }
    match now {
        Some(now) if !shown.is_empty() => render::jobs(&mut session.out, &shown, now)?,
        _ => say("no such jobs"),
    }
    Ok(Exit::Done)
}

fn path(args: &Args, after: Option<JobId>, limit: usize) -> String {
    let mut path = format!("/v1/jobs?limit={limit}");
    for state in &args.state {
        path.push_str(&format!("&state={state}"));
    }
    for (name, value) in [("task", &args.task), ("since", &args.since)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    if args.orphaned {
        path.push_str("&orphaned=1");
    }
    if let Some(after) = after {
        path.push_str(&format!("&after={after}"));
    }
    path
}
