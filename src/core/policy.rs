//! What a task's definition says about *when* and *how often*: the part the core decides by.
//! What it runs (command, environment, time-out) is `config::Task`'s and never comes here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits;
use super::time::{Timestamp, seconds};

/// The policy of one task. Journaled when it changes, so that the journal explains itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskPolicy {
    /// Expressions as written: `30 2 * * *`, `@daily`, `@every 90s`, `@reboot`.
    pub schedules: Vec<String>,
    /// IANA name of the zone in which `schedules` are read.
    pub timezone: String,
    /// What happens to occurrences around a change of the zone's offset.
    pub dst: Dst,
    /// Each occurrence starts up to this much later, by a fixed hash of task and instant.
    #[serde(with = "seconds")]
    pub jitter: Duration,
    /// What becomes of occurrences that nobody could start in time.
    pub missed: Missed,
    /// Missed occurrences older than this are not made up for.
    #[serde(with = "seconds::option")]
    pub missed_within: Option<Duration>,
    /// With [`Missed::All`], at most this many are made up for, the newest.
    pub missed_max: u32,
    /// What happens when an occurrence is due while an earlier one is not finished.
    pub overlap: Overlap,
    /// No occurrence before this instant.
    pub from: Option<Timestamp>,
    /// No occurrence at or after this instant.
    pub until: Option<Timestamp>,
    /// 0 to 9, 9 first.
    pub priority: u8,
    /// Attempts before a failing job is discarded; an interrupted attempt does not count.
    pub attempts: u32,
    /// The wait between attempts.
    pub backoff: Backoff,
    /// A failing job this much older than its first due instant is discarded.
    #[serde(with = "seconds")]
    pub give_up_after: Duration,
    /// Attempts of this task that run at once.
    pub concurrency: u32,
    /// Jobs of this task that wait; a full queue refuses.
    pub queue_size: u32,
    /// What becomes of a job that was running when the daemon died.
    pub on_interrupt: OnInterrupt,
    /// Names the thing that a job, or an item of a batch, is about: whoever handles that thing holds the lock of this
    /// name. A template, see [`Template`](super::state::lock::Template).
    pub lock: Option<String>,
    /// A completed job leaves its arguments as the override of the thing that it was about.
    pub custom: bool,
    /// Operations that return a thing to the default: its override is ignored, and cleared once it is done.
    pub clears: Vec<String>,
    /// For tasks with items.
    pub batch: Option<BatchPolicy>,
}

impl TaskPolicy {
    /// Whether the same expression means the same instants in both.
    pub fn same_calendar(&self, other: &TaskPolicy) -> bool {
        let key = |it: &TaskPolicy| (it.dst, it.from, it.until);
        self.timezone == other.timezone && key(self) == key(other)
    }
}

impl Default for TaskPolicy {
    fn default() -> Self {
        TaskPolicy {
            schedules: Vec::new(),
            timezone: "UTC".into(),
            dst: Dst::Vixie,
            jitter: Duration::ZERO,
            missed: Missed::Last,
            missed_within: None,
            missed_max: 100,
            overlap: Overlap::Forbid,
            from: None,
            until: None,
            priority: 5,
            attempts: 100,
            backoff: Backoff::default(),
            give_up_after: Duration::from_secs(2 * 86_400),
            concurrency: 1,
            queue_size: limits::QUEUE_SIZE_MAX,
            on_interrupt: OnInterrupt::Retry,
            lock: None,
            custom: false,
            clears: Vec::new(),
            batch: None,
        }
    }
}

/// What is decided by of a task with items, besides the rest. Its `attempts` and `backoff` are those of the batch as a
/// whole: the first attempt is its run, every further one a repair; the first repair comes with the next sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchPolicy {
    /// The names of operations that a batch may carry out; none are asked for where there are none.
    pub ops: Vec<String>,
    /// The items are given when the batch is started; else its run reads them.
    pub given: bool,
    /// Batches of one group never run at once.
    pub exclusive: Option<String>,
    /// What becomes of a batch whose group is busy.
    pub when_busy: WhenBusy,
    /// Times that one run handles a failing item.
    pub attempts: u32,
    /// The wait between these.
    pub backoff: Backoff,
    /// Items in one call of the handler.
    pub chunk: u32,
    /// More failed items than this stop the run.
    pub max_failures: Option<MaxFailures>,
}

impl Default for BatchPolicy {
    fn default() -> Self {
        BatchPolicy {
            ops: Vec::new(),
            given: true,
            exclusive: None,
            when_busy: WhenBusy::Queue,
            attempts: 1,
            backoff: Backoff::default(),
            chunk: 1,
            max_failures: None,
        }
    }
}

/// How many items of a run may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MaxFailures {
    Items(u32),
    /// Of all items of the batch, 0 to 100.
    Percent(u8),
}

impl MaxFailures {
    /// Whether so many of `total` are too many.
    pub fn is_exceeded(self, failed: u32, total: u32) -> bool {
        match self {
            MaxFailures::Items(items) => failed > items,
            MaxFailures::Percent(percent) => u64::from(failed) * 100 > u64::from(total) * u64::from(percent),
        }
    }
}

/// What becomes of a batch whose exclusive group is busy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenBusy {
    /// It waits for its turn.
    #[default]
    Queue,
    /// It is refused.
    Refuse,
}

/// The wait before attempt n+1: `first * factor^(n-1)`, at most `max`, then up to `jitter` of it more or less.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    #[serde(with = "seconds")]
    pub first: Duration,
    /// At least 1.
    pub factor: f64,
    #[serde(with = "seconds")]
    pub max: Duration,
    /// A part of the wait, 0 to 1.
    pub jitter: f64,
}

impl Default for Backoff {
    /// 1, 2, 4, ... minutes, as the product promises; `give_up_after` ends it.
    fn default() -> Self {
        Backoff { first: Duration::from_secs(60), factor: 2.0, max: Duration::from_secs(2 * 86_400), jitter: 0.0 }
    }
}

/// What happens to occurrences around a change of the zone's offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dst {
    /// Vixie cron's rule: a fixed time that falls into the gap runs once when the gap ends, one in
    /// the overlap runs once, the first time; a `*` or step in minute or hour follows the wall clock.
    #[default]
    Vixie,
    /// Every occurrence follows the wall clock: none in the gap, two in the overlap.
    WallClock,
    /// None in the gap, the first one only in the overlap.
    Skip,
}

/// What becomes of missed occurrences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missed {
    /// None is made up for.
    Skip,
    /// The last one is made up for; the ones before it are merged into it.
    #[default]
    Last,
    /// Each is made up for, one after the other, up to `missed_max`.
    All,
}

/// What happens when an occurrence is due while an earlier one is not finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// The new one is skipped.
    #[default]
    Forbid,
    /// The new one waits its turn.
    Queue,
    /// The earlier one is cancelled; the new one starts when it has ended.
    Replace,
    /// Both run, within `concurrency`.
    Allow,
}

/// What becomes of a job that was running when the daemon died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnInterrupt {
    /// It runs again at once.
    #[default]
    Retry,
    /// It stays `interrupted` until a person decides.
    Hold,
    /// It is discarded.
    Fail,
}
