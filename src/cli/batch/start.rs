//! `daybook batch start`

use std::path::PathBuf;

use serde_json::json;
use serde_json::value::RawValue;

use super::{source, wait};
use crate::cli::failure::Failure;
use crate::cli::render::{count, say};
use crate::cli::session::Session;
use crate::control::batches::Started;
use crate::control::client::escaped;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook batch start client-auth --op on --items clients.txt
  psql -Atc 'select id from client' | daybook batch start client-auth --op modify --params '{"length": 8}' --items - --wait
  daybook batch start nightly-reward --key reward-2026-11-21

Exit codes: 0 it is on disk (with --wait: it completed), 1 refused (or not completed), 2 wrong arguments, 4 the daemon cannot be reached"#;

/// Start a batch
///
/// Prints its number once it and all of its items are on disk. Items that are given more than once are handled once.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The task's name
    task: String,
    /// One item a line, or a JSON array, in FILE, or in standard input for `-`
    ///
    /// A line is an item as it is; in an array items are strings, numbers or objects. Tasks that read their items
    /// themselves take none.
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    /// Which of the task's operations is carried out
    #[arg(long, value_name = "NAME")]
    op: Option<String>,
    /// What the handler gets for every item that has no override, as JSON
    #[arg(long, value_name = "JSON", value_parser = super::super::add::json_text)]
    params: Option<Box<RawValue>>,
    /// Ignore overrides, and clear that of each item once it is done
    #[arg(long)]
    restore: bool,
    /// A key that makes starting happen once
    #[arg(long, value_name = "K")]
    key: Option<String>,
    /// 0 to 9, 9 first
    ///
    /// Default: the task's own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    /// Wait until its run is over; exits with 1 unless it completed
    #[arg(long)]
    wait: bool,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = match &args.items {
        None => session.post("/v1/batches", body(&args)?).await?,
        Some(file) => {
            let source = source::open(file)?;
            let given = session.post_stream(&path(&args), source.kind, source.pieces).await;
            given.map_err(|failure| source.failure.or(failure))?
        }
    };
    let started: Started = whole.read()?;
    if args.wait {
        return wait::until_over(started.id, session).await;
    }
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    session.out.line(started.id.to_string())?;
    match (started.created, started.items) {
        (false, _) => say("it was there already"),
        (true, Some(items)) if started.duplicates > 0 => {
            let more = format!("{} given more than once", count(started.duplicates, "line"));
            say(format!("{}, {more}", count(items, "item")));
        }
        (true, Some(items)) => say(count(items, "item")),
        (true, None) => {}
    }
    Ok(Exit::Done)
}

fn body(args: &Args) -> Result<String, Failure> {
    let Args { task, op, params, restore, key, priority, .. } = args;
    let body = json!({ "task": task, "op": op, "restore": restore, "key": key, "priority": priority });
    let body = body.to_string();
    // The parameters are passed on as they are written.
    let params = params.as_ref().map_or("null", |params| params.get());
    Ok(format!("{},\"params\":{params}}}", body.trim_end_matches('}')))
}

/// The query has what is not the items.
fn path(args: &Args) -> String {
    let mut path = format!("/v1/batches?task={}&restore={}", escaped(&args.task), u8::from(args.restore));
    let params = args.params.as_ref().map(|params| params.get().to_owned());
    let priority = args.priority.map(|priority| priority.to_string());
    for (name, value) in [("op", &args.op), ("params", &params), ("key", &args.key), ("priority", &priority)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escaped(value)));
        }
    }
    path
}
