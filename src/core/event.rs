//! All that has happened: the stored format.
//!
//! Each event has a number that is never reused and a struct whose fields never change; what
//! must be stored otherwise gets a new event with a new number. Stored as the number and then
//! the struct in bincode (variable-length integers, little endian); shown as JSON with its name.

use serde::{Deserialize, Serialize, Serializer};

use super::id::{JobId, TaskId};
use super::json::Json;
use super::policy::TaskPolicy;
use super::repair::{Door, Finding};
use super::time::{Timestamp, seconds};
use super::view::{JobView, Outcome};
use std::time::Duration;

mod batch;

pub use batch::*;

macro_rules! events {
    ($($number:literal $name:ident $text:literal,)*) => {
        /// Something that has happened.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(tag = "event", rename_all = "snake_case")]
        pub enum Event { $($name($name),)* }

        impl Event {
            /// Every event's number and name, as stored and as shown.
            pub const ALL: &[(u16, &str)] = &[$(($number, $text),)*];

            /// The number under which it is stored.
            pub fn number(&self) -> u16 {
                match self { $(Event::$name(_) => $number,)* }
            }

            /// The name under which it is shown.
            pub fn name(&self) -> &'static str {
                match self { $(Event::$name(_) => $text,)* }
            }

            pub(super) fn encode_body(&self, out: &mut Vec<u8>) -> bincode::Result<()> {
                match self { $(Event::$name(body) => super::codec::put(body, out),)* }
            }

            pub(super) fn decode_body(number: u16, bytes: &mut &[u8]) -> bincode::Result<Option<Event>> {
                Ok(Some(match number {
                    $($number => Event::$name(super::codec::take(bytes)?),)*
                    _ => return Ok(None),
                }))
            }
        }

        $(impl From<$name> for Event {
            fn from(body: $name) -> Event { Event::$name(body) }
        })*
    };
}

events! {
    1 JobAdded "job_added",
    2 JobDue "job_due",
    3 AttemptStarted "attempt_started",
    4 AttemptSpawned "attempt_spawned",
    5 AttemptSettled "attempt_settled",
    6 JobProgressed "job_progressed",
    7 JobCompleted "job_completed",
    8 AttemptFailed "attempt_failed",
    9 JobDiscarded "job_discarded",
    10 StopRequested "stop_requested",
    11 JobCancelled "job_cancelled",
    12 JobInterrupted "job_interrupted",
    13 JobResumed "job_resumed",
    14 JobHeld "job_held",
    15 JobRetried "job_retried",
    16 OutputKept "output_kept",
    17 AttemptAdopted "attempt_adopted",
    20 TaskDefined "task_defined",
    21 TaskRemoved "task_removed",
    22 TaskPaused "task_paused",
    23 TaskUnpaused "task_resumed",
    24 OccurrenceDecided "occurrence_decided",
    25 OccurrencesPassed "occurrences_passed",
    26 ScheduleMoved "schedule_moved",
    40 DaemonStarted "daemon_started",
    41 DaemonStopped "daemon_stopped",
    42 ClockStepped "clock_stepped",
    43 ClockSuspended "clock_suspended",
    44 SweepFinished "sweep_finished",
    45 SweepFound "sweep_found",
    50 ConfigChanged "config_changed",
    60 BatchOpened "batch_opened",
    61 ItemsAdded "items_added",
    62 BatchLoaded "batch_loaded",
    63 BatchDropped "batch_dropped",
    64 ItemsStarted "items_started",
    65 ItemsDone "items_done",
    66 ItemFailed "item_failed",
    67 ItemsReturned "items_returned",
    68 ItemsSkipped "items_skipped",
    69 OverrideSet "override_set",
    70 OverrideCleared "override_cleared",
}

/// A job was added, by a person, a client or an occurrence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobAdded {
    pub job: JobId,
    pub task: TaskId,
    pub priority: u8,
    /// When it is due; not after `at` means at once.
    pub due: Timestamp,
    /// `due` was given as a wait, so a step of the clock moves it.
    pub relative: bool,
    pub key: Option<Box<str>>,
    pub args: Json,
    pub occurrence: Option<Occurrence>,
}

/// Which occurrence a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// Which of the task's schedules, from 0.
    pub schedule: u16,
    /// Its instant as the schedule says, before jitter.
    pub at: Timestamp,
}

/// A waiting job has become available.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobDue {
    pub job: JobId,
}

/// An attempt is about to be started: from here on the work may have been done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptStarted {
    pub job: JobId,
    /// 1, 2, 3, ...
    pub attempt: u32,
}

/// The attempt's process exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptSpawned {
    pub job: JobId,
    pub attempt: u32,
    pub process: Process,
}

/// What names a process for as long as the machine is up, and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    /// Clock ticks since boot, from `/proc/PID/stat`.
    pub start_time: u64,
    /// `/proc/sys/kernel/random/boot_id`, as a number.
    #[serde(serialize_with = "boot_id")]
    pub boot_id: u128,
}

/// In JSON as the kernel writes it: readers of JSON take numbers of that size for floating-point ones.
fn boot_id<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    if !serializer.is_human_readable() {
        return serializer.serialize_u128(*id);
    }
    let hex = format!("{id:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    serializer.serialize_str(&parts.join("-"))
}

/// The attempt has lived long enough that its start did not take the daemon down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptSettled {
    pub job: JobId,
}

/// A running job has said how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobProgressed {
    pub job: JobId,
    pub current: u64,
    pub total: u64,
    pub message: Box<str>,
}

/// The attempt under way is over as far as its output goes: so much of that is in its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputKept {
    pub job: JobId,
    pub bytes: u64,
}

/// An attempt of an earlier daemon goes on under this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptAdopted {
    pub job: JobId,
    pub attempt: u32,
    /// The earlier daemon did not come to start it, so that it is started now.
    pub start: bool,
    /// The earlier daemon died over its start, as far as can be told.
    pub suspect: bool,
}

/// The job is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobCompleted {
    pub job: JobId,
    pub result: Option<Json>,
    /// What a person should know of it all the same.
    pub note: Option<Box<str>>,
}

/// An attempt failed; the job waits for its next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptFailed {
    pub job: JobId,
    pub error: Box<str>,
    /// When the next attempt is due.
    pub retry_at: Timestamp,
}

/// The job was given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobDiscarded {
    pub job: JobId,
    pub error: Box<str>,
}

/// A running attempt is to be ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StopRequested {
    pub job: JobId,
    pub reason: Box<str>,
}

/// The job was cancelled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobCancelled {
    pub job: JobId,
    pub reason: Box<str>,
}

/// An attempt was cut off by the end of the daemon; the work may have been done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobInterrupted {
    pub job: JobId,
    pub reason: Box<str>,
    /// The daemon died while this attempt was starting.
    pub suspect: bool,
}

/// An interrupted job goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobResumed {
    pub job: JobId,
}

/// An interrupted job waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobHeld {
    pub job: JobId,
    pub reason: Box<str>,
}

/// A person wants the job to run again, now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRetried {
    pub job: JobId,
    /// The job as the history had it, when it was finished.
    pub finished: Option<Finished>,
}

/// A finished job that comes back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    pub task: TaskId,
    pub view: JobView,
}

/// A task is defined, or defined anew, by the config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskDefined {
    pub task: TaskId,
    pub name: Box<str>,
    pub policy: TaskPolicy,
    /// The first instant of each schedule that is still to come.
    pub next: Vec<Option<Timestamp>>,
}

/// A task has gone from the config; its jobs stay and wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRemoved {
    pub task: TaskId,
}

/// A person paused a task: nothing of it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskPaused {
    pub task: TaskId,
}

/// A person resumed a paused task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskUnpaused {
    pub task: TaskId,
}

/// One occurrence is decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OccurrenceDecided {
    pub task: TaskId,
    pub schedule: u16,
    pub instant: Timestamp,
    pub outcome: Outcome,
    pub reason: Box<str>,
    pub job: Option<JobId>,
    /// The schedule's following instant.
    pub next: Option<Timestamp>,
}

/// Many occurrences in a row are decided alike, none with a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OccurrencesPassed {
    pub task: TaskId,
    pub schedule: u16,
    pub first: Timestamp,
    /// Milliseconds from each to the one after it.
    pub gaps: Vec<u64>,
    pub outcome: Outcome,
    pub reason: Box<str>,
    pub next: Option<Timestamp>,
}

impl OccurrencesPassed {
    /// The instants, in order.
    pub fn instants(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let mut at = self.first;
        std::iter::once(self.first).chain(self.gaps.iter().map(move |gap| {
            at = at.shifted(*gap as i64);
            at
        }))
    }
}

/// A schedule's following instant is another than was thought: newer zone data, a step of the clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleMoved {
    pub task: TaskId,
    pub schedule: u16,
    /// Nothing at or before this instant is decided again.
    pub decided: Timestamp,
    pub next: Option<Timestamp>,
}

/// The daemon has started on this state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaemonStarted {
    pub version: Box<str>,
    pub pid: u32,
    pub boot_id: Box<str>,
    /// The one before has stopped in good order.
    pub clean: bool,
}

/// The daemon has stopped in good order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DaemonStopped {}

/// The wall clock was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockStepped {
    /// Forward is positive.
    pub milliseconds: i64,
}

/// The machine was asleep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockSuspended {
    #[serde(with = "seconds")]
    pub duration: Duration,
}

/// A sweep has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepFinished {
    pub door: Door,
    pub found: u32,
    pub fixed: u32,
    /// What could not be mended; `None` when that is the same as at the end of the sweep before.
    pub left: Option<Vec<Finding>>,
}

/// A sweep has mended these, by the events before this one in the same commit, or outside of the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepFound {
    pub findings: Vec<Finding>,
}

/// A reload has taken a change of the config over. What it does to tasks is in events of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigChanged {
    /// In words, without secrets.
    pub change: Box<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique() {
        let mut numbers: Vec<_> = Event::ALL.iter().map(|(number, _)| number).collect();
        let mut names: Vec<_> = Event::ALL.iter().map(|(_, name)| name).collect();
        numbers.sort();
        names.sort();
        assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_long_row_of_instants_is_small() {
        let passed = OccurrencesPassed {
            task: TaskId(1),
            schedule: 0,
            first: Timestamp(1_700_000_000_000),
            gaps: vec![1000; 4095],
            outcome: Outcome::Missed,
            reason: "the daemon was down".into(),
            next: None,
        };
        assert_eq!(passed.instants().last(), Some(Timestamp(1_700_000_000_000 + 4095 * 1000)));
        let mut bytes = Vec::new();
        Event::from(passed).encode_body(&mut bytes).expect("encodes");
        assert!(bytes.len() < 3 * 4096 + 100, "{} bytes", bytes.len());
    }
}
