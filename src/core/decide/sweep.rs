//! What a sweep mends by commands of its own, and how it ends.

use crate::core::command::Answer;
use crate::core::event::*;
use crate::core::id::JobId;
use crate::core::lifecycle::JobState;
use crate::core::rejection::Rejection;
use crate::core::repair::{Door, Finding};
use crate::core::state::State;

/// An attempt without its running job, or a running job without its attempt, is interrupted; any other is left alone.
pub fn release(state: &State, id: JobId, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let job = state.job(id).filter(|job| job.state == JobState::Running);
    let is_whole = match (job, state.running(id)) {
        (Some(job), Some(running)) => job.attempts == running.attempt,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if !is_whole {
        let reason = "the job and what is known of its attempt did not fit".into();
        events.push(Event::from(JobInterrupted { job: id, reason, suspect: false }));
    }
    Ok(Answer::Done)
}

pub fn cancel_twin(state: &State, id: JobId, first: JobId, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let occurrence = |id| state.job(id).and_then(|job| Some((job.task, job.cold.rare().occurrence?)));
    let are_twins = id != first && occurrence(id).is_some() && occurrence(id) == occurrence(first);
    if are_twins && state.job(id).is_some_and(|job| job.attempts == 0) {
        let reason = format!("job {first} is for the same occurrence").into();
        events.push(Event::from(JobCancelled { job: id, reason }));
    }
    Ok(Answer::Done)
}

pub fn note_found(findings: &[Finding], events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    events.push(Event::from(SweepFound { findings: findings.to_vec() }));
    Ok(Answer::Done)
}

/// What is left the same from sweep to sweep is written once.
pub fn finish(
    state: &State,
    door: Door,
    (found, fixed): (u32, u32),
    left: &[Finding],
    events: &mut Vec<Event>,
) -> Result<Answer, Rejection> {
    let left = (*state.scalars().sweeps.left != *left).then(|| left.to_vec());
    events.push(Event::from(SweepFinished { door, found, fixed, left }));
    Ok(Answer::Done)
}
