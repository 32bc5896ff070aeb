//! What happens to batches, their items, and the things that these are about.

use serde::{Deserialize, Serialize};

use crate::core::id::{JobId, TaskId};
use crate::core::indices::Indices;
use crate::core::json::Json;
use crate::core::texts::Texts;
use crate::core::time::Timestamp;

/// A batch takes items in that a client gives; its job is added when all of them are in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchOpened {
    pub job: JobId,
    pub task: TaskId,
}

/// Items of a batch, after those that it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemsAdded {
    pub job: JobId,
    pub items: Texts,
    /// Items that the batch has already, and that were left out.
    pub duplicates: u32,
}

/// All items of the batch are in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchLoaded {
    pub job: JobId,
}

/// The items of a batch are forgotten: they did not come in whole, or the batch is over and others are newer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchDropped {
    pub job: JobId,
    pub reason: Box<str>,
}

/// Items are about to be handled: from here on the work may have been done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemsStarted {
    pub job: JobId,
    /// The number of the first handling; the others follow.
    pub first_run: u32,
    /// Items of each handling.
    pub chunk: u32,
    /// Ahead of their turn.
    pub advance: bool,
    /// Their places in the batch.
    pub items: Indices,
}

/// Items are done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemsDone {
    pub job: JobId,
    pub items: Indices,
}

/// The handling of an item has failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemFailed {
    pub job: JobId,
    pub item: u32,
    pub error: Box<str>,
    /// When the same run handles it again; if it does not, the item has failed.
    pub retry_at: Option<Timestamp>,
}

/// Items are to do again: whoever handled them was cut off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemsReturned {
    pub job: JobId,
    pub items: Indices,
}

/// Items that nobody will handle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemsSkipped {
    pub job: JobId,
    pub items: Indices,
    /// The newer batch of the group that has them; none if a person took them out.
    pub superseded_by: Option<JobId>,
}

/// A thing has parameters of its own from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverrideSet {
    pub key: Box<str>,
    pub params: Json,
}

/// A thing is back at the default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverrideCleared {
    pub key: Box<str>,
}
