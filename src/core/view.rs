//! A job as others see it: what `show` prints, a row of `jobs`, and a record of the history.

use serde::{Deserialize, Serialize};

use super::id::JobId;
use super::json::Json;
use super::lifecycle::JobState;
use super::time::Timestamp;

/// One job, live or finished. In the history it is stored in this form, so a field that is
/// added later needs a new number for the row (`projection`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    pub id: JobId,
    pub task: Box<str>,
    pub state: JobState,
    /// Attempts started so far.
    pub attempts: u32,
    pub priority: u8,
    pub key: Option<Box<str>>,
    pub args: Json,
    pub progress: Progress,
    pub result: Option<Json>,
    /// Why the last attempt failed, why it is held, who cancelled it; of a completed job, what a person should know of it all
    /// the same.
    pub error: Option<Box<str>>,
    /// Bytes of output that the last attempt has left; 0 while it runs.
    pub output_bytes: u64,
    /// The occurrence that it is for.
    pub scheduled_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// When it was, or will be, due.
    pub due_at: Timestamp,
    /// When the last attempt started.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Its task is no longer in the config: it waits for the task's return, or for a person to cancel it. Only ever true
    /// of a live job, so it is shown and not stored.
    #[serde(default, with = "shown")]
    pub orphaned: bool,
}

/// A flag that people and clients see and that takes no byte where a job is stored.
mod shown {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(flag: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { flag.serialize(serializer) } else { ().serialize(serializer) }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        if deserializer.is_human_readable() {
            bool::deserialize(deserializer)
        } else {
            <()>::deserialize(deserializer).map(|()| false)
        }
    }
}

/// How far a job says it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub current: u64,
    /// 0 while it is not known.
    pub total: u64,
    pub message: Box<str>,
}

/// How an occurrence ended. The numbers are stored and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// A job was created for it.
    Ran = 0,
    /// Left out by the overlap policy or a full queue.
    Skipped = 1,
    /// Made up for by a later one.
    Merged = 2,
    /// Nobody could start it in time and the policy does not make up for it.
    Missed = 3,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ran => "ran",
            Outcome::Skipped => "skipped",
            Outcome::Merged => "merged",
            Outcome::Missed => "missed",
        }
    }
}

/// One row of the occurrence ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OccurrenceView {
    pub task: Box<str>,
    /// Which of the task's schedules, from 0.
    pub schedule: u16,
    pub at: Timestamp,
    pub outcome: Outcome,
    pub reason: Box<str>,
    pub job: Option<JobId>,
}
