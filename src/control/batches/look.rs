//! Batches, items and things as the state has them, made into what is shown.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{
    BatchView, HeldBy, ItemFilter, ItemView, OverrideFilter, OverrideView, Own, Page, RepairView, Started, ThingView,
};
use crate::core::id::JobId;
use crate::core::lifecycle::JobState;
use crate::core::rejection::Rejection;
use crate::core::state::batch::{Args, Batch, Item, ItemState};
use crate::core::state::lock::{Holder, LockKey};
use crate::core::state::task::Task;
use crate::core::state::{Durable, State};
use crate::core::time::Timestamp;
use crate::core::view::JobView;
use crate::core::why;

/// What the counts of a batch are, whose items may be forgotten.
#[derive(Clone, Copy, Default)]
struct Counts {
    total: u64,
    done: u64,
    advanced: u64,
    failed: u64,
    skipped: u64,
    todo: u64,
    running: u64,
}

impl Counts {
    fn of(batch: &Batch) -> Counts {
        let counts = &batch.counts;
        Counts {
            total: counts.total().into(),
            done: counts.done.into(),
            advanced: counts.advanced.into(),
            failed: counts.failed.into(),
            skipped: counts.skipped().into(),
            todo: counts.todo.into(),
            running: counts.running.into(),
        }
    }

    /// What its job has kept of them: all of a completed one; of others how many were finished.
    fn kept(job: &JobView) -> Counts {
        let result = job.result.as_ref().map_or("{}", |result| result.as_str());
        let numbers: BTreeMap<String, u64> = serde_json::from_str(result).unwrap_or_default();
        let number = |name| numbers.get(name).copied();
        let total = number("total").unwrap_or(job.progress.total);
        let done = number("done").unwrap_or(job.progress.current);
        let [advanced, failed, skipped] = ["advanced", "failed", "skipped"].map(|name| number(name).unwrap_or(0));
        let todo = total.saturating_sub(done + advanced + failed + skipped);
        Counts { total, done, advanced, failed, skipped, todo, running: 0 }
    }
}

/// A batch, of which the items may be forgotten. `begins`: whether this daemon begins anything now.
pub fn batch(batch: Option<&Batch>, task: Option<&Task>, begins: bool, job: &JobView, now: Timestamp) -> BatchView {
    let args = Args::read(&job.args).unwrap_or_default();
    let counts = batch.map_or_else(|| Counts::kept(job), Counts::of);
    let loaded = batch.is_none_or(|batch| batch.loaded);
    let running = job.state == JobState::Running;
    let repairs = job.attempts.saturating_sub(1);
    let handled = |batch: &Batch| u64::from(batch.run.total).saturating_sub(counts.todo + counts.running);
    let repair = batch.filter(|_| running && loaded && repairs > 0);
    let repair =
        repair.map(|batch| RepairView { number: repairs, total: batch.run.total.into(), done: handled(batch) });
    let end = if running { Some(now) } else { job.finished_at };
    let rate = batch.filter(|batch| loaded && batch.run.started > Timestamp(0)).zip(end).and_then(|(batch, end)| {
        let seconds = end.since(batch.run.started).as_secs_f64();
        // A run that is over and had nothing to handle was neither fast nor slow.
        (seconds > 0.0 && (running || handled(batch) > 0)).then(|| rounded(handled(batch) as f64 / seconds))
    });
    let left = (counts.todo + counts.running) as f64;
    // Nobody knows when a run ends that begins nothing.
    let goes_on = running && task.is_none_or(|task| why::begins_nothing(task, begins).is_none());
    let eta = rate.filter(|rate| goes_on && *rate > 0.0).map(|rate| rounded(left / rate));
    BatchView {
        id: job.id,
        task: job.task.clone(),
        state: job.state,
        op: args.op.or_else(|| only_op(task?)),
        params: args.params,
        restore: batch.map_or(args.restore, |batch| batch.restore),
        loaded,
        total: counts.total,
        done: counts.done,
        advanced: counts.advanced,
        failed: counts.failed,
        skipped: counts.skipped,
        todo: counts.todo,
        running: counts.running,
        rate,
        eta,
        repairs,
        repair,
        error: job.error.clone(),
        created_at: job.created_at,
        started_at: job.started_at,
        finished_at: job.finished_at,
        duplicates: batch.map_or(0, |batch| batch.duplicates.into()),
        exclusive: batch.and_then(|batch| batch.group.clone()),
    }
}

/// Two digits behind the point are enough for people.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// The only operation of a task: what a batch does that names none.
fn only_op(task: &Task) -> Option<Box<str>> {
    match task.policy.batch.as_ref()?.ops.as_slice() {
        [only] => Some(only.as_str().into()),
        _ => None,
    }
}

/// A batch that was started, or was there already.
pub fn started(state: &State, id: JobId, created: bool) -> Started {
    let batch = state.batch(id).filter(|batch| batch.loaded);
    Started {
        id,
        created,
        items: batch.map(|batch| batch.counts.total().into()),
        duplicates: batch.map_or(0, |batch| batch.duplicates.into()),
    }
}

/// From where on the items are that a list shows, and of which batch they are.
///
/// # Errors
/// If the batch or the item that is named is not there.
pub fn find(state: &State, id: JobId, filter: &ItemFilter) -> Result<(Batch, u32), Rejection> {
    let batch = state.batch(id).ok_or(Rejection::NoBatch { job: id })?;
    let place = |item: &str| {
        let place = state.item_with_key(id, &batch.key(item));
        place.ok_or_else(|| Rejection::NoItem { job: id, item: item.into() })
    };
    let from = match (&filter.only, &filter.after) {
        (Some(only), _) => place(only)?,
        (None, Some(after)) => place(after)? + 1,
        (None, None) => 0,
    };
    Ok((batch.clone(), from))
}

/// Items of a batch from a place on.
pub fn items(batch: &Batch, from: u32, filter: &ItemFilter) -> Page<ItemView> {
    if filter.only.is_some() {
        return Page {
            rows: batch.items.get(from).map(|found| item(batch, from, found)).into_iter().collect(),
            more: false,
        };
    }
    // Those that wait for nobody are skipped, whatever for.
    let wanted =
        |state: ItemState| filter.states.is_empty() || filter.states.iter().any(|it| it.name() == state.name());
    let mut found = batch.items.from(from).filter(|(_, found)| wanted(found.state));
    let rows = found.by_ref().take(filter.limit).map(|(place, found)| item(batch, place, found)).collect();
    Page { rows, more: found.next().is_some() }
}

fn item(batch: &Batch, place: u32, found: Item<'_>) -> ItemView {
    ItemView {
        item: found.text.into(),
        state: found.state.name().into(),
        error: batch.notes.get(&place).cloned(),
        attempts: found.handled,
    }
}

/// Who handles a thing, and where it waits.
pub fn thing(state: &State, key: &str) -> ThingView {
    let holder = state.index().holder(&LockKey::Thing(key.into()));
    let held_by = holder.map(|holder| held_by(state, holder));
    let waits = |(id, batch): &(JobId, &Batch)| {
        let item = state.item_with_key(*id, key).and_then(|place| batch.items.get(place));
        let waits = item.is_some_and(|item| matches!(item.state, ItemState::Todo | ItemState::Failed));
        waits && (state.job(*id).is_some() || !batch.loaded)
    };
    let waits_in: Vec<JobId> = state.batches().filter(waits).map(|(id, _)| id).collect();
    let reason = match (&held_by, waits_in.as_slice()) {
        (Some(HeldBy { job, task, what }), _) => match &**what {
            "job" => format!("job {job} of task `{task}` is about it, and runs"),
            "advance" => format!("batch {job} of task `{task}` handles it, ahead of its turn"),
            "repair" => format!("a repair of batch {job} of task `{task}` handles it"),
            _ => format!("batch {job} of task `{task}` handles it"),
        },
        (None, []) => "nobody handles it".to_owned(),
        (None, [only]) => format!("nobody handles it; it waits in batch {only}"),
        (None, several) => format!("nobody handles it; it waits in {} batches", several.len()),
    };
    let own = state.durable().overrides.get(key);
    let own = own.map(|own| Own { params: own.params.clone(), since: own.since });
    ThingView { key: key.into(), free: held_by.is_none(), reason: reason.into(), held_by, waits_in, own }
}

fn held_by(state: &State, holder: Holder) -> HeldBy {
    let job = holder.job();
    // An item that is handled ahead of its turn may still be so when its batch is over.
    let task = state.batch(job).map(|batch| batch.task).or_else(|| state.job(job).map(|job| job.task));
    let task = task.and_then(|task| state.task(task)).map_or_else(Default::default, |task| task.name.clone());
    let what = match holder {
        Holder::Job(_) => "job",
        Holder::Item { advance: true, .. } => "advance",
        Holder::Item { advance: false, .. } if state.job(job).is_some_and(|job| job.attempts > 1) => "repair",
        Holder::Item { advance: false, .. } => "run",
    };
    HeldBy { job, task, what: what.into() }
}

/// Things with parameters of their own, by name.
pub fn overrides(state: &Durable, filter: &OverrideFilter) -> Page<OverrideView> {
    let after = filter.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
    let mut found = state.overrides.range((after, Bound::Unbounded));
    let rows = found.by_ref().take(filter.limit).map(|(key, own)| OverrideView {
        key: key.clone(),
        params: own.params.clone(),
        since: own.since,
    });
    let rows = rows.collect();
    Page { rows, more: found.next().is_some() }
}
