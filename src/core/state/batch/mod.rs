//! Batches as the state knows them: their items, what is under way of them, and how far they are.
//!
//! A batch is a job that has items. Its `Batch` is there before the job, while items are being given, and after it, so
//! that it can still be told how each one ended. What events do to it is in `apply.rs`.

mod apply;
mod args;
mod events;
mod items;
mod parts;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use super::lock::Template;
use crate::core::id::TaskId;
use crate::core::time::Timestamp;

pub use args::Args;
pub use items::{Item, ItemState, Items, Mark};
pub use parts::Part;

/// The items of one job, and how far they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    pub task: TaskId,
    /// When the first item could come.
    pub opened: Timestamp,
    /// How the things that its items are about are called.
    pub lock: Template,
    /// Those of one group never run at once.
    pub group: Option<Box<str>>,
    /// Overrides are ignored, and cleared once their item is done.
    pub restore: bool,
    /// Its items are given before it has a job; else its attempts read them.
    pub given: bool,
    /// All items are in.
    pub loaded: bool,
    /// Items that were given more than once.
    pub duplicates: u32,
    pub counts: Counts,
    /// The number of the last handling of an item.
    pub last_run: u32,
    /// The run, or the repair, that goes on or was the last.
    pub run: Run,
    /// Items from here on have not been looked at by it.
    pub cursor: u32,
    #[serde(skip)]
    pub items: Items,
    /// Items before the cursor that are to do: they were held by somebody else, or came back.
    #[serde(skip)]
    pub behind: OrdSet<u32>,
    /// Items that failed and are to be handled again, not before an instant.
    #[serde(skip)]
    pub later: OrdSet<(Timestamp, u32)>,
    /// Items that are being handled.
    #[serde(skip)]
    pub flights: OrdMap<u32, Flight>,
    /// What is to be told of an item: why it failed, or was skipped.
    #[serde(skip)]
    pub notes: OrdMap<u32, Box<str>>,
}

/// One item under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// The number of this handling; items of one chunk have the same.
    pub run: u32,
    /// It is handled ahead of its turn.
    pub advance: bool,
}

/// The run of a batch, or a repair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub started: Timestamp,
    /// Items that were to do when it began.
    pub total: u32,
}

/// How many items there are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub todo: u32,
    pub running: u32,
    pub done: u32,
    pub advanced: u32,
    pub failed: u32,
    pub removed: u32,
    pub superseded: u32,
}

impl Counts {
    pub fn total(&self) -> u32 {
        self.finished() + self.todo + self.running + self.failed
    }

    /// Items that need no more handling.
    pub fn finished(&self) -> u32 {
        self.done + self.advanced + self.skipped()
    }

    pub fn skipped(&self) -> u32 {
        self.removed + self.superseded
    }

    /// Items that are still to be handled, now or by a repair.
    pub fn left(&self) -> u32 {
        self.todo + self.running + self.failed
    }

    /// What they are once an item of one state is in another.
    pub fn moved(mut self, from: ItemState, to: ItemState) -> Counts {
        let place = self.of(from);
        *place = place.saturating_sub(1);
        *self.of(to) += 1;
        self
    }

    fn of(&mut self, state: ItemState) -> &mut u32 {
        match state {
            ItemState::Todo => &mut self.todo,
            ItemState::Running => &mut self.running,
            ItemState::Done => &mut self.done,
            ItemState::Advanced => &mut self.advanced,
            ItemState::Failed => &mut self.failed,
            ItemState::Removed => &mut self.removed,
            ItemState::Superseded => &mut self.superseded,
        }
    }
}

impl Batch {
    pub(super) fn new(task: TaskId, opened: Timestamp, lock: Template, group: Option<Box<str>>) -> Batch {
        Batch {
            task,
            opened,
            lock,
            group,
            restore: false,
            given: false,
            loaded: false,
            duplicates: 0,
            counts: Counts::default(),
            last_run: crate::core::limits::FIRST_RUN,
            run: Run::default(),
            cursor: 0,
            items: Items::default(),
            behind: OrdSet::new(),
            later: OrdSet::new(),
            flights: OrdMap::new(),
            notes: OrdMap::new(),
        }
    }

    /// The name of the thing that an item is about; an item without the fields of the template is its own thing.
    pub fn key(&self, item: &str) -> Box<str> {
        self.lock.render(item).unwrap_or_else(|| item.into())
    }

    /// What is being handled by the handling of this number.
    pub fn in_run(&self, run: u32) -> impl Iterator<Item = u32> + '_ {
        self.flights.iter().filter(move |(_, flight)| flight.run == run).map(|(item, _)| *item)
    }

    /// Whether nothing is left for the run that goes on.
    pub fn is_through(&self) -> bool {
        self.loaded && self.counts.todo == 0 && self.counts.running == 0
    }
}
