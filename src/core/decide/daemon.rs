//! The daemon's own start and stop, and what its clock did.

use std::time::Duration;

use crate::core::command::Answer;
use crate::core::event::*;
use crate::core::limits;
use crate::core::rejection::Rejection;
use crate::core::state::State;

/// What was running when the last daemon ended is interrupted; the sweep decides what follows.
pub fn start(
    state: &State,
    version: &str,
    pid: u32,
    boot_id: &str,
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
    cut_off(state, reason, !clean && !new_boot, events);
    Ok(Answer::Started { new_boot })
}

/// What becomes of the attempts that end with the daemon. One that somebody has cancelled stays cancelled.
/// `suspect`: those that were only starting may have taken the daemon down.
fn cut_off(state: &State, reason: &str, suspect: bool, events: &mut Vec<Event>) {
    for (job, running) in &state.durable().running {
        events.push(match &running.stopping {
            Some(asked) => Event::from(JobCancelled { job: *job, reason: asked.clone() }),
            None => {
                let suspect = suspect && !running.settled;
                Event::from(JobInterrupted { job: *job, reason: reason.into(), suspect })
            }
        });
    }
}

pub fn stop(state: &State, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    cut_off(state, "the daemon was stopped", false, events);
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
