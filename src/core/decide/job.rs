//! Adding, cancelling and retrying jobs.

use super::{batch, item};
use crate::core::command::{AddJob, Answer, When};
use crate::core::event::{Event, Finished, JobAdded, JobCancelled, JobRetried, StopRequested};
use crate::core::id::JobId;
use crate::core::json::Json;
use crate::core::lifecycle::JobState;
use crate::core::limits;
use crate::core::rejection::Rejection;
use crate::core::state::State;
use crate::core::state::task::Task;
use crate::core::time::Timestamp;

pub fn add(state: &State, add: &AddJob, now: Timestamp, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    add_as(state, add, None, now, events)
}

/// `given`: the number under which its items came.
pub fn add_as(
    state: &State,
    add: &AddJob,
    given: Option<JobId>,
    now: Timestamp,
    events: &mut Vec<Event>,
) -> Result<Answer, Rejection> {
    let task = state.task_named(&add.task).ok_or_else(|| Rejection::UnknownTask { task: add.task.clone() })?;
    if let Some(key) = &add.key
        && let Some((job, owner)) = holder(state, add, key)
    {
        return match *owner == *task.name {
            true => Ok(Answer::Added { job, created: false }),
            false => Err(Rejection::KeyTaken { key: key.clone(), job, task: owner }),
        };
    }
    if task.removed {
        return Err(Rejection::TaskRemoved { task: task.name.clone() });
    }
    room(state, task, 0, 0)?;
    if task.policy.batch.as_ref().is_some_and(|batch| batch.given) && given.is_none() {
        return Err(Rejection::ItemsMissing { task: task.name.clone() });
    }
    may_be(state, task, &add.args)?;
    let job = given.unwrap_or(JobId(state.scalars().last_job.0 + 1));
    let (due, relative) = match add.when {
        When::Now => (now, false),
        When::At(at) => (at.max(now), false),
        When::In(wait) => (now + wait, true),
    };
    events.push(Event::from(JobAdded {
        job,
        task: task.id,
        priority: add.priority.unwrap_or(task.policy.priority),
        due,
        relative: relative && due > now,
        key: add.key.clone(),
        args: add.args.clone(),
        occurrence: None,
    }));
    Ok(Answer::Added { job, created: true })
}

/// Whether a job of this task can have these arguments: what its operation and its lock are made of, and what it
/// leaves its thing marked with.
pub fn may_be(state: &State, task: &Task, args: &Json) -> Result<(), Rejection> {
    match &task.policy.batch {
        Some(batch) => batch::may_be(state, task, batch, args),
        None => match &task.policy.lock {
            Some(lock) if state.lock_for(task.id, args).is_none() => {
                Err(Rejection::LockField { task: task.name.clone(), lock: lock.as_str().into() })
            }
            Some(_) => item::may_mark(task, args),
            None => Ok(()),
        },
    }
}

/// The job that has this key already, and its task.
pub fn holder(state: &State, add: &AddJob, key: &str) -> Option<(JobId, Box<str>)> {
    match state.job_with_key(key) {
        Some(job) => state.task(job.task).map(|task| (job.id, task.name.clone())),
        None => add.known.clone(),
    }
}

/// Whether one more job of this task may wait, when `more` are on their way and `leaving` that wait are about to go.
pub fn room(state: &State, task: &Task, more: u32, leaving: u32) -> Result<(), Rejection> {
    if state.jobs().len() + more as usize >= limits::JOBS_MAX + leaving as usize {
        return Err(Rejection::TooManyJobs);
    }
    let waiting = state.index().queues.get(&task.id).map_or(0, |queue| queue.waiting());
    match waiting.saturating_add(more).saturating_sub(leaving) >= task.policy.queue_size {
        true => Err(Rejection::QueueFull { task: task.name.clone(), size: task.policy.queue_size }),
        false => Ok(()),
    }
}

pub fn cancel(state: &State, id: JobId, reason: &str, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let job = state.job(id).ok_or(Rejection::NotFound { job: id })?;
    match job.state {
        JobState::Running => match state.running(id) {
            Some(running) if running.stopping.is_some() => return Err(Rejection::AlreadyStopping { job: id }),
            Some(_) | None => events.push(Event::from(StopRequested { job: id, reason: reason.into() })),
        },
        JobState::Scheduled | JobState::Available | JobState::Retryable | JobState::Interrupted => {
            events.push(Event::from(JobCancelled { job: id, reason: reason.into() }))
        }
        JobState::Completed | JobState::Discarded | JobState::Cancelled => {
            return Err(Rejection::AlreadyFinished { job: id, state: job.state });
        }
    }
    Ok(Answer::Done)
}

pub fn retry(
    state: &State,
    id: JobId,
    finished: Option<&Finished>,
    events: &mut Vec<Event>,
) -> Result<Answer, Rejection> {
    let live = state.job(id);
    let task = match (live, finished) {
        (Some(job), _) if job.state == JobState::Running => return Err(batch::is_running(job)),
        (Some(job), _) => job.task,
        (None, Some(finished)) => finished.task,
        (None, None) => return Err(Rejection::NotFound { job: id }),
    };
    let task = state.task(task);
    if live.is_some_and(|job| job.is_batch) || task.is_some_and(|task| task.policy.batch.is_some()) {
        batch::may_be_retried(state, id, finished)?;
    }
    // Nothing of it could start: a live job goes on by itself when its task is back, a finished one can be retried then.
    if let Some(task) = task.filter(|task| task.removed) {
        return Err(Rejection::TaskRemoved { task: task.name.clone() });
    }
    if live.is_some_and(|job| job.state == JobState::Available) {
        return Err(Rejection::AlreadyAvailable { job: id });
    }
    if let (None, Some(task)) = (live, task) {
        room(state, task, 0, 0)?;
        if let Some(key) = finished.and_then(|finished| finished.view.key.as_deref())
            && let Some(other) = state.job_with_key(key)
        {
            return Err(Rejection::KeyTaken { key: key.into(), job: other.id, task: task.name.clone() });
        }
    }
    let finished = if live.is_some() { None } else { finished.cloned() };
    events.push(Event::from(JobRetried { job: id, finished }));
    Ok(Answer::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::TaskDefined;
    use crate::core::id::TaskId;
    use crate::core::policy::TaskPolicy;

    #[test]
    fn there_are_never_more_live_jobs_than_the_bound() {
        let mut state = State::default();
        let defined = TaskDefined { task: TaskId(1), name: "mail".into(), policy: TaskPolicy::default(), next: vec![] };
        state.apply(&defined.into(), Timestamp(0));
        let task = state.task(TaskId(1)).expect("it is defined").clone();
        // Fifty million jobs are too many for a test: so many are said to be on their way.
        let most = limits::JOBS_MAX as u32;
        let roomy =
            Task { policy: TaskPolicy { queue_size: u32::MAX, ..TaskPolicy::default() }.into(), ..(*task).clone() };
        assert_eq!(room(&state, &roomy, most - 1, 0), Ok(()));
        assert_eq!(room(&state, &roomy, most, 0), Err(Rejection::TooManyJobs));
        assert_eq!(room(&state, &roomy, most, 1), Ok(()));
        assert!(Rejection::TooManyJobs.retryable());
    }
}
