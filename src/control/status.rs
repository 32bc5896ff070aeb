//! How the daemon is: the answer of `/v1/status`. A wire format: a field that is there stays.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::service::Coming;
use crate::core::id::{JobId, Seq};
use crate::core::repair::{Door, Report};
use crate::core::time::{Timestamp, seconds};
use crate::core::view::JobView;

/// How the daemon is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    pub version: Box<str>,
    pub pid: u32,
    pub health: Health,
    /// `running` or `stopping`.
    pub state: Box<str>,
    pub now: Timestamp,
    pub started_at: Timestamp,
    #[serde(with = "seconds")]
    pub uptime: Duration,
    /// `false`: this daemon takes jobs in and starts none.
    pub execution: bool,
    /// Somebody has drained it: it starts none until it is reloaded or started again.
    #[serde(default)]
    pub drained: bool,
    /// Calls for items that are handled ahead of their turn, and by no run of a batch.
    #[serde(default)]
    pub advancing: u64,
    /// The last durable commit.
    pub seq: Seq,
    pub jobs: JobCounts,
    pub tasks: TaskCounts,
    /// What runs now, the longest first; at most [`SHOWN_MAX`].
    pub running: Vec<JobView>,
    /// What waits for a person; at most [`SHOWN_MAX`], the oldest kinds of trouble first.
    pub waiting: Vec<Waiting>,
    /// Jobs of all that waits for a person, shown or not.
    pub waiting_jobs: u64,
    /// Tasks of which occurrences were missed or skipped within the last day; at most [`SHOWN_MAX`].
    pub missed: Vec<Missed>,
    /// The soonest coming occurrence.
    pub next: Option<Coming>,
    /// The soonest occurrence of each of the schedules that come next; at most [`SHOWN_MAX`].
    pub coming: Vec<Coming>,
    pub last_sweep: Option<LastSweep>,
    /// Why it is degraded, a sentence each: first what is wrong with the daemon itself, then one for each of `waiting` that
    /// [degrades](WaitingKind::degrades) it. Empty: all is well.
    pub problems: Vec<Box<str>>,
    pub state_dir: Box<str>,
    pub disk: Disk,
}

impl Status {
    /// What is wrong with the daemon itself.
    pub fn own_problems(&self) -> &[Box<str>] {
        let waiting = self.waiting.iter().filter(|one| one.kind.degrades()).count();
        &self.problems[..self.problems.len().saturating_sub(waiting)]
    }
}

/// Rows that each list of a [`Status`] has at most.
pub const SHOWN_MAX: usize = 10;

/// Whether somebody has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing is to be done.
    Healthy,
    /// It works, and something stays as it is until somebody does something about it: a problem of the daemon, or jobs that
    /// are held, interrupted or orphaned.
    Degraded,
    /// It takes no work any more.
    Stopping,
}

impl Health {
    /// The word for it, everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Health::Healthy => "healthy",
            Health::Degraded => "degraded",
            Health::Stopping => "stopping",
        }
    }
}

/// Jobs of one task that wait for a person for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub kind: WaitingKind,
    pub task: Box<str>,
    /// How many jobs.
    pub jobs: u64,
    /// The newest of them, if they are known one by one.
    pub job: Option<JobId>,
    /// Why that one waits.
    pub reason: Box<str>,
    /// What to type: one of these.
    pub commands: Vec<Box<str>>,
}

impl Waiting {
    /// The same as a sentence.
    pub fn sentence(&self) -> String {
        let Waiting { kind, task, jobs, job, reason, commands } = self;
        let commands: Vec<String> = commands.iter().map(|command| format!("`{command}`")).collect();
        let who = match (kind, job, jobs) {
            (WaitingKind::Orphaned, ..) => return format!("task `{task}` {reason} ({})", commands.join(" or ")),
            (_, Some(job), 1) => format!("job {job} waits"),
            (_, _, jobs) => format!("{jobs} jobs of task `{task}` wait"),
        };
        format!("{who} for a person: {reason} ({})", commands.join(" or "))
    }
}

/// Why a job waits for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitingKind {
    /// It has taken down the daemon, or its shim, too often.
    Quarantined,
    /// It was interrupted, and its task says that a person decides.
    Held,
    /// It was interrupted, and no sweep has decided yet.
    Interrupted,
    /// Its task is no longer in the config.
    Orphaned,
    /// It was given up within the last day.
    Discarded,
}

impl WaitingKind {
    /// The word for it, everywhere.
    pub fn name(self) -> &'static str {
        match self {
            WaitingKind::Quarantined => "quarantined",
            WaitingKind::Held => "held",
            WaitingKind::Interrupted => "interrupted",
            WaitingKind::Orphaned => "orphaned",
            WaitingKind::Discarded => "discarded",
        }
    }

    /// Whether the daemon counts as degraded while there is one: what was given up is over, and leaves the list by itself.
    pub fn degrades(self) -> bool {
        match self {
            WaitingKind::Quarantined | WaitingKind::Held | WaitingKind::Interrupted | WaitingKind::Orphaned => true,
            WaitingKind::Discarded => false,
        }
    }
}

/// Occurrences of one task, decided within the last day, for which no job ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    pub task: Box<str>,
    pub missed: u64,
    pub skipped: u64,
    /// The latest of them, and why it was lost.
    pub last: Timestamp,
    pub reason: Box<str>,
}

/// Bytes on the disk of the state folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Of the journal's generations.
    pub journal: u64,
    /// Of the history, the ledger of occurrences and the keys.
    pub history: u64,
    /// What is left for us on that file system; none if it does not say.
    pub free: Option<u64>,
}

/// Live jobs by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCounts {
    pub scheduled: u64,
    pub available: u64,
    pub running: u64,
    pub retryable: u64,
    pub interrupted: u64,
    /// Those of them whose task is no longer in the config.
    pub orphaned: u64,
}

/// Tasks by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    pub defined: u64,
    pub paused: u64,
}

/// How the last sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSweep {
    pub at: Timestamp,
    /// Who asked for it.
    pub door: Door,
    pub findings: u32,
    pub fixed: u32,
}

impl LastSweep {
    /// Without what it found.
    pub fn of(report: &Report) -> LastSweep {
        LastSweep { at: report.at, door: report.door, findings: report.found, fixed: report.fixed }
    }
}
