//! A task with items as the config says it: where they come from, what is done with each, and how fast. What the core
//! decides by is in its policy, which is read here as well.

mod pace;
mod policy;
mod read;

use std::path::PathBuf;
use std::time::Duration;

pub use pace::{Hours, Rate};

use super::{Process, WorkerConfig};
use crate::workers::Sql;

pub(super) use policy::decide;
pub(super) use read::{Parts, read};

/// How a batch is run.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub source: ItemSource,
    pub each: Each,
    /// Calls that one batch runs at once; at least 1.
    pub concurrency: u32,
    /// Items that one batch starts.
    pub rate: Option<Rate>,
    /// When items are started, in the zone of the task.
    pub hours: Option<Hours>,
    /// A call that takes longer is ended, and its items have failed.
    pub timeout: Duration,
}

/// Where the items of a batch come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemSource {
    /// Whoever starts a batch gives them.
    Given,
    /// They stand in the config: at least one, each once.
    List(Vec<String>),
    /// One in a line, or a JSON array of them; the path is absolute.
    File(PathBuf),
    /// Each row of a query: the one statement.
    Sql(Sql),
}

/// What is done with an item, or with a chunk of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Each {
    Process(Box<Process>),
    /// Statements or a request.
    Worker(WorkerConfig),
}
