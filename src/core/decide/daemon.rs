//! The daemon's own start and stop, and what its clock did.

use std::time::Duration;

use crate::core::command::Answer;
use crate::core::event::*;
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
    for (job, running) in &state.durable().running {
        events.push(match &running.stopping {
            Some(asked) => Event::from(JobCancelled { job: *job, reason: asked.clone() }),
            None => {
                // A machine that goes down takes every job with it, so it says nothing about one.
                let suspect = !clean && !new_boot && !running.settled;
                Event::from(JobInterrupted { job: *job, reason: reason.into(), suspect })
            }
        });
    }
    Ok(Answer::Started { new_boot })
}

pub fn stop(state: &State, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let running = state.durable().running.keys();
    events.extend(
        running.map(|job| {
            Event::from(JobInterrupted { job: *job, reason: "the daemon was stopped".into(), suspect: false })
        }),
    );
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

pub fn finish_sweep(findings: u32, fixed: u32, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    events.push(Event::from(SweepFinished { findings, fixed }));
    Ok(Answer::Done)
}
