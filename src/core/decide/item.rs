//! Items of batches, and the things that they are about: which are handled next, what became of them, what a person
//! does with one of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{attempt, batch};
use crate::core::command::{Answer, ItemEnd, ItemOrder, ItemOutcome, ItemRun};
use crate::core::event::*;
use crate::core::id::JobId;
use crate::core::indices::Indices;
use crate::core::json::Json;
use crate::core::lifecycle::JobState;
use crate::core::policy::{BatchPolicy, TaskPolicy};
use crate::core::rejection::Rejection;
use crate::core::state::State;
use crate::core::state::batch::{Batch, Counts, ItemState};
use crate::core::state::job::Job;
use crate::core::state::lock::LockKey;
use crate::core::state::task::Task;
use crate::core::time::Timestamp;
use crate::core::{limits, retry};

/// Items of a run that are looked at for one answer, besides those that it begins: the rest is looked at next time.
const LOOKED_AT_MAX: usize = 4 * limits::ITEMS_PER_COMMAND_MAX;

/// What the run of a batch begins next: up to `want` handlings of `chunk` items; the end of the run if nothing is left.
pub fn next(
    state: &State,
    id: JobId,
    attempt: u32,
    (want, chunk): (u32, u32),
    now: Timestamp,
    events: &mut Vec<Event>,
) -> Result<Answer, Rejection> {
    let job = state.job(id).ok_or(Rejection::NotFound { job: id })?;
    let running = state.running(id).filter(|running| running.attempt == attempt);
    let running = running.ok_or(Rejection::StaleAttempt { job: id })?;
    let batch = state.batch(id).ok_or(Rejection::NoBatch { job: id })?;
    let task = state.task(job.task).ok_or(Rejection::NotFound { job: id })?;
    let under_way = batch.flights.len() as u32;
    let nothing = Answer::Items { runs: Vec::new(), wake: None, under_way };
    if !batch.loaded || running.stopping.is_some() {
        return Ok(nothing);
    }
    let fallback = BatchPolicy::default();
    let policy = task.policy.batch.as_ref().unwrap_or(&fallback);
    let (failed, total) = (batch.counts.failed, batch.counts.total());
    let too_many = policy.max_failures.is_some_and(|max| max.is_exceeded(failed, total));
    if batch.flights.is_empty() && (batch.counts.todo == 0 || too_many) {
        events.push(end(state, job, batch, too_many, now));
        return Ok(Answer::Over);
    }
    if too_many || task.paused_at.is_some() || want == 0 {
        return Ok(nothing);
    }
    Ok(Choice::new(state, id, batch, now).begin(want, chunk.max(1), events))
}

/// How a run ends of which nothing is left, or too much has failed.
fn end(state: &State, job: &Job, batch: &Batch, too_many: bool, now: Timestamp) -> Event {
    let (failed, total) = (batch.counts.failed, batch.counts.total());
    if failed == 0 {
        return Event::from(JobCompleted { job: job.id, result: Some(batch::result(&batch.counts)), note: None });
    }
    let error = match too_many {
        true => {
            format!("stopped, as too many items failed: {failed} of {total}, and {} are still to do", batch.counts.todo)
        }
        false => format!("{failed} of {total} items failed"),
    };
    attempt::failed(state, job, &error, now)
}

/// Chooses what a run begins.
struct Choice<'a> {
    state: &'a State,
    id: JobId,
    batch: &'a Batch,
    now: Timestamp,
    /// Newer batches of its group, and whether they have begun.
    newer: Vec<(JobId, &'a Batch, bool)>,
    /// The locks of what is chosen.
    taken: BTreeSet<LockKey>,
    chosen: Vec<u32>,
    superseded: BTreeMap<JobId, Vec<u32>>,
}

impl<'a> Choice<'a> {
    fn new(state: &'a State, id: JobId, batch: &'a Batch, now: Timestamp) -> Choice<'a> {
        let newer = state
            .batches()
            .filter(|(other, it)| *other > id && batch.group.is_some() && it.group == batch.group && it.loaded)
            .map(|(other, it)| (other, it, it.run.started > Timestamp(0)));
        let newer = newer.collect();
        let (taken, chosen, superseded) = (BTreeSet::new(), Vec::new(), BTreeMap::new());
        Choice { state, id, batch, now, newer, taken, chosen, superseded }
    }

    fn begin(mut self, want: u32, chunk: u32, events: &mut Vec<Event>) -> Answer {
        let most = (want as usize).saturating_mul(chunk as usize).min(limits::ITEMS_PER_COMMAND_MAX);
        let batch = self.batch;
        let due = batch.later.iter().take_while(|(at, _)| *at <= self.now).map(|(_, item)| *item);
        let ahead = batch.items.todo_from(batch.cursor);
        // A copy, as the choice is written to while it goes through them; the first few thousand of each at most.
        let candidates: Vec<u32> = due.chain(batch.behind.iter().copied()).take(LOOKED_AT_MAX).collect();
        for item in candidates.into_iter().chain(ahead).take(LOOKED_AT_MAX) {
            if self.chosen.len() == most {
                break;
            }
            self.consider(item);
        }
        // What was looked at and is neither begun nor superseded is held by others; more may lie behind it.
        let wake = match self.superseded.is_empty() {
            false => Some(self.now),
            true => batch.later.range((Timestamp(self.now.0.saturating_add(1)), 0)..).next().map(|(at, _)| *at),
        };
        for (newer, items) in std::mem::take(&mut self.superseded) {
            let items = Indices::of(items);
            events.push(Event::from(ItemsSkipped { job: self.id, items, superseded_by: Some(newer) }));
        }
        let under_way = batch.flights.len() as u32;
        Answer::Items { runs: self.start(chunk, events), wake, under_way }
    }

    fn consider(&mut self, item: u32) {
        let Some(found) = self.batch.items.get(item).filter(|found| found.state == ItemState::Todo) else { return };
        let key = self.batch.key(found.text);
        if let Some(newer) = self.superseded_by(&key) {
            self.superseded.entry(newer).or_default().push(item);
            return;
        }
        let lock = LockKey::Thing(key);
        if self.state.index().holder(&lock).is_none() && self.taken.insert(lock) {
            self.chosen.push(item);
        }
    }

    fn superseded_by(&self, key: &str) -> Option<JobId> {
        let has = |(id, newer, begun): &&(JobId, &Batch, bool)| {
            let item = self.state.item_with_key(*id, key).and_then(|place| newer.items.get(place));
            match item.map(|item| item.state) {
                // Also of one that has not begun: it was handled ahead of its turn.
                Some(ItemState::Done | ItemState::Advanced | ItemState::Running | ItemState::Failed) => true,
                // One that is over without having come to it leaves it to others.
                Some(ItemState::Todo) => *begun && self.state.job(*id).is_some(),
                Some(ItemState::Removed | ItemState::Superseded) | None => false,
            }
        };
        self.newer.iter().find(has).map(|(id, ..)| *id)
    }

    fn start(mut self, chunk: u32, events: &mut Vec<Event>) -> Vec<ItemRun> {
        if self.chosen.is_empty() {
            return Vec::new();
        }
        self.chosen.sort_unstable();
        let first_run = self.batch.last_run + 1;
        let order = |place: &u32| {
            let order = self.state.item_order(self.id, *place)?;
            Some(ItemOrder { attempt: order.attempt.saturating_add(1), ..order })
        };
        let runs = self.chosen.chunks(chunk as usize).zip(first_run..);
        let runs = runs.map(|(items, run)| ItemRun { run, items: items.iter().filter_map(order).collect() }).collect();
        let items = self.chosen.iter().copied().collect();
        events.push(Event::from(ItemsStarted { job: self.id, first_run, chunk, advance: false, items }));
        runs
    }
}

/// What became of items. Reports about handlings that are over say nothing.
pub fn ended(
    state: &State,
    id: JobId,
    ended: &[ItemEnd],
    now: Timestamp,
    events: &mut Vec<Event>,
) -> Result<Answer, Rejection> {
    let batch = state.batch(id).ok_or(Rejection::NoBatch { job: id })?;
    let (mut done, mut returned) = (Vec::new(), Vec::new());
    for end in ended {
        let Some(flight) = batch.flights.get(&end.item).filter(|flight| flight.run == end.run) else { continue };
        match &end.outcome {
            ItemOutcome::Done => done.push(end.item),
            ItemOutcome::Returned => returned.push(end.item),
            ItemOutcome::Failed { error } => {
                let error = limits::cut(error.to_string(), limits::ITEM_ERROR_BYTES_MAX).into();
                let retry_at = if flight.advance { None } else { again_at(state, id, batch, end.item, now) };
                events.push(Event::from(ItemFailed { job: id, item: end.item, error, retry_at }));
            }
        }
    }
    let cleared = done.iter().filter(|_| batch.restore && !state.durable().overrides.is_empty());
    let cleared = cleared.filter_map(|item| Some(batch.key(batch.items.get(*item)?.text)));
    let cleared: Vec<Box<str>> = cleared.filter(|key| state.durable().overrides.contains_key(key)).collect();
    let done = Indices::of(done);
    let handled = |counts: Counts, item: u32| {
        let advance = batch.flights.get(&item).is_some_and(|flight| flight.advance);
        counts.moved(ItemState::Running, if advance { ItemState::Advanced } else { ItemState::Done })
    };
    let counts = done.iter().fold(batch.counts, handled);
    if !done.is_empty() {
        events.push(Event::from(ItemsDone { job: id, items: done }));
    }
    if !returned.is_empty() {
        events.push(Event::from(ItemsReturned { job: id, items: Indices::of(returned) }));
    }
    events.extend(cleared.into_iter().map(|key| Event::from(OverrideCleared { key })));
    batch::complete(state, id, &counts, events);
    Ok(Answer::Done)
}

/// When the same run handles a failed item again, if it does.
fn again_at(state: &State, id: JobId, batch: &Batch, item: u32, now: Timestamp) -> Option<Timestamp> {
    let policy = state.task(batch.task)?.policy.batch.as_ref()?;
    let failures = u32::from(batch.items.get(item)?.failed) + 1;
    let goes_on = state.running(id).is_some_and(|running| running.stopping.is_none());
    (goes_on && failures < policy.attempts).then(|| now + retry::delay(&policy.backoff, id, failures))
}

/// Handles an item ahead of its turn.
pub fn advance(state: &State, id: JobId, text: &str, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let batch = state.batch(id).filter(|batch| batch.loaded).ok_or(Rejection::NoBatch { job: id })?;
    let key = batch.key(text);
    let place = state.item_with_key(id, &key).ok_or_else(|| Rejection::NoItem { job: id, item: text.into() })?;
    let found = batch.items.get(place).ok_or_else(|| Rejection::NoItem { job: id, item: text.into() })?;
    let state_name = match found.state {
        ItemState::Todo | ItemState::Failed if state.job(id).is_some() => None,
        ItemState::Todo | ItemState::Failed => Some("not handled any more, as the batch is over"),
        ItemState::Running => Some("being handled"),
        ItemState::Done | ItemState::Advanced => Some("done"),
        ItemState::Removed | ItemState::Superseded => Some("skipped"),
    };
    if let Some(state) = state_name {
        return Err(Rejection::ItemNotWaiting { job: id, item: text.into(), state });
    }
    if let Some(holder) = state.index().holder(&LockKey::Thing(key.clone())) {
        return Err(Rejection::ItemHeld { key, job: holder.job() });
    }
    let items = std::iter::once(place).collect();
    events.push(Event::from(ItemsStarted { job: id, first_run: batch.last_run + 1, chunk: 1, advance: true, items }));
    Ok(Answer::Done)
}

/// Takes a thing out of every batch in which it waits.
pub fn remove(state: &State, key: &str, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    if let Some(holder) = state.index().holder(&LockKey::Thing(key.into())) {
        return Err(Rejection::ItemHeld { key: key.into(), job: holder.job() });
    }
    let mut batches = 0;
    for (id, batch) in state.batches() {
        let Some(place) = state.item_with_key(id, key) else { continue };
        match batch.items.get(place).map(|item| item.state) {
            Some(waiting @ (ItemState::Todo | ItemState::Failed)) => {
                let items = std::iter::once(place).collect();
                events.push(Event::from(ItemsSkipped { job: id, items, superseded_by: None }));
                batch::complete(state, id, &batch.counts.moved(waiting, ItemState::Removed), events);
                batches += 1;
            }
            Some(
                ItemState::Running | ItemState::Done | ItemState::Advanced | ItemState::Removed | ItemState::Superseded,
            )
            | None => {}
        }
    }
    clear(state, key, events);
    Ok(Answer::Removed { batches })
}

fn clear(state: &State, key: &str, events: &mut Vec<Event>) {
    if state.durable().overrides.contains_key(key) {
        events.push(Event::from(OverrideCleared { key: key.into() }));
    }
}

pub fn set_override(state: &State, key: &str, params: &Json, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let overrides = &state.durable().overrides;
    if overrides.len() >= limits::OVERRIDES_MAX && !overrides.contains_key(key) {
        return Err(Rejection::TooManyOverrides);
    }
    events.push(Event::from(OverrideSet { key: key.into(), params: params.clone() }));
    Ok(Answer::Done)
}

pub fn restore(state: &State, key: &str, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    if !state.durable().overrides.contains_key(key) {
        return Err(Rejection::NoOverride { key: key.into() });
    }
    clear(state, key, events);
    Ok(Answer::Done)
}

/// What a completed job with these arguments does to the parameters of its thing.
enum Marks {
    /// It turned the operation off: the thing is at the default again.
    Clear,
    /// It set the thing by itself: the thing is custom, and these are its parameters.
    Custom(Json),
    Nothing,
}

impl Marks {
    fn of(policy: &TaskPolicy, args: &Json) -> Marks {
        let known: BTreeMap<String, serde_json::Value> = serde_json::from_str(args.as_str()).unwrap_or_default();
        let op = known.get("op").and_then(|op| op.as_str());
        if op.is_some_and(|op| policy.clears.iter().any(|clears| clears == op)) {
            return Marks::Clear;
        }
        match policy.custom {
            true => {
                let params = known.get("params").map(|params| Json::trusted(params.to_string()));
                Marks::Custom(params.unwrap_or_else(|| args.clone()))
            }
            false => Marks::Nothing,
        }
    }
}

/// Whether what a job of this task would leave its thing marked with is within the bound.
pub fn may_mark(task: &Task, args: &Json) -> Result<(), Rejection> {
    match Marks::of(&task.policy, args) {
        Marks::Custom(params) if params.as_str().len() > limits::OVERRIDE_BYTES_MAX => {
            Err(Rejection::OverrideTooLarge { task: task.name.clone(), bytes: params.as_str().len() })
        }
        Marks::Custom(_) | Marks::Clear | Marks::Nothing => Ok(()),
    }
}

/// A completed job that set a thing by itself leaves it marked as custom; one that turned the operation off leaves it
/// at the default.
pub fn mark(state: &State, job: &Job, events: &mut Vec<Event>) {
    let Some(LockKey::Thing(key)) = &job.cold.rare().lock else { return };
    let Some(task) = state.task(job.task) else { return };
    match Marks::of(&task.policy, &job.cold.args) {
        Marks::Clear => clear(state, key, events),
        Marks::Custom(params) => {
            // The task may have become `custom` after the job was added.
            if params.as_str().len() <= limits::OVERRIDE_BYTES_MAX && job.state == JobState::Running {
                let _: Result<Answer, Rejection> = set_override(state, key, &params, events);
            }
        }
        Marks::Nothing => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::state::batch::Args;

    #[test]
    fn what_a_batch_is_told_to_do_can_be_read_back() {
        let args = Args { op: Some("on".into()), params: Some(Json::trusted(r#"{"length":8}"#)), restore: true };
        assert_eq!(args.to_json().as_str(), r#"{"op":"on","params":{"length":8},"restore":true}"#);
        assert_eq!(Args::read(&args.to_json()), Ok(args));
        assert_eq!(Args::read(&Json::null()), Ok(Args::default()));
        assert!(Args::read(&Json::trusted(r#"{"items":[]}"#)).is_err());
    }
}
