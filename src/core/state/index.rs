//! What orders and finds the live jobs and the schedules. Derived from [`Durable`], never stored.

use std::collections::{BTreeMap, BTreeSet};

use super::job::Job;
use super::lock::{Holder, LockKey};
use super::locks::ItemIndex;
use super::queue::Queue;
use super::task::Task;
use super::{Durable, Running};
use crate::core::id::{JobId, TaskId};
use crate::core::lifecycle::JobState;
use crate::core::limits;
use crate::core::time::Timestamp;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    pub names: BTreeMap<Box<str>, TaskId>,
    /// Jobs that wait for an instant.
    pub due: BTreeSet<(Timestamp, JobId)>,
    /// Schedules of active tasks by their next instant.
    pub schedules: BTreeSet<(Timestamp, TaskId, u16)>,
    /// Attempts whose start could still take the daemon down, by the instant when that is over.
    pub unsettled: BTreeSet<(Timestamp, JobId)>,
    pub interrupted: BTreeSet<JobId>,
    /// Batches that ended with failed items: sweeps repair them.
    pub repairable: BTreeSet<JobId>,
    /// Live jobs of each task that has any.
    pub queues: BTreeMap<TaskId, Queue>,
    /// Tasks of which a job may start now.
    pub startable: BTreeSet<TaskId>,
    /// Live jobs by state, at its number.
    states: [u64; JobState::ALL.len()],
    /// Live jobs with an idempotency key, by the hash of it.
    keys: BTreeSet<(u64, JobId)>,
    /// Who holds what.
    pub(super) locks: BTreeMap<LockKey, Holder>,
    /// Available jobs by the lock that they need.
    pub(super) wanting: BTreeMap<LockKey, BTreeSet<JobId>>,
    /// The items of batches by the things that they are about.
    pub(super) items: BTreeMap<JobId, ItemIndex>,
}

impl Index {
    pub fn of(durable: &Durable) -> Index {
        let mut index = Index::default();
        for task in durable.tasks.values() {
            index.names.insert(task.name.clone(), task.id);
            index.insert_schedules(task);
        }
        // Sorted runs build the big sets several times faster than one insert after the other, and denser.
        let (mut due, mut keys) = (Vec::new(), Vec::new());
        let mut queues: BTreeMap<TaskId, Vec<&Job>> = BTreeMap::new();
        for job in durable.jobs.iter() {
            match job.state {
                JobState::Retryable if job.is_batch => index.insert_waiting(job),
                JobState::Scheduled | JobState::Retryable => due.push((job.due, job.id)),
                JobState::Available
                | JobState::Running
                | JobState::Interrupted
                | JobState::Completed
                | JobState::Discarded
                | JobState::Cancelled => index.insert_waiting(job),
            }
            index.states[job.state as usize] += 1;
            queues.entry(job.task).or_default().push(job);
            keys.extend(job.cold.rare().key.as_ref().map(|key| (key_hash(key), job.id)));
        }
        index.due = BTreeSet::from_iter(due);
        index.keys = BTreeSet::from_iter(keys);
        index.queues = queues.into_iter().map(|(task, jobs)| (task, Queue::of(&jobs))).collect();
        for (id, running) in &durable.running {
            index.insert_running(*id, running);
        }
        index.find_locks(durable);
        for task in durable.tasks.values() {
            index.refresh(task);
        }
        index
    }

    /// How many live jobs are in this state.
    pub fn in_state(&self, state: JobState) -> u64 {
        self.states[state as usize]
    }

    /// How many keys of live jobs there are.
    pub fn keys_len(&self) -> usize {
        self.keys.len()
    }

    /// Where a live job is not found although it should be.
    pub fn misses(&self, job: &Job) -> Option<&'static str> {
        let is_there = match job.state {
            JobState::Retryable if job.is_batch => self.repairable.contains(&job.id),
            JobState::Scheduled | JobState::Retryable => self.due.contains(&(job.due, job.id)),
            JobState::Interrupted => self.interrupted.contains(&job.id),
            JobState::Available
            | JobState::Running
            | JobState::Completed
            | JobState::Discarded
            | JobState::Cancelled => true,
        };
        if !is_there {
            return Some(if job.state == JobState::Interrupted { "the line of those" } else { "the row of timers" });
        }
        if !self.queues.get(&job.task).is_some_and(|queue| queue.contains(job)) {
            return Some("the queue of its task");
        }
        let key = job.cold.rare().key.as_ref();
        key.filter(|key| !self.keys.contains(&(key_hash(key), job.id))).map(|_| "the index of keys")
    }

    pub(super) fn insert(&mut self, job: &Job) {
        self.states[job.state as usize] += 1;
        self.insert_waiting(job);
        self.queues.entry(job.task).or_default().insert(job);
        self.block_if_held(job);
    }

    pub(super) fn remove(&mut self, job: &Job) {
        self.states[job.state as usize] -= 1;
        self.remove_waiting(job);
        if let Some(queue) = self.queues.get_mut(&job.task) {
            queue.remove(job);
            if queue.live == 0 {
                self.queues.remove(&job.task);
            }
        }
    }

    /// Changes a live job, and with it the places that its state and its instants give it.
    pub(super) fn change(&mut self, job: &mut Job, change: impl FnOnce(&mut Job)) {
        self.states[job.state as usize] -= 1;
        self.remove_waiting(job);
        let queue = self.queues.entry(job.task).or_default();
        queue.step_out(job);
        change(job);
        queue.line_up(job);
        self.states[job.state as usize] += 1;
        self.insert_waiting(job);
        self.block_if_held(job);
    }

    fn insert_waiting(&mut self, job: &Job) {
        match job.state {
            JobState::Retryable if job.is_batch => {
                self.repairable.insert(job.id);
            }
            JobState::Scheduled | JobState::Retryable => {
                self.due.insert((job.due, job.id));
            }
            JobState::Interrupted => {
                self.interrupted.insert(job.id);
            }
            JobState::Available => {
                if let Some(lock) = &job.cold.rare().lock {
                    self.wanting.entry(lock.clone()).or_default().insert(job.id);
                }
            }
            JobState::Running | JobState::Completed | JobState::Discarded | JobState::Cancelled => {}
        }
    }

    fn remove_waiting(&mut self, job: &Job) {
        match job.state {
            JobState::Retryable if job.is_batch => {
                self.repairable.remove(&job.id);
            }
            JobState::Scheduled | JobState::Retryable => {
                self.due.remove(&(job.due, job.id));
            }
            JobState::Interrupted => {
                self.interrupted.remove(&job.id);
            }
            JobState::Available => {
                if let Some(lock) = &job.cold.rare().lock
                    && let Some(jobs) = self.wanting.get_mut(lock)
                {
                    jobs.remove(&job.id);
                    if jobs.is_empty() {
                        self.wanting.remove(lock);
                    }
                }
            }
            JobState::Running | JobState::Completed | JobState::Discarded | JobState::Cancelled => {}
        }
    }

    pub(super) fn insert_running(&mut self, id: JobId, running: &Running) {
        if !running.settled {
            self.unsettled.insert((running.started + limits::SETTLED_AFTER, id));
        }
    }

    pub(super) fn remove_running(&mut self, id: JobId, running: &Running) {
        self.unsettled.remove(&(running.started + limits::SETTLED_AFTER, id));
    }

    pub(super) fn insert_key(&mut self, job: &Job) {
        if let Some(key) = &job.cold.rare().key {
            self.keys.insert((key_hash(key), job.id));
        }
    }

    pub(super) fn remove_key(&mut self, job: &Job) {
        if let Some(key) = &job.cold.rare().key {
            self.keys.remove(&(key_hash(key), job.id));
        }
    }

    /// Jobs whose key may be this one.
    pub fn jobs_with_key(&self, key: &str) -> impl Iterator<Item = JobId> + '_ {
        let hash = key_hash(key);
        self.keys.range((hash, JobId(0))..=(hash, JobId(u64::MAX))).map(|(_, id)| *id)
    }

    pub(super) fn insert_schedules(&mut self, task: &Task) {
        if task.is_active() {
            self.schedules.extend(due_schedules(task));
        }
    }

    pub(super) fn remove_schedules(&mut self, task: &Task) {
        for entry in due_schedules(task) {
            self.schedules.remove(&entry);
        }
    }

    /// Notes whether a job of this task may start now.
    pub(super) fn refresh(&mut self, task: &Task) {
        match self.queues.get(&task.id).and_then(|queue| queue.startable(task)) {
            Some(_) => self.startable.insert(task.id),
            None => self.startable.remove(&task.id),
        };
    }
}

fn due_schedules(task: &Task) -> impl Iterator<Item = (Timestamp, TaskId, u16)> + '_ {
    let numbered = task.schedules.iter().enumerate();
    numbered.filter_map(|(number, schedule)| schedule.next.map(|next| (next, task.id, number as u16)))
}

/// The hash of an idempotency key, the same on every machine and for ever: it is stored in the history.
pub fn key_hash(key: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key.as_bytes())
}
