//! Searching: newest first, through memory and then partition after partition, a chunk at a time.

use std::sync::Arc;

use zstd::bulk::Decompressor;

use super::buffer::Commit;
use super::chunk;
use super::error::Error;
use super::filter::Probe;
use super::partition::Partition;
use super::store::Shared;
use crate::core::id::Seq;
use crate::core::time::Timestamp;

/// sled keeps what it reads, whatever its cache may hold: a partition of which a search read more chunks
/// than this is closed behind it.
const CHUNKS_KEPT: usize = 32;

/// A row that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The commit that brought it.
    pub seq: Seq,
    pub at: Timestamp,
    pub bytes: Vec<u8>,
}

/// Rows as of the moment of asking, newest commit first, within a commit the last row first.
///
/// Reads as it goes. Rows that retention drops meanwhile are left out. An error ends the partition it is
/// about; the search goes on with the one before.
pub struct Rows {
    shared: Arc<Shared>,
    term: Option<u64>,
    since: Option<Timestamp>,
    /// Rows of later commits came after the question; those that matter are in `pending`.
    up_to: Seq,
    /// All that follow are oldest first, and taken from the end.
    pending: Vec<(Arc<Commit>, u32)>,
    ready: Vec<Found>,
    chunks: Vec<u32>,
    current: Option<Arc<Partition>>,
    /// Chunks read of the current partition.
    read: usize,
    partitions: Vec<Arc<Partition>>,
    decompressor: Option<Decompressor<'static>>,
}

impl Rows {
    pub(super) fn new(shared: Arc<Shared>, term: Option<u64>, since: Option<Timestamp>) -> Rows {
        let view = shared.view(term);
        let rows = Rows::none(shared);
        let partitions = view.partitions.to_vec();
        Rows { term, since, up_to: view.applied, pending: view.pending, partitions, ..rows }
    }

    /// No rows.
    pub(super) fn none(shared: Arc<Shared>) -> Rows {
        Rows {
            shared,
            term: None,
            since: None,
            up_to: Seq(0),
            pending: Vec::new(),
            ready: Vec::new(),
            chunks: Vec::new(),
            current: None,
            read: 0,
            partitions: Vec::new(),
            decompressor: None,
        }
    }

    /// Goes to the next partition that may have rows; `false` when there is none.
    fn next_partition(&mut self) -> Result<bool, Error> {
        let read = std::mem::take(&mut self.read);
        if let Some(left) = self.current.take()
            && read > CHUNKS_KEPT
        {
            left.close();
        }
        while let Some(partition) = self.partitions.pop() {
            if self.since.is_some_and(|since| partition.summary().latest < since) {
                continue;
            }
            if let Some(term) = self.term
                && !partition.may_contain(term, Probe::new(term), &self.shared)?
            {
                continue;
            }
            self.chunks = partition.chunks(self.term, &self.shared)?;
            self.current = Some(partition);
            return Ok(true);
        }
        Ok(false)
    }

    /// Makes the rows of a chunk ready.
    fn read_chunk(&mut self, number: u32) -> Result<(), Error> {
        let Some(partition) = &self.current else { return Ok(()) };
        self.read += 1;
        let decompressor = match &mut self.decompressor {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new().map_err(Error::io(&partition.path))?),
        };
        let Some(raw) = partition.load(number, &self.shared, decompressor)? else {
            self.chunks.clear();
            return Ok(());
        };
        let (term, since, up_to) = (self.term, self.since, self.up_to);
        let mut too_old = false;
        let parsed = chunk::rows(&raw, |row| {
            let old = since.is_some_and(|since| row.at < since);
            too_old |= old;
            if !old && row.seq <= up_to && term.is_none_or(|term| row.terms().any(|own| own == term)) {
                self.ready.push(Found { seq: row.seq, at: row.at, bytes: row.bytes.to_vec() });
            }
        });
        if too_old && partition.summary().ordered {
            self.chunks.clear();
        }
        parsed.ok_or_else(|| Error::damaged(&partition.path, format!("chunk {number} does not parse")))
    }
}

impl Iterator for Rows {
    type Item = Result<Found, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((commit, row)) = self.pending.pop() {
            let row = &commit.rows[row as usize];
            if self.since.is_none_or(|since| row.at >= since) {
                return Some(Ok(Found { seq: commit.seq, at: row.at, bytes: row.bytes.clone() }));
            }
        }
        loop {
            if let Some(found) = self.ready.pop() {
                return Some(Ok(found));
            }
            let step = match self.chunks.pop() {
                Some(number) => self.read_chunk(number).map(|()| true),
                None => self.next_partition(),
            };
            match step {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.chunks.clear();
                    self.ready.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}
