//! The items of a batch: their texts and, for each, three bytes. Kept in pieces that a picture of the state shares.

use std::fmt;
use std::sync::Arc;

use imbl::Vector;
use serde::{Deserialize, Serialize};

use crate::core::texts::Texts;

/// Items in one piece.
const PIECE: usize = 1024;

/// Where an item is. The numbers are stored and never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum ItemState {
    /// Nobody has handled it, or it is to be handled again.
    #[default]
    Todo = 0,
    Running = 1,
    /// The run or a repair has handled it.
    Done = 2,
    /// It was handled ahead of its turn.
    Advanced = 3,
    Failed = 4,
    /// A person took it out.
    Removed = 5,
    /// A newer batch of the group has it.
    Superseded = 6,
}

impl ItemState {
    pub const ALL: [ItemState; 7] = {
        use ItemState::*;
        [Todo, Running, Done, Advanced, Failed, Removed, Superseded]
    };

    /// The word for it, everywhere. Those that nobody will handle are `skipped`; why is noted.
    pub fn name(self) -> &'static str {
        match self {
            ItemState::Todo => "todo",
            ItemState::Running => "running",
            ItemState::Done => "done",
            ItemState::Advanced => "advanced",
            ItemState::Failed => "failed",
            ItemState::Removed | ItemState::Superseded => "skipped",
        }
    }
}

impl fmt::Display for ItemState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One item as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    pub text: &'a str,
    pub state: ItemState,
    /// Times that it was handled.
    pub handled: u8,
    /// Times that it failed since the run, or the repair, began.
    pub failed: u8,
}

/// Neighbours, as they are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    texts: Arc<Texts>,
    marks: Vec<Mark>,
}

/// What changes of an item. The numbers stay where they are once they are at 255.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub state: ItemState,
    pub handled: u8,
    pub failed: u8,
}

impl Mark {
    /// What failed is to do again, and may fail as often as anything else.
    pub(super) fn begin_anew(&mut self) {
        self.failed = 0;
        if self.state == ItemState::Failed {
            self.state = ItemState::Todo;
        }
    }
}

/// All items, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Items {
    pieces: Vector<Arc<Piece>>,
    len: u32,
}

impl Items {
    pub fn len(&self) -> u32 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, place: u32) -> Option<Item<'_>> {
        let piece = self.pieces.get(place as usize / PIECE)?;
        let within = place as usize % PIECE;
        let Mark { state, handled, failed } = *piece.marks.get(within)?;
        Some(Item { text: piece.texts.get(within)?, state, handled, failed })
    }

    /// All from this place on.
    pub fn from(&self, place: u32) -> impl Iterator<Item = (u32, Item<'_>)> {
        (place..self.len).filter_map(|place| self.get(place).map(|item| (place, item)))
    }

    /// The places of those that are to do, from this one on. Pieces in which there is nothing to do cost little.
    pub fn todo_from(&self, place: u32) -> impl Iterator<Item = u32> + '_ {
        let (first, from) = (place as usize / PIECE, place as usize % PIECE);
        let pieces = (first..self.pieces.len()).filter_map(|number| Some((number, self.pieces.get(number)?)));
        pieces.flat_map(move |(number, piece)| {
            let marks = piece.marks.iter().enumerate().skip(if number == first { from } else { 0 });
            let todo = marks.filter(|(_, mark)| mark.state == ItemState::Todo);
            todo.map(move |(within, _)| (number * PIECE + within) as u32)
        })
    }

    /// Appends items that are to do.
    pub(super) fn append(&mut self, texts: &Texts) {
        self.append_marked(texts, &[]);
    }

    /// Appends items as a checkpoint has them; those without a mark are to do.
    pub fn append_marked(&mut self, texts: &Texts, marks: &[Mark]) {
        for (number, text) in texts.iter().enumerate() {
            if (self.len as usize).is_multiple_of(PIECE) {
                self.pieces.push_back(Arc::default());
            }
            let Some(last) = self.pieces.len().checked_sub(1).and_then(|last| self.pieces.get_mut(last)) else {
                return;
            };
            let piece = Arc::make_mut(last);
            Arc::make_mut(&mut piece.texts).push(text);
            piece.marks.push(marks.get(number).copied().unwrap_or_default());
            self.len += 1;
            if piece.marks.len() == PIECE {
                Arc::make_mut(&mut piece.texts).shrink();
                piece.marks.shrink_to_fit();
            }
        }
    }

    /// Changes what is known of an item; answers how it was before.
    pub(super) fn change(&mut self, place: u32, change: impl FnOnce(&mut Mark)) -> Option<Mark> {
        let piece = self.pieces.get_mut(place as usize / PIECE)?;
        let mark = Arc::make_mut(piece).marks.get_mut(place as usize % PIECE)?;
        let before = *mark;
        change(mark);
        Some(before)
    }

    /// Items in parts of so many bytes, for a checkpoint.
    pub fn parts(&self, bytes_max: usize) -> impl Iterator<Item = (Texts, Vec<Mark>)> + '_ {
        let mut place = 0;
        std::iter::from_fn(move || {
            let (mut texts, mut marks) = (Texts::new(), Vec::new());
            while let Some(Item { text, state, handled, failed }) = self.get(place)
                && (texts.is_empty() || texts.bytes() + 6 * texts.len() + text.len() < bytes_max)
            {
                texts.push(text);
                marks.push(Mark { state, handled, failed });
                place += 1;
            }
            (!texts.is_empty()).then_some((texts, marks))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_keeps_what_it_saw_and_parts_make_the_whole() {
        let texts: Vec<String> = (0..3000).map(|n| format!("item-{n}")).collect();
        let mut items = Items::default();
        items.append(&texts.iter().map(String::as_str).collect());
        let picture = items.clone();
        items.change(2048, |mark| mark.state = ItemState::Done);
        assert_eq!(picture.get(2048).map(|item| item.state), Some(ItemState::Todo));
        assert_eq!(items.get(2048).map(|item| (item.text, item.state)), Some(("item-2048", ItemState::Done)));
        assert_eq!(items.todo_from(2047).take(2).collect::<Vec<_>>(), [2047, 2049]);
        assert_eq!(items.get(3000), None);
        let mut again = Items::default();
        items.parts(1000).for_each(|(texts, marks)| again.append_marked(&texts, &marks));
        assert_eq!(again, items);
    }
}
