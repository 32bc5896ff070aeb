//! The journal on disk: generations and checkpoints, each in a sled directory of its own.
//!
//! What sled does and what it does not, `crate::disk` knows.

mod checkpoint;
mod generation;
mod manifest;
pub(super) mod open;
mod records;
mod shared;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use super::compress::Compressor;
use super::error::Error;
use super::head::Reached;
use super::reader::LibraryReader;
use super::record::{self, Head};
use super::{Epoch, Journal, Opened, Reader, Tip, Upkeep, check_append};
use crate::core::id::Seq;
use crate::core::time::Timestamp;
use records::Records;
use shared::Shared;

/// Capacity of the buffer for a commit's bytes that is kept between commits.
const BUFFER_BYTES_KEPT: usize = 256 * 1024;

/// The journal in a state directory. Who opens it holds the [`super::StateLock`] of that directory.
pub struct SledJournal {
    shared: Arc<Shared>,
    /// The generation that is written.
    live: Arc<Records>,
    origin: Tip,
    tip: Tip,
    /// The greatest writer so far.
    epoch: Epoch,
    compressor: Compressor,
    buffer: Vec<u8>,
    poisoned: bool,
    reached: Reached,
}

impl SledJournal {
    /// Opens the journal in `state_dir`, or begins one.
    ///
    /// Reads all that is needed to recover, and nothing else: the commits after the newest complete checkpoint. An
    /// incomplete commit at the end is cut off; [`Opened`] says so.
    pub fn open(state_dir: &Path) -> Result<(SledJournal, Opened), Error> {
        let (shared, opened) = open::open(state_dir)?;
        let live = shared.live();
        let journal = SledJournal {
            live: live.open()?,
            origin: super::walk::Stored::origin(live.as_ref()),
            tip: opened.tip,
            epoch: Epoch::default(),
            compressor: Compressor::default(),
            buffer: Vec::new(),
            poisoned: false,
            reached: Reached::open(&state_dir.join("journal").join(open::REACHED))?,
            shared: Arc::new(shared),
        };
        Ok((journal, opened))
    }

    /// Runs what must not be tried again when it failed, as nobody knows then what the disk holds.
    fn once<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        let result = work(self);
        self.poisoned = result.is_err();
        result
    }

    fn write(&mut self, head: Head, payload: &[u8]) -> Result<u64, Error> {
        let checksum = record::encode(head, payload, &mut self.compressor, &mut self.buffer);
        self.live.insert(head.seq.0, &self.buffer)?;
        self.live.sync()?;
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        self.tip = Tip { seq: head.seq, at: head.at, checksum };
        self.shared.reached(self.tip);
        self.reached.note(self.tip);
        Ok(checksum)
    }

    fn begin_generation(&mut self) -> Result<(), Error> {
        let generation = Arc::new(self.shared.create_generation(self.tip)?);
        let live = generation.open()?;
        self.shared.live().seal(self.tip)?;
        self.shared.add(generation);
        self.origin = self.tip;
        let sealed = std::mem::replace(&mut self.live, live);
        // Closing takes milliseconds and nobody waits for it. Without a thread it is closed here, with the closure.
        let _ = std::thread::Builder::new().name("journal-seal".into()).spawn(move || drop(sealed));
        self.shared.mark_head().map(drop)
    }
}

impl Journal for SledJournal {
    fn append(&mut self, epoch: Epoch, seq: Seq, at: Timestamp, events: u32, payload: &[u8]) -> Result<u64, Error> {
        if self.poisoned {
            return Err(Error::Poisoned);
        }
        check_append(self.tip, self.epoch, epoch, seq, payload)?;
        self.epoch = epoch;
        let head = Head { seq, at, events, previous: self.tip.checksum };
        self.once(|journal| journal.write(head, payload))
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
        if self.tip == self.origin {
            return Ok(());
        }
        self.once(Self::begin_generation)
    }
}
