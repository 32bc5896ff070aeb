//! Events, findings and rows as the tables show them: short, without what never matters.

use daybook::core::event::Event;
use daybook::core::lifecycle::JobState;
use daybook::core::repair::Finding;
use daybook::core::state::State;
use daybook::core::state::job::Job;
use daybook::core::time::Timestamp;
use daybook::core::view::OccurrenceView;

use crate::words::clock;

fn next(at: Option<Timestamp>) -> String {
    at.map_or("never".to_owned(), clock)
}

/// An event of a commit at the instant `now`.
pub fn event(state: &State, event: &Event, now: Timestamp) -> String {
    let name = event.name();
    let task = |id| state.task(id).map_or("?", |task| &task.name);
    match event {
        Event::JobAdded(added) => {
            let mut text = format!("{name} {} {}", added.job, task(added.task));
            if added.priority != 5 {
                text += &format!(" priority={}", added.priority);
            }
            if added.due != now {
                text += &format!(" due={}{}", clock(added.due), if added.relative { " relative" } else { "" });
            }
            if let Some(key) = &added.key {
                text += &format!(" key={key}");
            }
            if let Some(occurrence) = added.occurrence {
                text += &format!(" for {} of schedule {}", clock(occurrence.at), occurrence.schedule);
            }
            text
        }
        Event::JobDue(body) => format!("{name} {}", body.job),
        Event::AttemptStarted(body) => format!("{name} {}.{}", body.job, body.attempt),
        Event::AttemptSpawned(body) => format!("{name} {}.{} pid={}", body.job, body.attempt, body.process.pid),
        Event::AttemptAdopted(body) => {
            let start = if body.start { ", and starts now" } else { "" };
            format!("{name} {}.{}{start}{}", body.job, body.attempt, if body.suspect { " (suspect)" } else { "" })
        }
        Event::AttemptSettled(body) => format!("{name} {}", body.job),
        Event::JobProgressed(body) => format!("{name} {} {}/{} {}", body.job, body.current, body.total, body.message),
        Event::JobCompleted(body) => match &body.result {
            Some(result) => format!("{name} {} {}", body.job, result.as_str()),
            None => format!("{name} {}", body.job),
        },
        Event::AttemptFailed(body) => format!("{name} {} retry at {}: {}", body.job, clock(body.retry_at), body.error),
        Event::JobDiscarded(body) => format!("{name} {}: {}", body.job, body.error),
        Event::StopRequested(body) => format!("{name} {}: {}", body.job, body.reason),
        Event::JobCancelled(body) => format!("{name} {}: {}", body.job, body.reason),
        Event::JobInterrupted(body) => {
            format!("{name} {}: {}{}", body.job, body.reason, if body.suspect { " (suspect)" } else { "" })
        }
        Event::JobResumed(body) => format!("{name} {}", body.job),
        Event::JobHeld(body) => format!("{name} {}: {}", body.job, body.reason),
        Event::JobRetried(body) => match &body.finished {
            Some(finished) => format!("{name} {} (was {})", body.job, finished.view.state),
            None => format!("{name} {}", body.job),
        },
        Event::OutputKept(body) => format!("{name} {} {} bytes", body.job, body.bytes),
        Event::TaskDefined(body) => {
            let coming: Vec<_> = body.next.iter().map(|at| next(*at)).collect();
            match coming.is_empty() {
                true => format!("{name} {}", body.name),
                false => format!("{name} {} next={}", body.name, coming.join(",")),
            }
        }
        Event::TaskRemoved(body) => format!("{name} {}", task(body.task)),
        Event::TaskPaused(body) => format!("{name} {}", task(body.task)),
        Event::TaskUnpaused(body) => format!("{name} {}", task(body.task)),
        Event::OccurrenceDecided(body) => {
            let job = body.job.map_or(String::new(), |job| format!(" job {job}"));
            format!(
                "{name} {}/{} {} {}{job}: {}, next={}",
                task(body.task),
                body.schedule,
                clock(body.instant),
                body.outcome.name(),
                body.reason,
                next(body.next)
            )
        }
        Event::OccurrencesPassed(body) => {
            let last = body.instants().last().unwrap_or(body.first);
            let many = body.gaps.len() + 1;
            let range = if many == 1 { clock(last) } else { format!("{}..{} x{many}", clock(body.first), clock(last)) };
            format!(
                "{name} {}/{} {range} {}: {}, next={}",
                task(body.task),
                body.schedule,
                body.outcome.name(),
                body.reason,
                next(body.next)
            )
        }
        Event::ScheduleMoved(body) => format!(
            "{name} {}/{} decided={} next={}",
            task(body.task),
            body.schedule,
            clock(body.decided),
            next(body.next)
        ),
        Event::DaemonStarted(body) => format!("{name}{}", if body.clean { " (clean)" } else { "" }),
        Event::DaemonStopped(_) => name.to_owned(),
        Event::ClockStepped(body) => format!("{name} {}ms", body.milliseconds),
        Event::ClockSuspended(body) => format!("{name} {:?}", body.duration),
        Event::SweepFound(body) => format!("{name} {}", body.findings.len()),
        Event::SweepFinished(body) => {
            let left = body.left.as_ref().map_or(String::new(), |left| format!(", {} left", left.len()));
            format!("{name} by {}: {} found, {} fixed{left}", body.door, body.found, body.fixed)
        }
        Event::ConfigChanged(body) => format!("{name} {}", body.change),
        Event::BatchOpened(body) => format!("{name} {} {}", body.job, task(body.task)),
        Event::ItemsAdded(body) => {
            let items: Vec<&str> = body.items.iter().collect();
            let twice = if body.duplicates > 0 { format!(" ({} twice)", body.duplicates) } else { String::new() };
            format!("{name} {} {}{twice}", body.job, items.join(","))
        }
        Event::BatchLoaded(body) => format!("{name} {}", body.job),
        Event::BatchDropped(body) => format!("{name} {}: {}", body.job, body.reason),
        Event::ItemsStarted(body) => {
            let how = if body.advance { " ahead" } else { "" };
            let chunk = if body.chunk > 1 { format!(" by {}", body.chunk) } else { String::new() };
            format!("{name} {} {}{chunk}{how}", body.job, body.items)
        }
        Event::ItemsDone(body) => format!("{name} {} {}", body.job, body.items),
        Event::ItemFailed(body) => {
            let again = body.retry_at.map_or(String::new(), |at| format!(", again at {}", clock(at)));
            format!("{name} {} {}: {}{again}", body.job, body.item, body.error)
        }
        Event::ItemsReturned(body) => format!("{name} {} {}", body.job, body.items),
        Event::ItemsSkipped(body) => {
            let why = body.superseded_by.map_or("removed".to_owned(), |newer| format!("superseded by {newer}"));
            format!("{name} {} {}: {why}", body.job, body.items)
        }
        Event::OverrideSet(body) => format!("{name} {} {}", body.key, body.params.as_str()),
        Event::OverrideCleared(body) => format!("{name} {}", body.key),
    }
}

pub fn finding(finding: &Finding) -> String {
    format!("found {} {}: {}; {}", finding.invariant, finding.subject, finding.explanation, finding.action)
}

pub fn job(state: &State, job: &Job) -> String {
    let rare = job.cold.rare();
    let task = state.task(job.task).map_or("?", |task| &task.name);
    let mut text = format!("job {} {task} {} attempts={}", job.id, job.state, job.attempts);
    if matches!(job.state, JobState::Scheduled | JobState::Retryable) {
        text += &format!(" due={}", clock(job.due));
    }
    if rare.held {
        text += " held";
    }
    if let Some(error) = &rare.error {
        text += &format!(": {error}");
    }
    text
}

pub fn occurrence(row: &OccurrenceView) -> String {
    let job = row.job.map_or(String::new(), |job| format!(" job {job}"));
    format!("row {}/{} {} {}{job}: {}", row.task, row.schedule, clock(row.at), row.outcome.name(), row.reason)
}
