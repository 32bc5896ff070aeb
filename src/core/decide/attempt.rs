//! Starting attempts, and what follows from their reports and from the passing of time.

use crate::core::command::{Answer, Ending};
use crate::core::event::*;
use crate::core::id::JobId;
use crate::core::lifecycle::JobState;
use crate::core::policy::OnInterrupt;
use crate::core::rejection::Rejection;
use crate::core::state::State;
use crate::core::state::job::Job;
use crate::core::state::lock::LockKey;
use crate::core::state::task::Task;
use crate::core::time::Timestamp;
use crate::core::view::Progress;
use crate::core::{limits, retry};

/// Due jobs that one tick makes available; the next tick takes the rest.
const DUE_PER_TICK: usize = 4096;

/// The attempt that starts next, if one may start now.
pub fn next_start(state: &State) -> Option<Event> {
    if state.durable().running.len() >= limits::RUNNING_MAX {
        return None;
    }
    let task = state.task(*state.index().startable.first()?)?;
    let job = state.index().queues.get(&task.id)?.startable(task)?;
    let job = first_of_group(state, job).unwrap_or(job);
    let attempt = state.job(job)?.attempts + 1;
    Some(Event::from(AttemptStarted { job, attempt }))
}

/// Those that wait for the same exclusive group go one after the other, whatever their tasks.
fn first_of_group(state: &State, id: JobId) -> Option<JobId> {
    let lock = state.job(id)?.cold.rare().lock.as_ref().filter(|lock| matches!(lock, LockKey::Group(_)))?;
    let waiting = state.index().wanting(lock).filter_map(|id| state.job(id)).filter(|job| {
        let task = state.task(job.task);
        task.is_some_and(|task| state.index().queues.get(&task.id).is_some_and(|queue| queue.may_start(task, job)))
    });
    let first = waiting.min_by_key(|job| (limits::PRIORITY_MAX.saturating_sub(job.priority), job.id));
    first.map(|job| job.id)
}

pub fn tick(state: &State, now: Timestamp, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let due = state.index().due.iter().take_while(|(at, _)| *at <= now).take(DUE_PER_TICK);
    events.extend(due.map(|(_, job)| Event::from(JobDue { job: *job })));
    let settled = state.index().unsettled.iter().take_while(|(at, _)| *at <= now);
    events.extend(settled.map(|(_, job)| Event::from(AttemptSettled { job: *job })));
    Ok(Answer::Done)
}

/// The running job that a report is about; an attempt that is over is none.
fn reported(state: &State, id: JobId, attempt: u32) -> Result<&Job, Rejection> {
    let job = state.job(id).ok_or(Rejection::NotFound { job: id })?;
    match state.running(id) {
        Some(running) if running.attempt == attempt => Ok(job),
        Some(_) => Err(Rejection::StaleAttempt { job: id }),
        None => Err(Rejection::NotRunning { job: id, state: job.state }),
    }
}

pub fn spawned(
    state: &State,
    id: JobId,
    attempt: u32,
    process: &Process,
    events: &mut Vec<Event>,
) -> Result<Answer, Rejection> {
    reported(state, id, attempt)?;
    events.push(Event::from(AttemptSpawned { job: id, attempt, process: *process }));
    Ok(Answer::Done)
}

pub fn progress(
    state: &State,
    id: JobId,
    attempt: Option<u32>,
    progress: &Progress,
    events: &mut Vec<Event>,
) -> Result<Answer, Rejection> {
    let job = state.job(id).ok_or(Rejection::NotFound { job: id })?;
    let running = state.running(id).ok_or(Rejection::NotRunning { job: id, state: job.state })?;
    if job.is_batch {
        return Err(Rejection::BatchProgress { job: id });
    }
    reported(state, id, attempt.unwrap_or(running.attempt))?;
    events.push(Event::from(JobProgressed {
        job: id,
        current: progress.current,
        total: progress.total,
        message: progress.message.clone(),
    }));
    Ok(Answer::Done)
}

pub fn output(
    state: &State,
    id: JobId,
    attempt: u32,
    bytes: u64,
    events: &mut Vec<Event>,
) -> Result<Answer, Rejection> {
    reported(state, id, attempt)?;
    events.push(Event::from(OutputKept { job: id, bytes }));
    Ok(Answer::Done)
}

pub fn ended(
    state: &State,
    id: JobId,
    attempt: u32,
    ending: &Ending,
    now: Timestamp,
    events: &mut Vec<Event>,
) -> Result<Answer, Rejection> {
    let job = reported(state, id, attempt)?;
    let stopping = state.running(id).and_then(|running| running.stopping.clone());
    let event = match (ending, stopping) {
        (Ending::Succeeded { result, note }, _) => {
            super::item::mark(state, job, events);
            Event::from(JobCompleted { job: id, result: result.clone(), note: note.clone() })
        }
        (Ending::Interrupted { reason, suspect }, None) => {
            Event::from(JobInterrupted { job: id, reason: reason.clone(), suspect: *suspect })
        }
        (Ending::Failed { .. } | Ending::Stopped | Ending::Interrupted { .. }, Some(reason)) => {
            Event::from(JobCancelled { job: id, reason })
        }
        (Ending::Stopped, None) => Event::from(JobCancelled { job: id, reason: "ended".into() }),
        (Ending::Failed { error }, None) => failed(state, job, error, now),
    };
    events.push(event);
    Ok(Answer::Done)
}

/// A failed attempt: the next one, or the end.
pub(super) fn failed(state: &State, job: &Job, error: &str, now: Timestamp) -> Event {
    let Some(task) = state.task(job.task) else {
        return Event::from(JobDiscarded { job: job.id, error: error.into() });
    };
    let policy = &task.policy;
    let failures = u32::from(job.failures) + 1;
    let first_due = job.cold.rare().first_due.unwrap_or(job.due);
    // The first repair of a batch comes with the next sweep, which is soon enough; the distances grow from there.
    let waits = failures - u32::from(job.is_batch);
    let retry_at = if waits == 0 { now } else { now + retry::delay(&policy.backoff, job.id, waits) };
    let discard = |why: String| {
        let error = limits::message(format!("{error} ({why})")).into();
        Event::from(JobDiscarded { job: job.id, error })
    };
    if failures >= policy.attempts {
        discard(match failures {
            1 => "its only attempt".to_owned(),
            more => format!("attempt {more} of {}", policy.attempts),
        })
    } else if retry_at > first_due + policy.give_up_after {
        discard(format!("given up: the next attempt would come more than {:?} after it was due", policy.give_up_after))
    } else {
        Event::from(AttemptFailed { job: job.id, error: error.into(), retry_at })
    }
}

/// What becomes of an interrupted job, by its task's policy; `None` while it waits for a person and its task
/// asks for one, or for its task to come back.
pub fn after_interrupt(state: &State, job: &Job) -> Option<(Event, String)> {
    debug_assert_eq!(job.state, JobState::Interrupted);
    let rare = job.cold.rare();
    let task = state.task(job.task)?;
    if task.removed || (rare.held && still_needs_a_person(job, task)) {
        return None;
    }
    let reason = rare.error.as_deref().unwrap_or("interrupted");
    if job.crashes >= limits::CRASHES_MAX {
        let reason = format!("quarantined: it has taken down the daemon or its shim {} times in a row", job.crashes);
        let hint = format!("{reason}; `daybook retry {}` lets it start again", job.id);
        return Some((Event::from(JobHeld { job: job.id, reason: reason.into() }), hint));
    }
    Some(match task.policy.on_interrupt {
        OnInterrupt::Retry => (Event::from(JobResumed { job: job.id }), "goes on: on_interrupt is `retry`".to_owned()),
        OnInterrupt::Hold => {
            let held = format!("{reason}; held: on_interrupt is `hold`");
            (Event::from(JobHeld { job: job.id, reason: held.into() }), "held for a person".to_owned())
        }
        OnInterrupt::Fail => {
            let error = format!("{reason}; on_interrupt is `fail`");
            (
                Event::from(JobDiscarded { job: job.id, error: error.into() }),
                "discarded: on_interrupt is `fail`".to_owned(),
            )
        }
    })
}

/// One that takes down the daemon or its shim is a person's matter for good.
fn still_needs_a_person(job: &Job, task: &Task) -> bool {
    job.crashes >= limits::CRASHES_MAX || task.policy.on_interrupt == OnInterrupt::Hold
}

pub fn resolve_interrupted(state: &State, id: JobId, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let job = state.job(id).filter(|job| job.state == JobState::Interrupted);
    events.extend(job.and_then(|job| after_interrupt(state, job)).map(|(event, _)| event));
    Ok(Answer::Done)
}
