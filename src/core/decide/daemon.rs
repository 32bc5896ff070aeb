//! The daemon's own start and stop, and what its clock did.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::core::command::{Answer, Found};
use crate::core::event::*;
use crate::core::id::JobId;
use crate::core::limits;
use crate::core::rejection::Rejection;
use crate::core::state::job::Job;
use crate::core::state::{Running, State};

/// What was running when the last daemon ended is adopted or interrupted; of the latter the sweep decides what follows.
pub fn start(
    state: &State,
    (version, pid, boot_id): (&str, u32, &str),
    found: &BTreeMap<JobId, Found>,
    items: &BTreeSet<(JobId, u32)>,
    events: &mut Vec<Event>,
) -> Result<Answer, Rejection> {
    let scalars = state.scalars();
    let clean = scalars.stopped || scalars.seq.0 == 0;
    let new_boot = *scalars.boot_id != *boot_id;
    events.push(Event::from(DaemonStarted { version: version.into(), pid, boot_id: boot_id.into(), clean }));
    let reason = match (clean, new_boot) {
        (true, _) => "the daemon was stopped",
        (false, true) => "the machine went down",
        (false, false) => "the daemon was killed",
    };
    // A machine that goes down takes every job with it, so it says nothing about one.
    let killed = !clean && !new_boot;
    let taken_over = state.durable().running.iter().filter_map(|(id, running)| {
        let suspect = killed && !running.settled;
        let job = state.job(*id)?;
        Some(match (found.get(id), &running.stopping) {
            (Some(Found::Kept), _) => adopted(job, running, false, false),
            (Some(_) | None, Some(asked)) => Event::from(JobCancelled { job: *id, reason: asked.clone() }),
            // One more death over its start would be too many: it is left to a person.
            (Some(Found::Unstarted), None) if !suspect || job.crashes + 1 < limits::CRASHES_MAX => {
                adopted(job, running, true, suspect)
            }
            (Some(Found::Lost { reason }), None) => {
                Event::from(JobInterrupted { job: *id, reason: reason.clone(), suspect })
            }
            (Some(Found::Unstarted) | None, None) => {
                Event::from(JobInterrupted { job: *id, reason: reason.into(), suspect })
            }
        })
    });
    events.extend(taken_over);
    super::batch::take_over(state, items, events);
    Ok(Answer::Started { new_boot })
}

fn adopted(job: &Job, running: &Running, start: bool, suspect: bool) -> Event {
    Event::from(AttemptAdopted { job: job.id, attempt: running.attempt, start, suspect })
}

/// What runs is left to the next daemon, which finds out what there is of it.
pub fn stop(events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    events.push(Event::from(DaemonStopped {}));
    Ok(Answer::Done)
}

pub fn step(milliseconds: i64, moved: &[ScheduleMoved], events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    events.push(Event::from(ClockStepped { milliseconds }));
    events.extend(moved.iter().cloned().map(Event::from));
    Ok(Answer::Done)
}

pub fn suspend(duration: Duration, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    events.push(Event::from(ClockSuspended { duration }));
    Ok(Answer::Done)
}

/// An event for each change, up to a bound; what is over it is counted.
pub fn note_reload(changes: &[Box<str>], events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let changed = |change: String| Event::from(ConfigChanged { change: limits::message(change).into() });
    events.extend(changes.iter().take(limits::CHANGES_NOTED_MAX).map(|change| changed(change.to_string())));
    let more = changes.len().saturating_sub(limits::CHANGES_NOTED_MAX);
    events.extend((more > 0).then(|| changed(format!("and {more} more"))));
    Ok(Answer::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reload_notes_is_bounded() {
        let noted = |count: usize| {
            let changes: Vec<Box<str>> = (0..count).map(|number| format!("task {number} added").into()).collect();
            let mut events = Vec::new();
            note_reload(&changes, &mut events).expect("is never refused");
            let last = match events.last() {
                Some(Event::ConfigChanged(last)) => last.change.to_string(),
                _ => String::new(),
            };
            (events.len(), last)
        };
        assert_eq!(noted(0), (0, String::new()));
        assert_eq!(noted(limits::CHANGES_NOTED_MAX).1, "task 199 added");
        assert_eq!(noted(200_000), (limits::CHANGES_NOTED_MAX + 1, "and 199800 more".to_owned()));
    }
}
