//! What the server asks of the daemon about batches, their items, and the things that these are about.
//!
//! The shapes of the answers are in `views`, how they are made of the state is in `look`; how items are read from bodies
//! is in `items`, beside this folder.

pub mod look;
mod views;

use futures_util::future::BoxFuture;

use super::service::{Added, Refusal};
use crate::core::command::AddJob;
use crate::core::id::JobId;
use crate::core::json::Json;
use crate::core::lifecycle::JobState;
use crate::core::state::batch::ItemState;
use crate::core::texts::Texts;

pub use views::{BatchView, HeldBy, ItemView, OverrideView, Own, RepairView, Started, ThingView};

/// The part of a [`Service`](super::Service) that is about batches. As there, what changes the state is durable when the
/// future is done.
pub trait Batches: Send + Sync + 'static {
    /// Starts a batch whose task reads its items itself.
    fn start(&self, add: AddJob) -> BoxFuture<'_, Result<Started, Refusal>>;
    /// Takes in a batch whose items are to be given: its number. If it is not new, nothing is to be given to it.
    fn open(&self, add: AddJob) -> BoxFuture<'_, Result<Added, Refusal>>;
    /// Gives it items: at most [`ITEMS_PER_COMMAND_MAX`](crate::core::limits::ITEMS_PER_COMMAND_MAX).
    fn give(&self, batch: JobId, items: Texts) -> BoxFuture<'_, Result<(), Refusal>>;
    /// All items are in: it becomes a job.
    fn load(&self, batch: JobId, add: AddJob) -> BoxFuture<'_, Result<Started, Refusal>>;
    /// The rest of its items will not come. Says nothing where it is too late for that.
    fn abandon(&self, batch: JobId, reason: Box<str>) -> BoxFuture<'_, ()>;

    /// A batch, live or over; [`NoBatch`](crate::core::rejection::Rejection::NoBatch) if it is none.
    fn batch(&self, batch: JobId) -> BoxFuture<'_, Result<BatchView, Refusal>>;
    /// Batches that match and whose items are known, newest first.
    fn batches(&self, filter: BatchFilter) -> BoxFuture<'_, Result<Page<BatchView>, Refusal>>;
    /// Items that match, in their order.
    fn items(&self, batch: JobId, filter: ItemFilter) -> BoxFuture<'_, Result<Page<ItemView>, Refusal>>;
    /// Handles again what is not done.
    fn repair_batch(&self, batch: JobId) -> BoxFuture<'_, Result<(), Refusal>>;
    /// Handles an item ahead of its turn, from now on.
    fn advance(&self, batch: JobId, item: Box<str>) -> BoxFuture<'_, Result<(), Refusal>>;

    /// Who handles a thing, and where it waits.
    fn thing(&self, key: Box<str>) -> BoxFuture<'_, Result<ThingView, Refusal>>;
    /// Takes it out of the batches in which it waits: how many these were.
    fn remove_thing(&self, key: Box<str>) -> BoxFuture<'_, Result<u32, Refusal>>;
    /// Gives it parameters of its own.
    fn set_override(&self, key: Box<str>, params: Json) -> BoxFuture<'_, Result<(), Refusal>>;
    /// Returns it to the default.
    fn restore(&self, key: Box<str>) -> BoxFuture<'_, Result<(), Refusal>>;
    /// Things with parameters of their own, by name.
    fn overrides(&self, filter: OverrideFilter) -> BoxFuture<'_, Result<Page<OverrideView>, Refusal>>;
}

/// The first rows that match, at most as many as are good to have in memory at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// There may be others behind these.
    pub more: bool,
}

/// Which batches to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchFilter {
    /// None: every state.
    pub states: Vec<JobState>,
    pub task: Option<Box<str>>,
    /// Only smaller numbers than this one.
    pub before: Option<JobId>,
    pub limit: usize,
}

/// Which items of a batch to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemFilter {
    /// None: every state.
    pub states: Vec<ItemState>,
    /// Only those behind this one.
    pub after: Option<Box<str>>,
    /// This one and no other.
    pub only: Option<Box<str>>,
    pub limit: usize,
}

/// Which overrides to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OverrideFilter {
    /// Only names behind this one.
    pub after: Option<Box<str>>,
    pub limit: usize,
}
