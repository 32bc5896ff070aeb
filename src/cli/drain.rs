//! `daybook drain`

use std::time::Duration;

use serde_json::json;

use super::failure::Failure;
use super::render::count;
use super::session::Session;
use crate::control::service::Drained;
use crate::control::status::Status;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook drain
  daybook drain --kill

Exit codes: 0 nothing runs any more, 4 the daemon cannot be reached"#;

/// How often it is looked whether anything still runs.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Start nothing more, and wait until nothing runs
///
/// Jobs can still be added; they wait. A restart or an upgrade of the daemon needs no drain: what runs goes on without
/// it. The daemon starts jobs again after `daybook reload` or when it is started again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// End what runs: SIGTERM, its `grace`, then SIGKILL; it is interrupted and goes on later
    #[arg(long)]
    kill: bool,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.post("/v1/drain", json!({ "kill": args.kill }).to_string()).await?;
    let Drained { running } = whole.read()?;
    if running > 0 && !session.json {
        let what = if args.kill { "ends" } else { "waits for the end of" };
        session.out.line(format!("starts nothing more; {what} {}", count(running, "attempt")))?;
        session.out.flush()?;
    }
    while still_runs(&session.get("/v1/status").await?.read()?) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if session.json {
        session.out.line(json!({ "ended": running }).to_string())?;
    } else {
        session.out.line("drained: nothing runs; `daybook reload` lets jobs start again")?;
    }
    Ok(Exit::Done)
}

fn still_runs(status: &Status) -> bool {
    status.jobs.running > 0 || status.advancing > 0
}
