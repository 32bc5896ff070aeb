//! What is held back until a commit is on disk: answers, orders to the outside, rows for the history.

use std::sync::Arc;

use crate::core::effect::Effect;
use crate::core::event::Event;
use crate::core::id::Seq;
use crate::core::projection::Row;
use crate::core::time::Timestamp;

/// Tells an asker.
pub type Reply = Box<dyn FnOnce() + Send>;

/// A commit that is on disk, as its followers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    pub seq: Seq,
    pub at: Timestamp,
    pub events: Vec<Event>,
}

/// All that waits for one commit.
#[derive(Default)]
pub struct Release {
    pub seq: Seq,
    pub at: Timestamp,
    pub replies: Vec<Reply>,
    pub effects: Vec<Effect>,
    pub rows: Vec<Row>,
    pub events: Vec<Event>,
    /// Whether `events` is filled: it costs a move for each.
    pub keep_events: bool,
}

impl Release {
    /// The commit for its followers, if it has events.
    pub fn committed(&mut self) -> Option<Arc<Committed>> {
        let events = std::mem::take(&mut self.events);
        (!events.is_empty()).then(|| Arc::new(Committed { seq: self.seq, at: self.at, events }))
    }
}
