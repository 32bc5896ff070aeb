//! A batch in a checkpoint: its single values first, then its lists in parts that are small enough for a record.

use serde::{Deserialize, Serialize};

use super::{Batch, Flight, Mark};
use crate::core::texts::Texts;
use crate::core::time::Timestamp;

/// Bytes of items in one part, more or less.
const ITEMS_BYTES: usize = 10 * 1024;
/// Entries of a list of numbers in one part.
const NUMBERS: usize = 1000;
/// Notes in one part.
const NOTES: usize = 20;

/// A part of the batch whose single values came last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Part {
    Items(Texts, Vec<Mark>),
    Behind(Vec<u32>),
    Later(Vec<(Timestamp, u32)>),
    Flights(Vec<(u32, Flight)>),
    Notes(Vec<(u32, Box<str>)>),
}

impl Batch {
    /// Its lists, in parts.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let items = self.items.parts(ITEMS_BYTES).map(|(texts, marks)| Part::Items(texts, marks));
        let behind = cut(self.behind.iter().copied(), NUMBERS).map(Part::Behind);
        let later = cut(self.later.iter().copied(), NUMBERS).map(Part::Later);
        let flights = cut(self.flights.iter().map(|(item, flight)| (*item, *flight)), NUMBERS).map(Part::Flights);
        let notes = cut(self.notes.iter().map(|(item, note)| (*item, note.clone())), NOTES).map(Part::Notes);
        items.chain(behind).chain(later).chain(flights).chain(notes)
    }

    /// Takes a part back in.
    pub fn take(&mut self, part: Part) {
        match part {
            Part::Items(texts, marks) => self.items.append_marked(&texts, &marks),
            Part::Behind(items) => self.behind.extend(items),
            Part::Later(waits) => self.later.extend(waits),
            Part::Flights(flights) => self.flights.extend(flights),
            Part::Notes(notes) => self.notes.extend(notes),
        }
    }
}

fn cut<T>(mut all: impl Iterator<Item = T>, size: usize) -> impl Iterator<Item = Vec<T>> {
    std::iter::from_fn(move || {
        let part: Vec<T> = all.by_ref().take(size).collect();
        (!part.is_empty()).then_some(part)
    })
}
