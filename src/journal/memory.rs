//! The journal in memory, for tests and for the simulator: deterministic, with faults on order.
//!
//! It keeps the same entries as the one on disk and opens by the same walk, so a torn or damaged commit looks the same.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::compress::Compressor;
use super::error::Error;
use super::parts::{self, Key};
use super::reader::{Library, LibraryReader};
use super::record::{self, Head};
use super::walk::{Batch, Source, Stored, gather, walk};
use super::{
    Checkpoint, Epoch, Generation, Journal, Keep, Opened, Reader, Tip, Upkeep, Written, check_append, check_checkpoint,
    check_chunk,
};
use crate::core::id::Seq;
use crate::core::time::Timestamp;

/// What is durable: what a crash leaves. A clone is a picture of one instant.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// Oldest first.
    generations: Vec<Row>,
    head: Option<Tip>,
    checkpoint: Option<Stone>,
}

/// A generation's entries.
#[derive(Clone, Debug, Default)]
struct Row {
    origin: Tip,
    entries: BTreeMap<Key, Arc<[u8]>>,
}

/// A complete checkpoint.
#[derive(Clone, Debug)]
struct Stone {
    tip: Tip,
    meta: Vec<u8>,
    chunks: Arc<Vec<Vec<u8>>>,
}

/// How one append is to fail: with [`Error::Io`], as by a full disk or a crash during it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which append since opening, from 1.
    pub append: u64,
    /// How many of its parts reach the disk all the same. More than it has means all: the commit is
    /// durable, and nobody was told.
    pub parts_kept: usize,
}

impl Disk {
    /// Takes the last `parts` parts of the last commit away, as a crash during its append does.
    pub fn tear(&mut self, parts: usize) {
        if let Some(row) = self.generations.last_mut() {
            let last = row.entries.last_key_value().map(|(key, _)| *key);
            for _ in 0..parts {
                let same = |key: &Key| last.is_some_and(|last| last[..8] == key[..8]);
                if row.entries.last_key_value().is_some_and(|(key, _)| same(key)) {
                    row.entries.pop_last();
                }
            }
        }
    }

    /// Flips the bits of `mask` in one byte of a commit as it is stored. Answers whether there is such a byte.
    pub fn corrupt(&mut self, seq: Seq, offset: usize, mask: u8) -> bool {
        let range = parts::key_first(seq.0)..=parts::key_last(seq.0);
        let mut left = offset;
        for value in self.generations.iter_mut().flat_map(|row| row.entries.range_mut(range.clone())).map(|(_, v)| v) {
            if left < value.len() {
                let mut bytes = value.to_vec();
                bytes[left] ^= mask;
                *value = bytes.into();
                return true;
            }
            left -= value.len();
        }
        false
    }

    /// Takes a commit away as a whole.
    pub fn lose(&mut self, seq: Seq) {
        let range = parts::key_first(seq.0)..=parts::key_last(seq.0);
        self.generations.iter_mut().for_each(|row| row.entries.retain(|key, _| !range.contains(key)));
    }

    /// Takes everything away that is in the generation which begins with commit `first`.
    pub fn lose_generation(&mut self, first: Seq) {
        self.generations.retain(|row| row.origin.seq.next() != first);
    }
}

/// A journal on a [`Disk`].
pub struct MemoryJournal {
    shared: Arc<Shared>,
    tip: Tip,
    epoch: Epoch,
    compressor: Compressor,
    buffer: Vec<u8>,
    appends: u64,
    fault: Option<Fault>,
    poisoned: bool,
}

impl MemoryJournal {
    /// Opens what is on `disk`, which this takes over.
    pub fn open(disk: Disk) -> Result<(MemoryJournal, Opened), Error> {
        let shared = Arc::new(Shared { state: Mutex::new(State { disk, tip: Tip::default() }) });
        let mut state = shared.lock();
        if state.disk.generations.is_empty() && state.disk.head.is_none() && state.disk.checkpoint.is_none() {
            state.disk.generations.push(Row::default());
        }
        let (checkpoint, head) = (state.disk.checkpoint.as_ref().map(|stone| stone.tip), state.disk.head);
        let views: Vec<_> = state.disk.generations.iter().map(|row| shared.view(row.origin)).collect();
        drop(state);
        let walked = walk(&views, checkpoint, head)?;
        let mut state = shared.lock();
        if walked.cut.is_some() {
            state.disk.generations.retain(|row| row.origin != walked.tip);
            state.disk.generations.push(Row { origin: walked.tip, entries: BTreeMap::new() });
        }
        state.tip = walked.tip;
        drop(state);
        let opened = Opened {
            tip: walked.tip,
            checkpoint: checkpoint.map(|tip| tip.seq),
            cut: walked.cut,
            leftovers: Vec::new(),
            intact: true,
        };
        let journal = MemoryJournal {
            shared,
            tip: walked.tip,
            epoch: Epoch::default(),
            compressor: Compressor::default(),
            buffer: Vec::new(),
            appends: 0,
            fault: None,
            poisoned: false,
        };
        Ok((journal, opened))
    }

    /// What is durable as of now: what [`MemoryJournal::open`] would find after a crash.
    pub fn disk(&self) -> Disk {
        self.shared.lock().disk.clone()
    }

    /// Orders a fault, in place of one ordered before.
    pub fn fail(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// Appends since opening, failed ones included.
    pub fn appends(&self) -> u64 {
        self.appends
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, epoch: Epoch, seq: Seq, at: Timestamp, events: u32, payload: &[u8]) -> Result<u64, Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        check_append(self.tip, self.epoch, epoch, seq, payload)?;
        self.epoch = epoch;
        self.appends += 1;
        let head = Head { seq, at, events, previous: self.tip.checksum };
        let checksum = record::encode(head, payload, &mut self.compressor, &mut self.buffer);
        let fault = self.fault.filter(|fault| fault.append == self.appends);
        let mut state = self.shared.lock();
        let row = state.disk.generations.last_mut().expect("there is always a generation");
        let kept = fault.map_or(usize::MAX, |fault| fault.parts_kept);
        row.entries.extend(parts::cut(seq.0, &self.buffer).take(kept).map(|(key, value)| (key, value.into())));
        if fault.is_some() {
            drop(state);
            self.poisoned = true;
            let source = io::Error::new(io::ErrorKind::StorageFull, "a fault that was ordered");
            return Err(Error::Io { what: "sync", path: PathBuf::from("memory"), source });
        }
        self.tip = Tip { seq, at, checksum };
        state.tip = self.tip;
        Ok(checksum)
    }

    fn tip(&self) -> Tip {
        self.tip
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(LibraryReader(self.shared.clone()))
    }

    fn upkeep(&self) -> Arc<dyn Upkeep> {
        self.shared.clone()
    }

    fn rotate(&mut self) -> Result<(), Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        let mut state = self.shared.lock();
        if state.disk.generations.last().is_none_or(|row| row.origin != self.tip) {
            state.disk.generations.push(Row { origin: self.tip, entries: BTreeMap::new() });
            state.disk.head = Some(self.tip);
        }
        Ok(())
    }
}

struct State {
    disk: Disk,
    /// The last commit that was acknowledged.
    tip: Tip,
}

struct Shared {
    state: Mutex<State>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(self: &Arc<Self>, origin: Tip) -> Arc<View> {
        Arc::new(View { shared: self.clone(), origin })
    }
}

/// One generation, seen by a reader.
#[derive(Clone)]
struct View {
    shared: Arc<Shared>,
    origin: Tip,
}

impl Stored for View {
    fn origin(&self) -> Tip {
        self.origin
    }

    fn source(&self) -> Result<Arc<dyn Source>, Error> {
        Ok(Arc::new(self.clone()))
    }
}

impl Source for View {
    fn batch(&self, from: Seq, until: Seq) -> Result<Batch, Error> {
        let state = self.shared.lock();
        let Some(row) = state.disk.generations.iter().find(|row| row.origin == self.origin) else {
            return Err(Error::Dropped { seq: from, first: state.disk.first() });
        };
        gather(from.0, row.entries.range(parts::key_first(from.0)..=parts::key_last(until.0)).map(Ok))
    }
}

impl Disk {
    fn first(&self) -> Seq {
        self.generations.first().map_or(Seq(1), |row| row.origin.seq.next())
    }

    /// Each generation with the commit it ends with, unless it is being written.
    fn rows(&self) -> impl Iterator<Item = (&Row, Option<Tip>)> {
        let ends = self.generations.iter().skip(1).map(|next| Some(next.origin)).chain([None]);
        self.generations.iter().zip(ends)
    }

    fn describe(&self, row: &Row, end: Option<Tip>, tip: Tip) -> Generation {
        Generation {
            first: row.origin.seq.next(),
            last: end.unwrap_or(tip).seq,
            bytes: row.entries.values().map(|value| value.len() as u64).sum(),
            since: row.origin.at,
            until: end.map(|end| end.at),
        }
    }
}

impl Library for Shared {
    fn generations(self: &Arc<Self>) -> Vec<Arc<dyn Stored>> {
        self.lock().disk.generations.iter().map(|row| self.view(row.origin) as Arc<dyn Stored>).collect()
    }

    fn durable(&self) -> Tip {
        self.lock().tip
    }
}

impl Upkeep for Shared {
    fn put_checkpoint(
        &self,
        seq: Seq,
        checksum: u64,
        meta: &[u8],
        chunks: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Result<Written, Error> {
        let chunks: Vec<Vec<u8>> = chunks.collect();
        chunks.iter().try_for_each(|chunk| check_chunk(chunk))?;
        let mut state = self.lock();
        let newest = state.disk.checkpoint.as_ref().map_or(Seq(0), |stone| stone.tip.seq);
        check_checkpoint(state.tip, newest, seq, checksum, meta)?;
        let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let written = Written { seq, chunks: chunks.len() as u64, bytes, bytes_stored: bytes };
        let tip = Tip { seq, at: Timestamp::default(), checksum };
        state.disk.checkpoint = Some(Stone { tip, meta: meta.to_vec(), chunks: Arc::new(chunks) });
        state.disk.head = Some(state.tip);
        Ok(written)
    }

    fn latest_checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        let Some(Stone { tip, meta, chunks }) = self.lock().disk.checkpoint.clone() else {
            return Ok(None);
        };
        let count = chunks.len();
        Ok(Some(Checkpoint {
            seq: tip.seq,
            checksum: tip.checksum,
            meta,
            count: count as u64,
            chunks: Box::new((0..count).map(move |index| Ok(chunks[index].clone()))),
        }))
    }

    fn generations(&self) -> Vec<Generation> {
        let state = self.lock();
        state.disk.rows().map(|(row, end)| state.disk.describe(row, end, state.tip)).collect()
    }

    fn drop_before(&self, keep: Keep) -> Result<Vec<Generation>, Error> {
        let mut state = self.lock();
        let disk = &state.disk;
        let checkpoint = disk.checkpoint.as_ref().map_or(Seq(0), |stone| stone.tip.seq);
        let all: Vec<Generation> = disk.rows().map(|(row, end)| disk.describe(row, end, state.tip)).collect();
        let mut total: u64 = all.iter().map(|generation| generation.bytes).sum();
        let doomed = all.into_iter().take_while(|generation| {
            let needed = generation.last > checkpoint.min(keep.after);
            let unwanted = generation.until.is_some_and(|until| until < keep.since || total > keep.bytes_max);
            total = total.saturating_sub(generation.bytes);
            unwanted && !needed
        });
        let doomed: Vec<Generation> = doomed.collect();
        state.disk.generations.drain(..doomed.len());
        Ok(doomed)
    }

    fn mark_head(&self) -> Result<Seq, Error> {
        let mut state = self.lock();
        state.disk.head = Some(state.tip);
        Ok(state.tip.seq)
    }
}
