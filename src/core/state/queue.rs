//! What waits and what runs of one task, in the order in which it starts.

use std::collections::BTreeSet;
use std::fmt;

use super::job::Job;
use super::task::Task;
use crate::core::id::JobId;
use crate::core::lifecycle::JobState;
use crate::core::limits;
use crate::core::policy::Overlap;

/// Sorts first what starts first: priority 9, then fewer attempts, then age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    below_top: u8,
    attempts: u16,
    pub job: JobId,
}

impl Rank {
    fn of(job: &Job) -> Rank {
        Rank {
            below_top: limits::PRIORITY_MAX - job.priority.min(limits::PRIORITY_MAX),
            attempts: job.attempts.min(u16::MAX as u32) as u16,
            job: job.id,
        }
    }
}

/// The live jobs of one task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queue {
    /// Available jobs that somebody added.
    added: BTreeSet<Rank>,
    /// Available jobs of occurrences: unless overlap is allowed, one of them at a time.
    occurring: BTreeSet<Rank>,
    /// Available jobs whose lock somebody else holds.
    blocked: BTreeSet<JobId>,
    /// Live jobs of occurrences.
    pub occurrences: BTreeSet<JobId>,
    pub running: BTreeSet<JobId>,
    running_occurrences: u32,
    pub live: u32,
}

/// How many jobs of a task there are, of each kind that a queue tells apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    live: u32,
    available: u32,
    running: u32,
    occurrences: u32,
    running_occurrences: u32,
}

impl Counts {
    /// Counts one more job.
    pub fn add(&mut self, job: &Job) {
        let occurs = u32::from(job.cold.rare().occurrence.is_some());
        let runs = u32::from(job.state == JobState::Running);
        self.live += 1;
        self.available += u32::from(job.state == JobState::Available);
        self.running += runs;
        self.occurrences += occurs;
        self.running_occurrences += runs * occurs;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { live, available, running, occurrences, running_occurrences } = self;
        write!(f, "{live} live, {available} available, {running} running")?;
        write!(f, " ({occurrences} and {running_occurrences} of occurrences)")
    }
}

impl Queue {
    /// The same as inserting each, in the time that it takes to sort them.
    pub(super) fn of(jobs: &[&Job]) -> Queue {
        let is_plain = |job: &Job| job.state == JobState::Available && job.cold.rare().occurrence.is_none();
        let plain = jobs.iter().filter(|job| is_plain(job));
        let added = BTreeSet::from_iter(plain.map(|job| Rank::of(job)));
        let mut queue = Queue { live: added.len() as u32, added, ..Queue::default() };
        jobs.iter().filter(|job| !is_plain(job)).for_each(|job| queue.insert(job));
        queue
    }

    /// Takes in a job of this task.
    pub(super) fn insert(&mut self, job: &Job) {
        self.live += 1;
        if job.cold.rare().occurrence.is_some() {
            self.occurrences.insert(job.id);
        }
        self.line_up(job);
    }

    /// Gives up a job that is no longer live.
    pub(super) fn remove(&mut self, job: &Job) {
        self.live -= 1;
        if job.cold.rare().occurrence.is_some() {
            self.occurrences.remove(&job.id);
        }
        self.step_out(job);
    }

    /// Gives a job the place that its state asks for.
    pub(super) fn line_up(&mut self, job: &Job) {
        let occurs = job.cold.rare().occurrence.is_some();
        match job.state {
            JobState::Available => {
                let line = if occurs { &mut self.occurring } else { &mut self.added };
                line.insert(Rank::of(job));
            }
            JobState::Running => {
                self.running.insert(job.id);
                self.running_occurrences += u32::from(occurs);
            }
            JobState::Scheduled
            | JobState::Retryable
            | JobState::Interrupted
            | JobState::Completed
            | JobState::Discarded
            | JobState::Cancelled => {}
        }
    }

    /// Takes a job out of its place; it stays in the queue.
    pub(super) fn step_out(&mut self, job: &Job) {
        let occurs = job.cold.rare().occurrence.is_some();
        match job.state {
            JobState::Available => {
                let line = if occurs { &mut self.occurring } else { &mut self.added };
                if !line.remove(&Rank::of(job)) {
                    self.blocked.remove(&job.id);
                }
            }
            JobState::Running => {
                self.running.remove(&job.id);
                self.running_occurrences -= u32::from(occurs);
            }
            JobState::Scheduled
            | JobState::Retryable
            | JobState::Interrupted
            | JobState::Completed
            | JobState::Discarded
            | JobState::Cancelled => {}
        }
    }

    /// Takes an available job out of its line for as long as somebody else holds its lock.
    pub(super) fn block(&mut self, job: &Job) {
        self.step_out(job);
        self.blocked.insert(job.id);
    }

    pub(super) fn unblock(&mut self, job: &Job) {
        if self.blocked.remove(&job.id) {
            self.line_up(job);
        }
    }

    /// Whether the job is wherever it belongs in here.
    pub(super) fn contains(&self, job: &Job) -> bool {
        let occurs = job.cold.rare().occurrence.is_some();
        let in_line = match job.state {
            JobState::Available => {
                let line = if occurs { &self.occurring } else { &self.added };
                line.contains(&Rank::of(job)) || self.blocked.contains(&job.id)
            }
            JobState::Running => self.running.contains(&job.id),
            JobState::Scheduled
            | JobState::Retryable
            | JobState::Interrupted
            | JobState::Completed
            | JobState::Discarded
            | JobState::Cancelled => true,
        };
        in_line && (!occurs || self.occurrences.contains(&job.id))
    }

    /// What it says that there is.
    pub fn counts(&self) -> Counts {
        Counts {
            live: self.live,
            available: self.available() as u32,
            running: self.running.len() as u32,
            occurrences: self.occurrences.len() as u32,
            running_occurrences: self.running_occurrences,
        }
    }

    /// Jobs that do not run yet or not any more: what `queue_size` bounds.
    pub fn waiting(&self) -> u32 {
        self.live - self.running.len() as u32
    }

    /// Jobs that wait for nothing but a free place, or a lock.
    pub fn available(&self) -> usize {
        self.added.len() + self.occurring.len() + self.blocked.len()
    }

    /// Whether one more job of the task may run.
    pub fn has_room(&self, task: &Task) -> bool {
        task.is_active() && (self.running.len() as u32) < task.policy.concurrency
    }

    /// Whether this available job may start now, as far as its task goes.
    pub fn may_start(&self, task: &Task, job: &Job) -> bool {
        let occurs = job.cold.rare().occurrence.is_some();
        self.has_room(task) && !(occurs && task.policy.overlap != Overlap::Allow && self.running_occurrences > 0)
    }

    /// The job that starts next, if one may start now.
    pub fn startable(&self, task: &Task) -> Option<JobId> {
        if !self.has_room(task) {
            return None;
        }
        let blocked = task.policy.overlap != Overlap::Allow && self.running_occurrences > 0;
        let occurring = if blocked { None } else { self.occurring.first() };
        [self.added.first(), occurring].into_iter().flatten().min().map(|rank| rank.job)
    }

    /// How many available jobs start before this one, or `None` if it is not available.
    pub fn ahead_of(&self, job: &Job) -> Option<usize> {
        (job.state == JobState::Available).then(|| {
            let rank = Rank::of(job);
            self.added.range(..rank).count() + self.occurring.range(..rank).count()
        })
    }
}
