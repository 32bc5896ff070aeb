//! The state: every live job, every task, and what orders them.
//!
//! [`Durable`] is what a checkpoint holds and a picture shows; cloning it costs the same
//! whatever it holds. [`index::Index`] is derived from it and rebuilt on start. Only `apply`
//! changes either.

pub mod apply;
pub mod batch;
pub mod index;
pub mod job;
pub mod lock;
mod locks;
pub mod picture;
pub mod queue;
pub mod task;

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::command::ItemOrder;
use super::event::Process;
use super::id::{JobId, Seq, TaskId};
use super::json::Json;
use super::repair::Sweeps;
use super::time::Timestamp;
use super::view::Progress;
use batch::Batch;
use index::Index;
use job::{Job, Jobs};
use task::{Task, Tasks};

/// All that survives a restart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durable {
    pub scalars: Scalars,
    pub jobs: Jobs,
    pub tasks: Tasks,
    /// The attempts under way.
    pub running: OrdMap<JobId, Running>,
    /// The items of batches: of live ones, of those that are being given, and of the last that are over.
    pub batches: OrdMap<JobId, Batch>,
    /// The parameters of things that have their own, by the names of the things.
    pub overrides: OrdMap<Box<str>, Override>,
}

/// The parameters of one thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Override {
    pub params: Json,
    pub since: Timestamp,
}

/// The single values of the state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scalars {
    /// The last commit applied, and its time.
    pub seq: Seq,
    pub at: Timestamp,
    pub last_job: JobId,
    pub last_task: TaskId,
    /// Since when occurrences are started in time; what was due before was missed.
    pub up_since: Timestamp,
    /// Why occurrences before `up_since` were missed.
    pub gap: Gap,
    pub boot_id: Box<str>,
    /// The daemon has stopped in good order, and not started since.
    pub stopped: bool,
    /// What the last sweeps came to.
    pub sweeps: Arc<Sweeps>,
}

/// Why nothing could be started for a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Gap {
    #[default]
    Down = 0,
    Suspended = 1,
    Stepped = 2,
}

impl Gap {
    /// The reason as the ledger shows it.
    pub fn reason(self) -> &'static str {
        match self {
            Gap::Down => "the daemon was down",
            Gap::Suspended => "the machine was suspended",
            Gap::Stepped => "the clock was set forward",
        }
    }
}

/// An attempt under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Running {
    pub attempt: u32,
    pub started: Timestamp,
    pub process: Option<Process>,
    /// Its start did not take the daemon down.
    pub settled: bool,
    /// Why it is being ended, if it is.
    pub stopping: Option<Box<str>>,
    pub progress: Progress,
    /// Bytes in its file of output, once there will be no more of them.
    pub output: u64,
}

/// The whole state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    durable: Durable,
    index: Index,
}

impl State {
    /// A state from what a checkpoint holds.
    pub fn from_durable(durable: Durable) -> State {
        State { index: Index::of(&durable), durable }
    }

    pub fn scalars(&self) -> &Scalars {
        &self.durable.scalars
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Derives the index anew. Takes half a second for a million jobs: for one that is found broken.
    pub fn reindex(&mut self) {
        self.index = Index::of(&self.durable);
    }

    /// The state as of now, unaffected by what follows. Costs no more for a million jobs than for one.
    pub fn picture(&self) -> Durable {
        self.durable.clone()
    }

    /// For tests that break it on purpose.
    #[cfg(test)]
    pub(crate) fn index_mut(&mut self) -> &mut Index {
        &mut self.index
    }

    pub fn durable(&self) -> &Durable {
        &self.durable
    }

    /// A live job.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.durable.jobs.get(id)
    }

    pub fn jobs(&self) -> &Jobs {
        &self.durable.jobs
    }

    pub fn running(&self, id: JobId) -> Option<&Running> {
        self.durable.running.get(&id)
    }

    pub fn task(&self, id: TaskId) -> Option<&Arc<Task>> {
        self.durable.tasks.get(id)
    }

    pub fn task_named(&self, name: &str) -> Option<&Arc<Task>> {
        self.task(*self.index.names.get(name)?)
    }

    pub fn tasks(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.durable.tasks.values()
    }

    /// The live job that has this idempotency key.
    pub fn job_with_key(&self, key: &str) -> Option<&Job> {
        self.index
            .jobs_with_key(key)
            .filter_map(|id| self.job(id))
            .find(|job| job.cold.rare().key.as_deref() == Some(key))
    }

    pub fn batch(&self, id: JobId) -> Option<&Batch> {
        self.durable.batches.get(&id)
    }

    pub fn batches(&self) -> impl DoubleEndedIterator<Item = (JobId, &Batch)> {
        self.durable.batches.iter().map(|(id, batch)| (*id, batch))
    }

    /// The place in a batch of the item that is about this thing.
    pub fn item_with_key(&self, id: JobId, key: &str) -> Option<u32> {
        self.index.item_with_key(id, self.batch(id)?, key)
    }

    /// An item as its handler gets it.
    pub fn item_order(&self, id: JobId, place: u32) -> Option<ItemOrder> {
        let batch = self.batch(id)?;
        let item = batch.items.get(place)?;
        let overrides = &self.durable.overrides;
        let is_default = batch.restore || overrides.is_empty();
        let own = if is_default { None } else { overrides.get(&batch.key(item.text)) };
        let params = own.map(|own| own.params.clone());
        Some(ItemOrder { place, text: item.text.into(), attempt: item.handled, params })
    }

    /// When time alone next changes something.
    pub fn next_due(&self) -> Option<Timestamp> {
        [
            self.index.due.first().map(|(at, _)| *at),
            self.index.schedules.first().map(|(at, ..)| *at),
            self.index.unsettled.first().map(|(at, _)| *at),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
