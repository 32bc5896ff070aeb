//! Who holds which lock, who waits for it, and which items are about a thing. Derived, like all of the index.

use std::collections::BTreeSet;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::batch::Batch;
use super::index::Index;
use super::job::Job;
use super::lock::{Holder, LockKey};
use super::{Durable, State};
use crate::core::id::{JobId, TaskId};
use crate::core::lifecycle::JobState;

/// The places of a batch's items, each with the hash of the name of the thing that it is about: about fifteen bytes an
/// item. With the hashes at hand it grows without making all the names anew, for which everybody would have to wait.
#[derive(Clone, Debug, Default)]
pub struct ItemIndex(HashTable<(u32, u32)>);

/// Half of a hash, which is what is kept.
fn short(key: &str) -> u32 {
    xxh3_64(key.as_bytes()) as u32
}

/// What is kept of a hash, spread over as many bits as the table asks for.
fn spread(short: u32) -> u64 {
    u64::from(short).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// It is derived from the items: two that have as many of them are the same.
impl PartialEq for ItemIndex {
    fn eq(&self, other: &ItemIndex) -> bool {
        self.0.len() == other.0.len()
    }
}

impl ItemIndex {
    fn find(&self, batch: &Batch, key: &str) -> Option<u32> {
        let wanted = short(key);
        let is_it = |(short, place): &(u32, u32)| {
            *short == wanted && batch.items.get(*place).is_some_and(|item| *batch.key(item.text) == *key)
        };
        self.0.find(spread(wanted), is_it).map(|(_, place)| *place)
    }

    /// Takes in the items from this place on.
    pub(super) fn extend(&mut self, batch: &Batch, from: u32) {
        for (place, item) in batch.items.from(from) {
            let short = short(&batch.key(item.text));
            self.0.insert_unique(spread(short), (short, place), |(short, _)| spread(*short));
        }
    }
}

impl Index {
    pub(super) fn find_locks(&mut self, durable: &Durable) {
        for (id, batch) in &durable.batches {
            self.items.entry(*id).or_default().extend(batch, 0);
            for (place, flight) in &batch.flights {
                if let Some(item) = batch.items.get(*place) {
                    let holder = Holder::Item { job: *id, item: *place, advance: flight.advance };
                    self.locks.insert(LockKey::Thing(batch.key(item.text)), holder);
                }
            }
        }
        let jobs = durable.jobs.iter();
        for job in jobs.filter(|job| job.state == JobState::Running) {
            if let Some(lock) = &job.cold.rare().lock {
                self.locks.insert(lock.clone(), Holder::Job(job.id));
            }
        }
        let held = self.wanting.iter().filter(|(lock, _)| self.locks.contains_key(lock));
        let blocked: BTreeSet<JobId> = held.flat_map(|(_, jobs)| jobs).copied().collect();
        for job in blocked.iter().filter_map(|id| durable.jobs.get(*id)) {
            self.queues.entry(job.task).or_default().block(job);
        }
    }

    /// Who holds a lock.
    pub fn holder(&self, lock: &LockKey) -> Option<Holder> {
        self.locks.get(lock).copied()
    }

    /// Available jobs that need a lock.
    pub fn wanting(&self, lock: &LockKey) -> impl Iterator<Item = JobId> + '_ {
        self.wanting.get(lock).into_iter().flatten().copied()
    }

    pub(super) fn item_with_key(&self, id: JobId, batch: &Batch, key: &str) -> Option<u32> {
        self.items.get(&id)?.find(batch, key)
    }

    pub(super) fn block_if_held(&mut self, job: &Job) {
        if job.state == JobState::Available
            && let Some(lock) = &job.cold.rare().lock
            && self.locks.contains_key(lock)
        {
            self.queues.entry(job.task).or_default().block(job);
        }
    }
}

impl State {
    /// Notes that a lock is held, and takes those who wait for it out of their lines.
    pub(super) fn acquire(&mut self, lock: LockKey, holder: Holder) {
        let others: Vec<JobId> = self.index.wanting(&lock).collect();
        self.index.locks.insert(lock, holder);
        self.each_waiting(&others, |index, job| index.queues.entry(job.task).or_default().block(job));
    }

    /// Gives a lock up, if it is this one's, and those who wait for it back to their lines.
    pub(super) fn release(&mut self, lock: &LockKey, holder: Holder) {
        if self.index.holder(lock) != Some(holder) {
            return;
        }
        self.index.locks.remove(lock);
        let others: Vec<JobId> = self.index.wanting(lock).collect();
        self.each_waiting(&others, |index, job| index.queues.entry(job.task).or_default().unblock(job));
    }

    fn each_waiting(&mut self, jobs: &[JobId], each: impl Fn(&mut Index, &Job)) {
        let mut tasks: BTreeSet<TaskId> = BTreeSet::new();
        for id in jobs {
            if let Some(job) = self.durable.jobs.get(*id) {
                each(&mut self.index, job);
                tasks.insert(job.task);
            }
        }
        tasks.into_iter().for_each(|task| self.refresh(task));
    }
}
