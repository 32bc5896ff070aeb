//! `daybook status`: one screen.

use super::failure::Failure;
use super::render::{Colour, count, progress};
use super::session::Session;
use super::table::{Column, Row, number, text, word};
use super::time;
use crate::control::status::{Health, LastSweep, Status, Waiting, WaitingKind};
use crate::core::time::Timestamp;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook status
  daybook status --json | jq .waiting

Exit codes: 0 healthy, 1 degraded or stopping, 4 the daemon cannot be reached"#;

/// Show whether the daemon is well, what runs, what waits for a person, what was missed
///
/// `healthy`: nothing is to be done. `degraded`: it works, and something stays as it is until somebody does
/// something about it; the reasons are listed, with what to type. `stopping`: it takes no work any more.
///
/// Jobs that were given up, and occurrences that were missed or skipped, are listed for a day and do not
/// make it degraded. On a terminal the answer fits on the screen; elsewhere nothing is left out.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {}

/// Lines that a terminal keeps for what was typed and for the next prompt.
const PROMPT_LINES: usize = 2;

/// Rows under a title. The first column is empty: it moves them in.
struct Section {
    title: String,
    columns: &'static [Column],
    rows: Vec<Row>,
}

const RUNS: &[Column] = &[word(""), number(""), text(""), word(""), text("")];
const WAITS: &[Column] = &[word(""), word(""), text(""), word(""), text(""), word("")];
const MISSED: &[Column] = &[word(""), text(""), word(""), word(""), text("")];

pub async fn run(_: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.get("/v1/status").await?;
    let status: Status = whole.read()?;
    let exit = match status.health {
        Health::Healthy => Exit::Done,
        Health::Degraded | Health::Stopping => Exit::No,
    };
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(exit);
    }
    let out = &mut session.out;
    let health = out.coloured(status.health.name(), health_colour(status.health));
    let uptime = time::length(status.uptime);
    out.line(format!("daybook {} is {health}; up {uptime}, pid {}", status.version, status.pid))?;
    let facts = facts(&status, whole.now);
    let mut sections = sections(&status, whole.now);
    let mut problems = status.own_problems();
    if let Some(screen) = out.screen() {
        let fixed = 2 + facts.len() + PROMPT_LINES + problems.len().min(3);
        problems = &problems[..problems.len().min(3)];
        shorten(&mut sections, screen.lines.saturating_sub(fixed));
    }
    for problem in problems {
        let line = out.fitted(&format!("! {problem}"));
        out.line(out.coloured(&line, Colour::Red))?;
    }
    out.line("")?;
    for (name, value) in facts {
        let line = out.fitted(&format!("{name:<7}  {value}"));
        out.line(line)?;
    }
    for section in sections {
        let title = out.fitted(&section.title);
        out.line("")?;
        out.line(title)?;
        out.table(section.columns, &section.rows)?;
    }
    Ok(exit)
}

fn health_colour(health: Health) -> Colour {
    match health {
        Health::Healthy => Colour::Green,
        Health::Degraded => Colour::Red,
        Health::Stopping => Colour::Yellow,
    }
}

fn facts(status: &Status, now: Timestamp) -> Vec<(&'static str, String)> {
    let jobs = &status.jobs;
    let live = [
        (jobs.running, "running"),
        (jobs.available, "available"),
        (jobs.scheduled, "scheduled"),
        (jobs.retryable, "retryable"),
        (jobs.interrupted, "interrupted"),
        (jobs.orphaned, "of them orphaned"),
    ];
    let live: Vec<_> = live.iter().filter(|(n, _)| *n > 0).map(|(n, state)| format!("{n} {state}")).collect();
    let paused = match status.tasks.paused {
        0 => String::new(),
        paused => format!(", {paused} paused"),
    };
    let sweep = status.last_sweep.map_or("none yet".to_owned(), |it| {
        let ago = time::relative(it.at, now);
        let LastSweep { door, findings, fixed, .. } = it;
        match findings {
            0 => format!("{ago}, by {door}, and found nothing"),
            found => {
                format!("{ago}, by {door}: {}, {fixed} fixed (`daybook repair --last`)", count(found.into(), "finding"))
            }
        }
    });
    let next: Vec<_> = status.coming.iter().map(|it| format!("{} {}", it.task, time::relative(it.at, now))).collect();
    let size = |bytes| bytesize::ByteSize(bytes).to_string();
    let free = status.disk.free.map_or_else(String::new, |free| format!("; {} free", size(free)));
    let facts = vec![
        ("jobs", if live.is_empty() { "none is live".to_owned() } else { live.join(", ") }),
        ("tasks", format!("{} defined{paused}", status.tasks.defined)),
        ("starts", starts(status).to_owned()),
        ("next", if next.is_empty() { "nothing is scheduled".to_owned() } else { next.join(", ") }),
        ("sweep", sweep),
        (
            "journal",
            format!(
                "commit {}, {}; history {}{free}",
                status.seq,
                size(status.disk.journal),
                size(status.disk.history)
            ),
        ),
        ("state", status.state_dir.to_string()),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn sections(status: &Status, now: Timestamp) -> Vec<Section> {
    let sections = [runs(status, now), waits(status), missed(status, now)];
    sections.into_iter().filter(|section| !section.rows.is_empty()).collect()
}

fn runs(status: &Status, now: Timestamp) -> Section {
    let row = |job: &crate::core::view::JobView| {
        let since = job.started_at.map_or_else(String::new, |at| time::length(now.since(at)));
        Row::new([String::new(), job.id.to_string(), job.task.to_string(), since, progress(&job.progress)])
    };
    Section {
        title: format!("running: {}, the longest first (`daybook jobs --state running`)", status.jobs.running),
        columns: RUNS,
        rows: status.running.iter().map(row).collect(),
    }
}

fn waits(status: &Status) -> Section {
    let row = |one: &Waiting| {
        let jobs = match one.job {
            Some(job) if one.jobs == 1 => format!("job {job}"),
            _ => count(one.jobs, "job"),
        };
        let command = one.commands.join(" or ").replace(" or daybook ", " or ");
        let cells =
            [String::new(), one.kind.name().to_owned(), one.task.to_string(), jobs, one.reason.to_string(), command];
        let colour = if one.kind == WaitingKind::Discarded { Colour::Yellow } else { Colour::Red };
        Row::new(cells).colour(1, Some(colour))
    };
    Section {
        title: format!("waits for a person: {} (`daybook why JOB` tells more)", count(status.waiting_jobs, "job")),
        columns: WAITS,
        rows: status.waiting.iter().map(row).collect(),
    }
}

fn missed(status: &Status, now: Timestamp) -> Section {
    let row = |one: &crate::control::status::Missed| {
        let counts = [(one.missed, "missed"), (one.skipped, "skipped")];
        let counts: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        let last = format!("last {}", time::relative(one.last, now));
        Row::new([String::new(), one.task.to_string(), counts.join(", "), last, one.reason.to_string()])
    };
    Section {
        title: "missed within a day (`daybook occurrences TASK` tells more)".to_owned(),
        columns: MISSED,
        rows: status.missed.iter().map(row).collect(),
    }
}

/// Leaves rows out until all sections, each with a blank line and a title, fit into so many lines: from the longest first.
fn shorten(sections: &mut [Section], lines: usize) {
    let used = |sections: &[Section]| sections.iter().map(|section| section.rows.len() + 2).sum::<usize>();
    while used(sections) > lines {
        match sections.iter_mut().max_by_key(|section| section.rows.len()) {
            Some(longest) if longest.rows.len() > 1 => drop(longest.rows.pop()),
            _ => break,
        }
    }
}

/// Why no attempt is started, if none is.
fn starts(status: &Status) -> &'static str {
    match (status.execution, status.drained) {
        (true, _) => "",
        (false, true) => "none: it was drained; `daybook reload` ends that",
        (false, false) => "none: `execution` is false",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_section_gives_way_first() {
        let section = |rows| Section { title: String::new(), columns: RUNS, rows: vec![Row::default(); rows] };
        let mut sections = [section(10), section(2), section(4)];
        shorten(&mut sections, 6 + 7);
        assert_eq!(sections.map(|section| section.rows.len()), [3, 2, 2]);
        let mut sections = [section(3)];
        shorten(&mut sections, 0);
        assert_eq!(sections[0].rows.len(), 1, "one row stays");
    }
}
