//! Parts: how a record of any length becomes entries of bounded length, and whole again.
//!
//! An entry's key is the record's number (u64, big endian) and the part's number (u16, big endian),
//! whose top bit is set on the last part. So entries sort in the order in which they were written,
//! and whether a record is complete shows without knowing what is in it. What is in a record is
//! `record`'s and the checkpoint's business.

/// Bytes of an entry's value at most, and of every one but a record's last: part of the format. Within what `disk` allows.
pub(super) const PART_BYTES: usize = 6 * 1024;
/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 10;
/// Parts of one record at most.
pub(super) const PARTS_MAX: usize = LAST as usize;
const LAST: u16 = 1 << 15;

pub(super) type Key = [u8; KEY_BYTES];

fn key(number: u64, part: u16) -> Key {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key[8..].copy_from_slice(&part.to_be_bytes());
    key
}

/// The least key of record `number`.
pub(super) fn key_first(number: u64) -> Key {
    key(number, 0)
}

/// The greatest key of record `number`.
pub(super) fn key_last(number: u64) -> Key {
    key(number, u16::MAX)
}

/// Cuts `record` (not empty, at most [`PARTS_MAX`] parts) into entries.
pub(super) fn cut(number: u64, record: &[u8]) -> impl Iterator<Item = (Key, &[u8])> {
    debug_assert!(!record.is_empty() && record.len() <= PARTS_MAX * PART_BYTES);
    let last = record.len().div_ceil(PART_BYTES) - 1;
    record.chunks(PART_BYTES).enumerate().map(move |(index, value)| {
        let part = index as u16 | if index == last { LAST } else { 0 };
        (key(number, part), value)
    })
}

/// A record put together again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub number: u64,
    pub bytes: Vec<u8>,
}

/// A record whose last part has not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Torn {
    pub number: u64,
    pub parts: u16,
    pub bytes: usize,
}

/// A row of entries that no writer can have left, whole or torn.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub number: u64,
    pub what: String,
}

/// Puts entries, given in the order of their keys, together to records that are numbered without a gap.
pub(super) struct Assembler {
    number: u64,
    parts: u16,
    bytes: Vec<u8>,
}

impl Assembler {
    /// Expects the first part of record `number` next.
    pub fn new(number: u64) -> Assembler {
        Assembler { number, parts: 0, bytes: Vec::new() }
    }

    /// Takes one entry; answers the record which it completes.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<Option<Whole>, Flaw> {
        let (number, part) = split(key).ok_or_else(|| self.flaw(format!("a key of {} bytes", key.len())))?;
        if number != self.number {
            let part = self.parts;
            return Err(self.flaw(format!("part {part} is missing, record {number} follows")));
        }
        if part & !LAST != self.parts {
            return Err(self.flaw(format!("part {} is missing, part {} follows", self.parts, part & !LAST)));
        }
        let last = part & LAST != 0;
        if value.len() > PART_BYTES || value.is_empty() || (!last && value.len() != PART_BYTES) {
            return Err(self.flaw(format!("part {} has {} bytes", self.parts, value.len())));
        }
        self.bytes.extend_from_slice(value);
        self.parts += 1;
        if !last {
            return Ok(None);
        }
        let whole = Whole { number, bytes: std::mem::take(&mut self.bytes) };
        *self = Assembler::new(number.wrapping_add(1));
        Ok(Some(whole))
    }

    /// The record that has begun and not ended.
    pub fn torn(&self) -> Option<Torn> {
        (self.parts > 0).then_some(Torn { number: self.number, parts: self.parts, bytes: self.bytes.len() })
    }

    fn flaw(&self, what: String) -> Flaw {
        Flaw { number: self.number, what }
    }
}

fn split(key: &[u8]) -> Option<(u64, u16)> {
    let (number, part) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), u16::from_be_bytes(part.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble<'a>(entries: impl Iterator<Item = (Key, &'a [u8])>) -> Result<(Vec<Whole>, Option<Torn>), Flaw> {
        let mut assembler = Assembler::new(7);
        let mut wholes = Vec::new();
        for (key, value) in entries {
            wholes.extend(assembler.push(&key, value)?);
        }
        Ok((wholes, assembler.torn()))
    }

    #[test]
    fn records_of_every_length_come_back_whole() {
        for length in [1, 2, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, 3 * PART_BYTES + 5] {
            let record: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let entries: Vec<_> = cut(7, &record).collect();
            assert!(entries.windows(2).all(|pair| pair[0].0 < pair[1].0), "keys ascend");
            assert!(entries.iter().all(|(key, _)| (key_first(7)..=key_last(7)).contains(key)));
            let (wholes, torn) = assemble(entries.into_iter()).unwrap();
            assert_eq!(wholes, [Whole { number: 7, bytes: record }]);
            assert_eq!(torn, None);
        }
    }

    #[test]
    fn a_missing_end_is_torn_and_a_missing_middle_is_a_flaw() {
        let record = vec![1; 3 * PART_BYTES];
        let (wholes, torn) = assemble(cut(7, &record).take(2)).unwrap();
        assert!(wholes.is_empty());
        assert_eq!(torn, Some(Torn { number: 7, parts: 2, bytes: 2 * PART_BYTES }));
        assert_eq!(assemble(cut(7, &record).skip(1)).unwrap_err().what, "part 0 is missing, part 1 follows");
        let holed = cut(7, &record).enumerate().filter(|(index, _)| *index != 1).map(|(_, entry)| entry);
        assert_eq!(assemble(holed).unwrap_err().what, "part 1 is missing, part 2 follows");
        let overtaken = cut(7, &record).take(2).chain(cut(8, &record));
        assert_eq!(assemble(overtaken).unwrap_err().what, "part 2 is missing, record 8 follows");
        assert_eq!(assemble(cut(8, &record)).unwrap_err().number, 7, "the number that is missing is named");
    }
}
