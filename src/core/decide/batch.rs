//! Batches as wholes: taking their items in, repairing them, forgetting those that are over.
//! What is done with one item stands in `item.rs`.

use std::collections::{BTreeMap, BTreeSet};

use super::job;
use crate::core::command::{AddJob, Answer};
use crate::core::event::*;
use crate::core::id::JobId;
use crate::core::indices::Indices;
use crate::core::json::Json;
use crate::core::lifecycle::JobState;
use crate::core::limits;
use crate::core::policy::{BatchPolicy, WhenBusy};
use crate::core::rejection::Rejection;
use crate::core::state::State;
use crate::core::state::batch::{Args, Batch, Counts};
use crate::core::state::job::Job;
use crate::core::state::lock::LockKey;
use crate::core::state::task::Task;
use crate::core::texts::Texts;
use crate::core::time::Timestamp;

/// Whether a batch of this task can have these arguments now.
pub fn may_be(state: &State, task: &Task, policy: &BatchPolicy, args: &Json) -> Result<(), Rejection> {
    let args = Args::read(args).map_err(|error| Rejection::BatchArgs { error: error.into() })?;
    let known = || if policy.ops.is_empty() { "none".into() } else { policy.ops.join(", ").into() };
    match &args.op {
        Some(op) if !policy.ops.iter().any(|known| **known == **op) => {
            return Err(Rejection::UnknownOp { task: task.name.clone(), op: op.clone(), known: known() });
        }
        None if policy.ops.len() > 1 => return Err(Rejection::OpMissing { task: task.name.clone(), known: known() }),
        Some(_) | None => {}
    }
    match (&policy.exclusive, policy.when_busy) {
        (Some(group), WhenBusy::Refuse) => match busy(state, group) {
            Some(job) => Err(Rejection::GroupBusy { group: group.as_str().into(), job }),
            None => Ok(()),
        },
        (Some(_) | None, WhenBusy::Queue | WhenBusy::Refuse) => Ok(()),
    }
}

/// The batch of a group that runs or waits for its turn. One that ended in error keeps nobody waiting.
fn busy(state: &State, group: &str) -> Option<JobId> {
    let lock = LockKey::Group(group.into());
    let holder = state.index().holder(&lock).map(|holder| holder.job());
    holder.or_else(|| state.index().wanting(&lock).next())
}

/// Takes a batch in whose items are to be given.
pub fn open(state: &State, add: &AddJob, now: Timestamp, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let task = state.task_named(&add.task).ok_or_else(|| Rejection::UnknownTask { task: add.task.clone() })?;
    match &task.policy.batch {
        None => return Err(Rejection::NotABatch { task: task.name.clone() }),
        Some(batch) if !batch.given => return Err(Rejection::ItemsNotTaken { task: task.name.clone() }),
        Some(_) => {}
    }
    let job = JobId(state.scalars().last_job.0 + 1);
    // All that adding its job would say no to is better said before the items have come.
    let mut added = Vec::new();
    let answer = job::add_as(state, add, Some(job), now, &mut added)?;
    if !added.is_empty() {
        events.push(Event::from(BatchOpened { job, task: task.id }));
    }
    Ok(answer)
}

/// Takes items in; those that the batch has already are left out and counted.
pub fn add_items(
    state: &State,
    id: JobId,
    attempt: Option<u32>,
    items: &Texts,
    events: &mut Vec<Event>,
) -> Result<Answer, Rejection> {
    let batch = unloaded(state, id, attempt)?;
    let others: usize =
        state.batches().filter(|(other, _)| is_open(state, *other)).map(|(_, it)| it.items.len() as usize).sum();
    if batch.items.len() as usize + items.len() > limits::ITEMS_PER_BATCH_MAX
        || others + items.len() > limits::ITEMS_MAX
    {
        return Err(Rejection::TooManyItems);
    }
    let mut fresh: BTreeSet<Box<str>> = BTreeSet::new();
    let mut added = Texts::new();
    for item in items.iter() {
        let key = batch.key(item);
        if state.item_with_key(id, &key).is_none() && fresh.insert(key) {
            added.push(item);
        }
    }
    let duplicates = (items.len() - added.len()) as u32;
    events.push(Event::from(ItemsAdded { job: id, items: added, duplicates }));
    Ok(Answer::Done)
}

/// The batch that takes items in: by giving, as long as it has no job, or from the attempt that reads them.
fn unloaded(state: &State, id: JobId, attempt: Option<u32>) -> Result<&Batch, Rejection> {
    let batch = state.batch(id).filter(|batch| !batch.loaded).ok_or(Rejection::NoBatch { job: id })?;
    match (attempt, state.running(id)) {
        (None, _) if batch.given && state.job(id).is_none() => Ok(batch),
        (Some(attempt), Some(running)) if running.attempt == attempt => Ok(batch),
        (Some(_) | None, Some(_) | None) => Err(Rejection::StaleAttempt { job: id }),
    }
}

/// All items are in: the batch may run.
pub fn load(
    state: &State,
    id: JobId,
    attempt: Option<u32>,
    add: Option<&AddJob>,
    now: Timestamp,
    events: &mut Vec<Event>,
) -> Result<Answer, Rejection> {
    let batch = unloaded(state, id, attempt)?;
    let mut answer = Answer::Done;
    if let Some(add) = add {
        answer = job::add_as(state, add, Some(id), now, events)?;
        if answer != (Answer::Added { job: id, created: true }) {
            // Somebody else was quicker with the same key.
            events.push(Event::from(BatchDropped { job: id, reason: "another job has its key".into() }));
            return Ok(answer);
        }
    }
    events.push(Event::from(BatchLoaded { job: id }));
    forget(state, batch.items.len() as usize, events);
    Ok(answer)
}

/// The oldest batches that are over lose their items, as far as there are too many.
fn forget(state: &State, more: usize, events: &mut Vec<Event>) {
    let over = || state.batches().filter(|(id, batch)| !is_open(state, *id) && batch.flights.is_empty());
    let weight = |batch: &Batch| batch.items.len() as usize + limits::ITEMS_PER_BATCH_KEPT;
    let mut kept: usize = over().map(|(_, batch)| weight(batch)).sum();
    for (id, batch) in over() {
        if kept + more.min(limits::ITEMS_KEPT_MAX / 2) <= limits::ITEMS_KEPT_MAX {
            break;
        }
        kept -= weight(batch);
        let reason = format!("it is over, and of such batches {} items are kept", limits::ITEMS_KEPT_MAX);
        events.push(Event::from(BatchDropped { job: id, reason: reason.into() }));
    }
}

/// Whether items of the batch may still be handled, or still come.
fn is_open(state: &State, id: JobId) -> bool {
    state.job(id).is_some() || state.batch(id).is_some_and(|batch| batch.given && !batch.loaded)
}

pub fn drop_unloaded(state: &State, id: JobId, reason: &str, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    unloaded(state, id, None)?;
    events.push(Event::from(BatchDropped { job: id, reason: reason.into() }));
    Ok(Answer::Done)
}

/// What a new daemon finds of items: those that are handled on stay, all others are to do again; and what did not come
/// in whole goes.
pub fn take_over(state: &State, kept: &BTreeSet<(JobId, u32)>, events: &mut Vec<Event>) {
    for (id, batch) in state.batches() {
        if batch.given && !batch.loaded {
            let reason = "the daemon ended before all of its items had come".into();
            events.push(Event::from(BatchDropped { job: id, reason }));
            continue;
        }
        let lost = batch.flights.iter().filter(|(_, flight)| !kept.contains(&(id, flight.run)));
        let lost: Indices = lost.map(|(item, _)| *item).collect();
        if !lost.is_empty() {
            events.push(Event::from(ItemsReturned { job: id, items: lost }));
        }
    }
}

/// Whether a batch that ended with failed items is to be repaired now.
pub fn is_repair_due(job: &Job, now: Timestamp) -> bool {
    job.is_batch && job.state == JobState::Retryable && job.due <= now
}

/// A sweep repairs a batch.
pub fn repair(state: &State, id: JobId, now: Timestamp, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    if state.job(id).is_some_and(|job| is_repair_due(job, now)) {
        events.push(Event::from(JobDue { job: id }));
    }
    Ok(Answer::Done)
}

/// Why a running job is not started again.
pub fn is_running(job: &Job) -> Rejection {
    match (job.is_batch, job.attempts) {
        (false, _) => Rejection::AlreadyRunning { job: job.id },
        (true, 1) => Rejection::BatchRunning { job: job.id, what: "its run" },
        (true, _) => Rejection::BatchRunning { job: job.id, what: "a repair" },
    }
}

/// Whether a person may have a batch repaired.
pub fn may_be_retried(state: &State, id: JobId, finished: Option<&Finished>) -> Result<(), Rejection> {
    if finished.is_some_and(|finished| finished.view.state == JobState::Completed) && state.job(id).is_none() {
        return Err(Rejection::NothingToRepair { job: id });
    }
    state.batch(id).map(|_| ()).ok_or(Rejection::NoBatch { job: id })
}

/// A batch between two runs is over as soon as all of its items are, of which none has failed: no repair is needed.
/// `counts` are those that it is about to have. One that runs, or is about to, sees to it by itself.
pub fn complete(state: &State, id: JobId, counts: &Counts, events: &mut Vec<Event>) {
    let waits = state.job(id).is_some_and(|job| matches!(job.state, JobState::Retryable | JobState::Interrupted));
    if waits && counts.left() == 0 && state.batch(id).is_some_and(|batch| batch.loaded) {
        events.push(Event::from(JobCompleted { job: id, result: Some(result(counts)), note: None }));
    }
}

/// What a batch came to, as the result of its job.
pub fn result(counts: &Counts) -> Json {
    let numbers: BTreeMap<&str, u32> = [
        ("total", counts.total()),
        ("done", counts.done),
        ("advanced", counts.advanced),
        ("failed", counts.failed),
        ("skipped", counts.skipped()),
    ]
    .into();
    serde_json::to_string(&numbers).map_or_else(|_| Json::null(), Json::trusted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::TaskId;
    use crate::core::policy::TaskPolicy;

    #[test]
    fn batches_without_items_are_not_kept_for_ever() {
        let mut state = State::default();
        let policy = TaskPolicy { batch: Some(BatchPolicy::default()), ..TaskPolicy::default() };
        let mut happen = |event: Event| state.apply(&event, Timestamp(0));
        happen(TaskDefined { task: TaskId(1), name: "mail".into(), policy, next: vec![] }.into());
        let most = limits::ITEMS_KEPT_MAX / limits::ITEMS_PER_BATCH_KEPT;
        for job in (1..=most as u64 + 2).map(JobId) {
            happen(BatchOpened { job, task: TaskId(1) }.into());
            happen(BatchLoaded { job }.into());
        }
        let mut events = Vec::new();
        forget(&state, 0, &mut events);
        let dropped: Vec<JobId> = events
            .iter()
            .filter_map(|event| if let Event::BatchDropped(dropped) = event { Some(dropped.job) } else { None })
            .collect();
        assert_eq!(dropped, [JobId(1), JobId(2)]);
    }
}
