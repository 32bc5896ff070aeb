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
        }
    }
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
