//! Which chunks hold rows of a term: in memory while a partition is open, packed when it is sealed.
//!
//! Packed: entries (term, chunk) in order, cut into lists of at most 4 KiB. A list's key is its first entry;
//! its value holds for every entry the distance to the term before and, within a term, to the chunk before.

use std::collections::BTreeSet;

use super::codec::{Reader, put_varint};
use super::error::Error;
use super::filter::Filter;
use crate::disk::Database;

const LIST_BYTES_MAX: usize = 4 * 1024;
/// The longest entry: two numbers of up to 10 and 5 bytes.
const ENTRY_BYTES_MAX: usize = 15;

/// The index of the open partition: about 25 bytes for each term of a row.
#[derive(Default)]
pub struct Index {
    entries: BTreeSet<(u64, u32)>,
}

impl Index {
    pub fn insert(&mut self, term: u64, chunk: u32) {
        self.entries.insert((term, chunk));
    }

    pub fn contains(&self, term: u64) -> bool {
        self.entries.range((term, 0)..=(term, u32::MAX)).next().is_some()
    }

    /// The chunks with rows of `term`, oldest first.
    pub fn chunks(&self, term: u64) -> Vec<u32> {
        self.entries.range((term, 0)..=(term, u32::MAX)).map(|entry| entry.1).collect()
    }

    /// A filter over all terms.
    pub fn filter(&self) -> Filter {
        let mut filter = Filter::for_terms(self.terms().count());
        self.terms().for_each(|term| filter.insert(term));
        filter
    }

    fn terms(&self) -> impl Iterator<Item = u64> {
        let mut previous = None;
        self.entries.iter().map(|entry| entry.0).filter(move |&term| previous.replace(term) != Some(term))
    }

    /// Stores the packed lists, and says how many.
    pub fn pack(&self, db: &Database) -> Result<u32, Error> {
        let mut lists = 0;
        let mut list = Vec::with_capacity(LIST_BYTES_MAX);
        let mut first = (0, 0);
        let mut previous = (0, 0);
        for &entry in &self.entries {
            if !list.is_empty() && list.len() + ENTRY_BYTES_MAX > LIST_BYTES_MAX {
                db.put(&key(first.0, first.1), &list)?;
                list.clear();
            }
            if list.is_empty() {
                lists += 1;
                first = entry;
                previous = entry;
            }
            let same = entry.0 == previous.0;
            put_varint(&mut list, entry.0 - previous.0);
            put_varint(&mut list, u64::from(if same { entry.1 - previous.1 } else { entry.1 }));
            previous = entry;
        }
        if !list.is_empty() {
            db.put(&key(first.0, first.1), &list)?;
        }
        Ok(lists)
    }
}

/// Removes lists that a crash left half packed.
pub fn unpack(db: &Database) -> Result<(), Error> {
    Ok(db.remove_range(&key(0, 0), &key(u64::MAX, u32::MAX))?)
}

/// The chunks with rows of `term` in the sealed partition `db`, oldest first. `None`: a list is damaged.
pub fn lookup(db: &Database, term: u64) -> Result<Option<Vec<u32>>, Error> {
    let mut lists = Vec::new();
    let mut whole = true;
    db.walk_back(&key(0, 0), &key(term, u32::MAX), |key, list| {
        let Some(first) = parse_key(key) else {
            whole = false;
            return false;
        };
        match chunks_in(first, list, term) {
            Some(chunks) => lists.push(chunks),
            None => whole = false,
        }
        whole && first.0 == term
    })?;
    lists.reverse();
    Ok(whole.then(|| lists.concat()))
}

fn chunks_in(first: (u64, u32), list: &[u8], term: u64) -> Option<Vec<u32>> {
    let mut chunks = Vec::new();
    let mut reader = Reader::new(list);
    let mut at = first;
    while !reader.is_empty() {
        let distance = reader.varint()?;
        let chunk = u32::try_from(reader.varint()?).ok()?;
        at = match distance {
            0 => (at.0, at.1.checked_add(chunk)?),
            _ => (at.0.checked_add(distance)?, chunk),
        };
        if at.0 > term {
            break;
        }
        if at.0 == term {
            chunks.push(at.1);
        }
    }
    Some(chunks)
}

fn key(term: u64, chunk: u32) -> [u8; 13] {
    let mut key = [b't'; 13];
    key[1..9].copy_from_slice(&term.to_be_bytes());
    key[9..].copy_from_slice(&chunk.to_be_bytes());
    key
}

fn parse_key(key: &[u8]) -> Option<(u64, u32)> {
    let mut reader = Reader::new(key.strip_prefix(b"t")?);
    Some((u64::from_be_bytes(reader.array()?), u32::from_be_bytes(reader.array()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_lists_answer_as_the_index_did() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open_or_create(dir.path(), 1 << 20).unwrap();
        let mut index = Index::default();
        for row in 0..6_000u64 {
            let chunk = (row / 3) as u32 * 1000;
            index.insert(7, chunk); // over several lists
            index.insert(row.wrapping_mul(0x9e37_79b9_7f4a_7c15), chunk);
            index.insert(u64::MAX - row % 2, chunk);
        }
        index.pack(&db).unwrap();
        let terms: Vec<u64> = index.terms().collect();
        for term in terms.iter().copied().chain([0, 8, u64::MAX - 2, 12345]) {
            assert_eq!(lookup(&db, term).unwrap().unwrap(), index.chunks(term), "{term}");
            assert_eq!(index.contains(term), !index.chunks(term).is_empty());
        }
        unpack(&db).unwrap();
        assert!(lookup(&db, 7).unwrap().unwrap().is_empty());
    }
}
