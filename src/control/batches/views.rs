//! Batches, items and things as they are shown. Wire formats: a field that is there stays.

use serde::{Deserialize, Serialize};

use crate::core::id::JobId;
use crate::core::json::Json;
use crate::core::lifecycle::JobState;
use crate::core::time::Timestamp;

/// What became of a batch that was to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub id: JobId,
    /// `false`: it was there already, by its key.
    pub created: bool,
    /// Its items, of which each thing counts once; none if its run has still to read them.
    pub items: Option<u64>,
    /// Items that were given more than once.
    pub duplicates: u64,
}

/// A batch. `done`, `advanced`, `failed`, `skipped`, `todo` and `running` are `total` together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchView {
    pub id: JobId,
    pub task: Box<str>,
    pub state: JobState,
    /// Which operation it carries out; none if its task has none.
    pub op: Option<Box<str>>,
    /// What the handler gets for every item that has nothing of its own.
    pub params: Option<Json>,
    /// It returns its items to the default.
    pub restore: bool,
    /// All items are known.
    pub loaded: bool,
    pub total: u64,
    /// Handled by the run or a repair.
    pub done: u64,
    /// Handled ahead of their turn.
    pub advanced: u64,
    pub failed: u64,
    /// Taken out by a person, or left to a newer batch.
    pub skipped: u64,
    pub todo: u64,
    pub running: u64,
    /// Items a second of the run, or repair, that goes on; of a finished batch, of the last one. None while it is not known.
    pub rate: Option<f64>,
    /// Seconds until the run that goes on is through, at that rate.
    pub eta: Option<f64>,
    /// Repairs that have begun.
    pub repairs: u32,
    /// The repair that goes on.
    pub repair: Option<RepairView>,
    pub error: Option<Box<str>>,
    pub created_at: Timestamp,
    /// When the run or the last repair began.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Items that were given more than once.
    pub duplicates: u64,
    /// The group of which only one batch runs at a time.
    pub exclusive: Option<Box<str>>,
}

impl BatchView {
    /// Items that need no more handling.
    pub fn finished(&self) -> u64 {
        self.done + self.advanced + self.skipped
    }
}

/// A repair. What was done before it began is no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairView {
    /// From 1.
    pub number: u32,
    /// Items that were not done when it began.
    pub total: u64,
    /// Those of them that it has handled.
    pub done: u64,
}

/// An item of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemView {
    pub item: Box<str>,
    /// `todo`, `running`, `done`, `advanced`, `failed` or `skipped`.
    pub state: Box<str>,
    /// Why it failed the last time, or was skipped.
    pub error: Option<Box<str>>,
    /// Times that it was handled; stays at 255.
    pub attempts: u8,
}

/// A thing that items and jobs are about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThingView {
    pub key: Box<str>,
    /// Nobody handles it, so it may be changed or deleted from outside.
    pub free: bool,
    /// The same in a sentence.
    pub reason: Box<str>,
    pub held_by: Option<HeldBy>,
    /// Batches that will come to it.
    pub waits_in: Vec<JobId>,
    #[serde(rename = "override")]
    pub own: Option<Own>,
}

/// The parameters that a thing has for itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Own {
    pub params: Json,
    pub since: Timestamp,
}

/// Who handles a thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldBy {
    pub job: JobId,
    pub task: Box<str>,
    /// `job`; or of a batch its `run`, a `repair`, or an `advance`.
    pub what: Box<str>,
}

/// A thing with parameters of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverrideView {
    pub key: Box<str>,
    pub params: Json,
    pub since: Timestamp,
}
