//! `daybook status`

use super::failure::Failure;
use super::render::{self, Colour, count};
use super::session::Session;
use super::time;
use crate::control::service::Status;
use crate::core::time::Timestamp;
use crate::error::Exit;

/// Show whether the daemon is well, what runs, and the last sweep
#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.get("/v1/status").await?;
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let status: Status = whole.read()?;
    let out = &mut session.out;
    let well = match status.problems.len() {
        0 => out.coloured("all is well", Colour::Green),
        number => out.coloured(&count(number as u64, "problem"), Colour::Red),
    };
    let Status { version, state, pid, uptime, .. } = &status;
    out.line(format!("daybook {version} {state} for {}, pid {pid}: {well}", time::length(*uptime)))?;
    for problem in &status.problems {
        out.line(format!("  {} {problem}", out.coloured("!", Colour::Red)))?;
    }
    out.line("")?;
    out.facts(&facts(&status, whole.now))?;
    if !status.running.is_empty() {
        out.line("")?;
        render::jobs(out, &status.running, whole.now)?;
        let more = status.jobs.running.saturating_sub(status.running.len() as u64);
        if more > 0 {
            out.line(format!("and {more} more: `daybook jobs --state running`"))?;
        }
    }
    Ok(Exit::Done)
}

fn facts(status: &Status, now: Timestamp) -> Vec<(&'static str, String)> {
    let jobs = &status.jobs;
    let live = [
        (jobs.running, "running"),
        (jobs.available, "available"),
        (jobs.scheduled, "scheduled"),
        (jobs.retryable, "retryable"),
        (jobs.interrupted, "interrupted"),
    ];
    let live: Vec<_> = live.iter().filter(|(n, _)| *n > 0).map(|(n, state)| format!("{n} {state}")).collect();
    let paused = match status.tasks.paused {
        0 => String::new(),
        paused => format!(", {paused} paused"),
    };
    let sweep = status.last_sweep.map(|it| {
        let ago = time::relative(it.at, now);
        format!("{ago}, by {}: {}, {} fixed", it.door, count(u64::from(it.findings), "finding"), it.fixed)
    });
    let next = status.next.as_ref().map(|it| format!("{} {}", it.task, time::relative(it.at, now)));
    vec![
        ("jobs", if live.is_empty() { "none is live".to_owned() } else { live.join(", ") }),
        ("tasks", format!("{} defined{paused}", status.tasks.defined)),
        ("starts", if status.execution { String::new() } else { "none: `execution` is false".to_owned() }),
        ("next", next.unwrap_or_else(|| "no schedule".to_owned())),
        ("sweep", sweep.unwrap_or_else(|| "none yet".to_owned())),
        ("journal", format!("commit {}", status.seq)),
        ("state", status.state_dir.to_string()),
    ]
}
