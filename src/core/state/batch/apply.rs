//! What events do to the items of a batch. Cannot fail: an event about an item that is not there changes nothing.

use super::{Batch, Flight, ItemState, Mark, Run};
use crate::core::event::{ItemFailed, ItemsStarted};
use crate::core::indices::Indices;
use crate::core::limits;
use crate::core::texts::Texts;
use crate::core::time::Timestamp;

impl Batch {
    pub(in crate::core::state) fn add(&mut self, items: &Texts, duplicates: u32) {
        self.items.append(items);
        self.counts.todo += items.len() as u32;
        self.duplicates = self.duplicates.saturating_add(duplicates);
    }

    /// The run begins, or a repair: what failed is to do again, and all that is to do is looked at from the start.
    pub(in crate::core::state) fn begin(&mut self, at: Timestamp) {
        if !self.loaded {
            // The run before this one was cut off while it read them: they are read again.
            let fresh = Batch::new(self.task, self.opened, self.lock.clone(), self.group.take());
            *self = Batch { restore: self.restore, last_run: self.last_run, ..fresh };
        }
        if self.last_run > limits::FIRST_RUN {
            let failed = self.items.from(0).filter(|(_, item)| item.state == ItemState::Failed || item.failed > 0);
            let failed: Vec<u32> = failed.map(|(place, _)| place).collect();
            failed.into_iter().for_each(|item| self.change(item, Mark::begin_anew));
        }
        self.later.clear();
        self.behind.clear();
        self.cursor = 0;
        self.run = Run { started: at, total: self.counts.todo };
    }

    pub(in crate::core::state) fn loaded(&mut self) {
        self.loaded = true;
        self.run.total = self.counts.todo;
    }

    pub(in crate::core::state) fn start(&mut self, started: &ItemsStarted) {
        let chunk = started.chunk.max(1);
        for (number, item) in started.items.iter().enumerate() {
            let run = started.first_run + number as u32 / chunk;
            self.pass(item, started.advance);
            self.behind.remove(&item);
            self.forget_wait(item);
            self.change(item, |mark| {
                mark.state = ItemState::Running;
                mark.handled = mark.handled.saturating_add(1);
            });
            self.flights.insert(item, Flight { run, advance: started.advance });
            self.last_run = self.last_run.max(run);
        }
    }

    /// Moves the cursor behind an item whose turn it was, and remembers those that were passed over.
    fn pass(&mut self, item: u32, advance: bool) {
        if advance || item < self.cursor {
            return;
        }
        let passed: Vec<u32> = self.items.todo_from(self.cursor).take_while(|place| *place < item).collect();
        self.behind.extend(passed);
        self.cursor = item + 1;
    }

    pub(in crate::core::state) fn done(&mut self, items: &Indices) {
        for item in items.iter() {
            let advance = self.flights.remove(&item).is_some_and(|flight| flight.advance);
            let state = if advance { ItemState::Advanced } else { ItemState::Done };
            self.change(item, |mark| mark.state = state);
            self.notes.remove(&item);
        }
    }

    pub(in crate::core::state) fn failed(&mut self, failed: &ItemFailed) {
        self.flights.remove(&failed.item);
        self.note(failed.item, &failed.error);
        let state = if failed.retry_at.is_some() { ItemState::Todo } else { ItemState::Failed };
        self.change(failed.item, |mark| {
            mark.failed = if state == ItemState::Failed { 0 } else { mark.failed.saturating_add(1) };
            mark.state = state;
        });
        if let Some(at) = failed.retry_at {
            self.later.insert((at, failed.item));
        }
    }

    /// Items are to do again that were being handled.
    pub(in crate::core::state) fn give_back(&mut self, items: &Indices) {
        for item in items.iter() {
            self.flights.remove(&item);
            self.change(item, |mark| mark.state = ItemState::Todo);
            if item < self.cursor {
                self.behind.insert(item);
            }
        }
    }

    pub(in crate::core::state) fn skip(&mut self, items: &Indices, state: ItemState, why: &str) {
        for item in items.iter() {
            self.behind.remove(&item);
            self.forget_wait(item);
            self.change(item, |mark| mark.state = state);
            self.note(item, why);
        }
    }

    /// Those that wait have failed, which few have.
    fn forget_wait(&mut self, item: u32) {
        if self.items.get(item).is_some_and(|found| found.failed > 0)
            && let Some(wait) = self.later.iter().find(|(_, waiting)| *waiting == item).copied()
        {
            self.later.remove(&wait);
        }
    }

    fn note(&mut self, item: u32, text: &str) {
        if self.notes.len() < limits::ITEM_ERRORS_MAX || self.notes.contains_key(&item) {
            self.notes.insert(item, text.into());
        }
    }

    fn change(&mut self, item: u32, change: impl FnOnce(&mut Mark)) {
        let mut after = ItemState::Todo;
        let changed = self.items.change(item, |mark| {
            change(mark);
            after = mark.state;
        });
        if let Some(before) = changed {
            self.counts = self.counts.moved(before.state, after);
        }
    }

    /// What waits for an instant moves with a step of the clock.
    pub(in crate::core::state) fn step_clock(&mut self, milliseconds: i64) {
        self.later = self.later.iter().map(|(at, item)| (at.shifted(milliseconds), *item)).collect();
        self.run.started = self.run.started.shifted(milliseconds);
    }
}
