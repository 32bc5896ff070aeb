//! What the server asks of the daemon: one trait, and the shapes of its answers.
//!
//! The answers here are wire formats: a field that is there stays. Jobs and occurrences are shown as
//! [`core::view`](crate::core::view) has them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::batches::Batches;
use crate::core::command::AddJob;
use crate::core::id::{JobId, Seq, TaskId};
use crate::core::lifecycle::JobState;
use crate::core::rejection::Rejection;
use crate::core::repair::{Door, Report};
use crate::core::time::Timestamp;
use crate::core::view::{JobView, OccurrenceView, Progress};
use crate::engine::{self, Committed};

pub use super::status::*;

/// Why the daemon did not do what it was asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The core says no. Nothing has changed.
    Rejected(Rejection),
    /// There is no output of this job, or not of that attempt.
    NoOutput { job: JobId },
    /// The config has errors, each with its place; the last good one stays.
    Config { errors: Vec<String> },
    /// A value that only the daemon can judge is wrong.
    Invalid(String),
    /// The engine has stopped.
    Gone,
    /// The daemon failed: a file that cannot be read, a broken rule of ours.
    Failed(String),
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        Refusal::Rejected(rejection)
    }
}

impl From<engine::Refusal> for Refusal {
    fn from(refusal: engine::Refusal) -> Refusal {
        match refusal {
            engine::Refusal::Rejected(rejection) => Refusal::Rejected(rejection),
            engine::Refusal::Gone(gone) => gone.into(),
        }
    }
}

impl From<engine::Gone> for Refusal {
    fn from(_: engine::Gone) -> Refusal {
        Refusal::Gone
    }
}

/// The daemon as the server sees it. What changes the state is durable when the future is done, and
/// what is shown is as of a durable commit.
pub trait Service: Batches {
    /// The wall clock: for `since`, and for the `Date` of answers.
    fn now(&self) -> Timestamp;
    /// Whether the engine takes commands.
    fn health(&self) -> BoxFuture<'_, Result<(), Refusal>>;
    fn status(&self) -> BoxFuture<'_, Result<Status, Refusal>>;
    /// Sweeps, or joins the sweep of the same kind that runs already.
    fn repair(&self, door: Door, dry_run: bool) -> BoxFuture<'_, Result<Report, Refusal>>;
    /// What the last sweep found and did, whoever asked for it. One that runs is waited for.
    fn last_repair(&self) -> BoxFuture<'_, Result<Swept, Refusal>>;
    /// Reads the config anew and takes it over; `wait`: answered after the sweep that follows.
    fn reload(&self, wait: bool) -> BoxFuture<'_, Result<Reloaded, Refusal>>;
    /// From now on starts no attempt, until it is reloaded or started again; `kill`: ends those that run.
    fn drain(&self, kill: bool) -> BoxFuture<'_, Result<Drained, Refusal>>;

    /// Adds one job.
    fn add_one(&self, job: AddJob) -> BoxFuture<'_, Result<Added, Refusal>>;
    /// Adds many in one command, answered in order; one that is refused does not keep the others out.
    fn add(&self, jobs: Vec<AddJob>) -> BoxFuture<'_, Result<Vec<Result<Added, Rejection>>, Refusal>>;
    fn cancel(&self, job: JobId, reason: Box<str>) -> BoxFuture<'_, Result<(), Refusal>>;
    fn retry(&self, job: JobId) -> BoxFuture<'_, Result<(), Refusal>>;
    fn progress(&self, job: JobId, attempt: Option<u32>, progress: Progress) -> BoxFuture<'_, Result<(), Refusal>>;

    /// A job, live or from the history; [`Rejection::NotFound`] if it is in neither.
    fn job(&self, job: JobId) -> BoxFuture<'_, Result<JobView, Refusal>>;
    /// Live jobs that match, newest first: a page of them.
    fn live_jobs(&self, filter: JobFilter) -> BoxFuture<'_, Result<JobPage, Refusal>>;
    /// Finished jobs that match, newest first: a page of them. Asked after [`Service::live_jobs`]: a job
    /// that has left the live ones before that must be found here.
    fn finished_jobs(&self, filter: JobFilter) -> BoxFuture<'_, Result<JobPage, Refusal>>;
    /// One sentence: why the job is not running now, or why it ran.
    fn why(&self, job: JobId) -> BoxFuture<'_, Result<String, Refusal>>;
    /// What an attempt printed (the last one's by default); with `follow`, until the attempt is over.
    fn output(&self, job: JobId, attempt: Option<u32>, follow: bool) -> BoxFuture<'_, Result<Output, Refusal>>;

    /// All tasks by name; those no longer in the config that still have jobs as well.
    fn tasks(&self) -> BoxFuture<'_, Result<Vec<TaskView>, Refusal>>;
    fn pause(&self, task: Box<str>) -> BoxFuture<'_, Result<(), Refusal>>;
    fn resume(&self, task: Box<str>) -> BoxFuture<'_, Result<(), Refusal>>;
    /// Coming occurrences after `from`, of one task or all, soonest first.
    fn next(&self, filter: NextFilter) -> BoxFuture<'_, Result<Vec<Coming>, Refusal>>;
    /// Decided occurrences of a task, newest first; [`Rejection::UnknownTask`] if it has never been one.
    fn occurrences(&self, filter: OccurrenceFilter) -> BoxFuture<'_, Result<Vec<OccurrenceView>, Refusal>>;

    /// The names of all tasks that events may speak of.
    fn task_names(&self) -> BoxFuture<'_, Result<BTreeMap<TaskId, Box<str>>, Refusal>>;
    /// The number of the last durable commit.
    fn last_seq(&self) -> BoxFuture<'_, Result<Seq, Refusal>>;
    /// Durable commits from `from` (or the oldest kept after it) to the end as it is now.
    fn journal(&self, from: Seq) -> BoxFuture<'_, Result<Commits, Refusal>>;
    /// A commit before which the journal says nothing of a job, and not many before it is added.
    fn journal_begin(&self, job: JobId) -> BoxFuture<'_, Result<Seq, Refusal>>;
    /// Every commit from now on, once it is durable. Closed when the engine stops.
    fn feed(&self) -> broadcast::Receiver<Arc<Committed>>;
    /// Walks the journal's chain and compares a replay with the projections.
    fn verify(&self) -> BoxFuture<'_, Result<Verified, Refusal>>;
}

/// A daemon that starts nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// Attempts that still run.
    pub running: u64,
}

/// Pieces of an output as they are read.
pub type Output = BoxStream<'static, io::Result<Bytes>>;

/// Commits as they are read from the journal.
pub type Commits = BoxStream<'static, Result<Arc<Committed>, Refusal>>;

/// What became of a job that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    pub id: JobId,
    /// `false`: it was there already, by its key.
    pub created: bool,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobFilter {
    /// None: every state.
    pub states: Vec<JobState>,
    pub task: Option<Box<str>>,
    /// Added at or after this instant.
    pub since: Option<Timestamp>,
    /// Only smaller numbers than this one.
    pub before: Option<JobId>,
    /// Only live jobs whose task is no longer in the config.
    pub orphaned: bool,
    pub limit: usize,
}

/// The newest of the jobs that match: at most `limit`, and at most as many as are good to have in memory at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobPage {
    pub jobs: Vec<JobView>,
    /// There may be others, with smaller numbers than these.
    pub more: bool,
}

impl JobFilter {
    /// Whether a job is among them; `limit` and `orphaned` aside.
    pub fn takes(&self, id: JobId, state: JobState, task: &str, created_at: Timestamp) -> bool {
        (self.states.is_empty() || self.states.contains(&state))
            && self.task.as_deref().is_none_or(|wanted| wanted == task)
            && self.since.is_none_or(|since| created_at >= since)
            && self.before.is_none_or(|before| id < before)
    }

    /// Whether a finished (or a live) job can be among them at all.
    pub fn wants(&self, finished: bool) -> bool {
        !(finished && self.orphaned)
            && (self.states.is_empty() || self.states.iter().any(|state| state.is_finished() == finished))
    }
}

/// Which coming occurrences to list.
#[derive(Clone, Debug, PartialEq)]
pub struct NextFilter {
    pub task: Option<Box<str>>,
    pub from: Timestamp,
    pub count: usize,
}

/// Which occurrences of the ledger to list.
#[derive(Clone, Debug, PartialEq)]
pub struct OccurrenceFilter {
    pub task: Box<str>,
    pub since: Option<Timestamp>,
    pub limit: usize,
}

/// A config that was taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// What is different now, a sentence each.
    pub changes: Vec<String>,
    /// What has changed in the files and takes a restart of the daemon.
    pub after_restart: Vec<String>,
    /// What seems wrong and is no error, each with its place.
    pub warnings: Vec<String>,
    /// The sweep that followed, if it was waited for.
    pub sweep: Option<LastSweep>,
}

/// The last sweep that is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    #[serde(flatten)]
    pub report: Report,
    /// If that one found nothing: the last one before it that did.
    pub earlier: Option<Report>,
}

/// A coming occurrence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coming {
    pub task: Box<str>,
    pub at: Timestamp,
}

/// A task as it is defined, and how it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    pub task: Box<str>,
    /// What it runs: `command`, `shell`, or the name of a worker.
    pub handler: Box<str>,
    pub schedule: Vec<Box<str>>,
    pub timezone: Box<str>,
    /// Its next occurrence.
    pub next: Option<Timestamp>,
    pub paused_at: Option<Timestamp>,
    /// No longer in the config; its jobs wait for its return.
    pub removed: bool,
    pub running: u64,
    /// Live jobs that do not run.
    pub waiting: u64,
    pub concurrency: u32,
    pub queue_size: u32,
    pub priority: u8,
    pub attempts: u32,
}

/// What walking the journal has shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    pub ok: bool,
    /// The oldest and the newest commit.
    pub first: Seq,
    pub last: Seq,
    pub commits: u64,
    pub events: u64,
    /// What is wrong, a sentence each.
    pub problems: Vec<Box<str>>,
}
