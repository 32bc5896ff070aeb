//! What events about batches do to the state around them: the index of items, and the locks of things.

use super::{Args, Batch, ItemState};
use crate::core::event::{ItemsAdded, ItemsSkipped, ItemsStarted, JobAdded};
use crate::core::id::{JobId, TaskId};
use crate::core::indices::Indices;
use crate::core::json::Json;
use crate::core::state::State;
use crate::core::state::lock::{Holder, LockKey, Template};
use crate::core::time::Timestamp;

impl State {
    /// What a job of this task needs for itself while it runs.
    pub(in crate::core) fn lock_for(&self, task: TaskId, args: &Json) -> Option<LockKey> {
        let policy = &self.task(task)?.policy;
        match &policy.batch {
            Some(batch) => batch.exclusive.as_deref().map(|group| LockKey::Group(group.into())),
            None => {
                let lock = Template::parse(policy.lock.as_deref()?, "args").ok()?;
                lock.render(args.as_str()).map(LockKey::Thing)
            }
        }
    }

    /// What a job needs for itself while it runs. A batch keeps its group, whatever its task says by now: those that run
    /// beside it go by that.
    pub(in crate::core::state) fn lock_of(&self, job: JobId, task: TaskId, args: &Json) -> Option<LockKey> {
        match self.batch(job) {
            Some(batch) => batch.group.clone().map(LockKey::Group),
            None => self.lock_for(task, args),
        }
    }

    /// `given`: its items come before its job.
    pub(in crate::core::state) fn open_batch(&mut self, job: JobId, task: TaskId, given: bool, at: Timestamp) {
        let last = &mut self.durable.scalars.last_job;
        *last = (*last).max(job);
        let Some(task) = self.durable.tasks.get(task) else { return };
        let lock = task.policy.lock.as_deref().and_then(|lock| Template::parse(lock, "item").ok());
        let lock = lock.unwrap_or_else(|| Template::of_task(&task.name));
        let group = task.policy.batch.as_ref().and_then(|batch| batch.exclusive.as_deref().map(Into::into));
        self.durable.batches.insert(job, Batch { given, ..Batch::new(task.id, at, lock, group) });
        self.index.items.insert(job, Default::default());
    }

    /// Whether an added job is a batch; if so, what it is to do is noted.
    pub(in crate::core::state) fn begin_batch(&mut self, added: &JobAdded, at: Timestamp) -> bool {
        let Some(policy) = self.task(added.task).map(|task| task.policy.clone()) else { return false };
        if policy.batch.is_none() {
            return false;
        }
        if !self.durable.batches.contains_key(&added.job) {
            self.open_batch(added.job, added.task, false, at);
        }
        let args = Args::read(&added.args).unwrap_or_default();
        let clears = args.op.is_some_and(|op| policy.clears.iter().any(|clears| **clears == *op));
        self.change_batch(added.job, |batch| batch.restore = args.restore || clears);
        true
    }

    pub(in crate::core::state) fn change_batch(&mut self, id: JobId, change: impl FnOnce(&mut Batch)) {
        if let Some(batch) = self.durable.batches.get_mut(&id) {
            let before = batch.items.len();
            change(batch);
            if batch.items.len() < before {
                // It begins anew, without the items that it had.
                self.index.items.insert(id, Default::default());
            }
        }
    }

    pub(in crate::core::state) fn add_items(&mut self, added: &ItemsAdded) {
        if let Some(batch) = self.durable.batches.get_mut(&added.job) {
            let from = batch.items.len();
            batch.add(&added.items, added.duplicates);
            self.index.items.entry(added.job).or_default().extend(batch, from);
        }
    }

    pub(in crate::core::state) fn drop_batch(&mut self, id: JobId) {
        let held = self.batch(id).map_or_else(Indices::default, |batch| batch.flights.keys().copied().collect());
        self.release_items(id, &held);
        self.durable.batches.remove(&id);
        self.index.items.remove(&id);
    }

    pub(in crate::core::state) fn start_items(&mut self, started: &ItemsStarted) {
        self.change_batch(started.job, |batch| batch.start(started));
        let Some(batch) = self.durable.batches.get(&started.job) else { return };
        let key = |item: u32| Some((item, LockKey::Thing(batch.key(batch.items.get(item)?.text))));
        let keys: Vec<(u32, LockKey)> = started.items.iter().filter_map(key).collect();
        for (item, key) in keys {
            self.acquire(key, Holder::Item { job: started.job, item, advance: started.advance });
        }
    }

    /// A run of which items end has not taken the daemon down with its start. Items that are handled ahead of their turn
    /// say nothing of it; and a job that a person is to look at stays one.
    pub(in crate::core::state) fn note_headway(&mut self, id: JobId, items: &Indices) {
        if self.job(id).is_none_or(|job| job.crashes == 0 || job.cold.rare().held) {
            return;
        }
        let of_run = |item: u32| Some(!self.batch(id)?.flights.get(&item)?.advance);
        if items.iter().filter_map(of_run).any(|of_run| of_run) {
            self.change(id, |job| job.crashes = 0);
        }
    }

    /// Ends the handling of items, whatever came of it.
    pub(in crate::core::state) fn end_items(&mut self, id: JobId, items: &Indices, end: impl FnOnce(&mut Batch)) {
        self.release_items(id, items);
        self.change_batch(id, end);
    }

    fn release_items(&mut self, id: JobId, items: &Indices) {
        let Some(batch) = self.durable.batches.get(&id) else { return };
        let held = items.iter().filter_map(|item| {
            let holder = Holder::Item { job: id, item, advance: batch.flights.get(&item)?.advance };
            Some((LockKey::Thing(batch.key(batch.items.get(item)?.text)), holder))
        });
        let held: Vec<(LockKey, Holder)> = held.collect();
        held.iter().for_each(|(lock, holder)| self.release(lock, *holder));
    }

    pub(in crate::core::state) fn skip_items(&mut self, skipped: &ItemsSkipped) {
        let (state, why) = match skipped.superseded_by {
            Some(newer) => (ItemState::Superseded, format!("superseded: batch {newer} has it")),
            None => (ItemState::Removed, "removed".to_owned()),
        };
        self.change_batch(skipped.job, |batch| batch.skip(&skipped.items, state, &why));
    }
}
