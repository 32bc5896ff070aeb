//! The state of the daemon in one sentence, as `systemctl status` shows it.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::control::service::{JobCounts, LastSweep, Status};
use crate::core::time::Timestamp;

/// Within this time an hour and a minute say enough.
const A_DAY: Duration = Duration::from_secs(86_400);

/// Such as "3 running, 12 waiting, next backup at 02:30, last sweep 2 minutes ago: nothing found".
pub fn sentence(status: &Status) -> String {
    sentence_in(status, &TimeZone::system())
}

fn sentence_in(status: &Status, zone: &TimeZone) -> String {
    let JobCounts { scheduled, available, running, retryable, interrupted, .. } = status.jobs;
    if &*status.state == "stopping" {
        return format!(
            "stopping: {running} still running, {} left for the next start",
            scheduled + available + retryable
        );
    }
    let mut words = Vec::new();
    if let Some(problem) = status.problems.first() {
        words.push(match status.problems.len() {
            1 => format!("PROBLEM: {problem}"),
            number => format!("{number} PROBLEMS, the first: {problem}"),
        });
    }
    words.push(format!("{running} running"));
    words.push(format!("{} waiting", scheduled + available + retryable));
    if interrupted > 0 {
        words.push(format!("{interrupted} interrupted"));
    }
    if status.drained {
        words.push("drained: starts none".into());
    } else if !status.execution {
        words.push("starts none (`execution` is false)".into());
    } else if let Some(next) = &status.next {
        words.push(format!("next {} {}", next.task, instant(next.at, status.now, zone)));
    }
    if let Some(sweep) = status.last_sweep {
        words.push(format!("last sweep {}: {}", ago(status.now.since(sweep.at)), found(sweep)));
    }
    words.join(", ")
}

fn found(sweep: LastSweep) -> String {
    match (sweep.findings, sweep.fixed) {
        (0, _) => "nothing found".into(),
        (findings, fixed) => format!("{findings} found, {fixed} fixed"),
    }
}

fn instant(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let Ok(time) = jiff::Timestamp::from_millisecond(at.0) else { return format!("at {at}") };
    let time = zone.to_datetime(time);
    match at.since(now) < A_DAY {
        true => time.strftime("at %H:%M").to_string(),
        false => time.strftime("on %Y-%m-%d at %H:%M").to_string(),
    }
}

fn ago(time: Duration) -> String {
    let (number, unit) = match time.as_secs() {
        0..60 => return "just now".into(),
        seconds @ 60..3600 => (seconds / 60, "minute"),
        seconds => (seconds / 3600, "hour"),
    };
    format!("{number} {unit}{} ago", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::service::Coming;
    use crate::control::status::{Disk, Health, TaskCounts};
    use crate::core::repair::Door;

    fn status() -> Status {
        let now: Timestamp = "2026-11-21T20:15:00Z".parse().unwrap();
        Status {
            version: "1".into(),
            pid: 1,
            health: Health::Healthy,
            state: "running".into(),
            now,
            started_at: now,
            uptime: Duration::ZERO,
            execution: true,
            drained: false,
            advancing: 0,
            seq: crate::core::id::Seq(1),
            jobs: JobCounts { scheduled: 4, available: 5, running: 3, retryable: 3, interrupted: 0, orphaned: 0 },
            tasks: TaskCounts { defined: 1, paused: 0 },
            running: Vec::new(),
            next: Some(Coming { task: "backup".into(), at: "2026-11-22T02:30:00Z".parse().unwrap() }),
            last_sweep: Some(LastSweep {
                at: now - Duration::from_secs(130),
                door: Door::Timer,
                findings: 0,
                fixed: 0,
            }),
            problems: Vec::new(),
            state_dir: "/".into(),
            waiting: Vec::new(),
            waiting_jobs: 0,
            missed: Vec::new(),
            coming: Vec::new(),
            disk: Disk::default(),
        }
    }

    #[test]
    fn it_says_something() {
        let say = |status: &Status| sentence_in(status, &TimeZone::UTC);
        let mut status = status();
        let expected = "3 running, 12 waiting, next backup at 02:30, last sweep 2 minutes ago: nothing found";
        assert_eq!(say(&status), expected);
        status.problems = vec!["the config was refused".into()];
        status.jobs.interrupted = 1;
        status.last_sweep = Some(LastSweep { at: status.now, door: Door::Timer, findings: 2, fixed: 1 });
        status.next = Some(Coming { task: "yearly".into(), at: "2027-01-01T00:00:00Z".parse().unwrap() });
        let expected = "PROBLEM: the config was refused, 3 running, 12 waiting, 1 interrupted, \
                        next yearly on 2027-01-01 at 00:00, last sweep just now: 2 found, 1 fixed";
        assert_eq!(say(&status), expected);
        status.state = "stopping".into();
        assert_eq!(say(&status), "stopping: 3 still running, 12 left for the next start");
    }

    #[test]
    fn times_have_a_unit() {
        let ago = |seconds| ago(Duration::from_secs(seconds));
        assert_eq!(
            [ago(59), ago(60), ago(3599), ago(7200)],
            ["just now", "1 minute ago", "59 minutes ago", "2 hours ago"]
        );
    }
}
