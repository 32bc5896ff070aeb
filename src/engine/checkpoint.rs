//! When a picture of the state is written aside, so that a restart reads no more than about twice the live state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::archive::Archive;
use super::machine::Machine;
use super::run::{SharedJournal, lock};
use crate::core::state::picture;
use crate::journal::{self, Upkeep};

/// Bytes of commits since the last checkpoint below which none is written.
const BYTES_MIN: u64 = 64 * 1024 * 1024;

/// Bytes of commits in one generation of the journal. What a store keeps in memory of the generation that is written
/// grows with it (sled's cache has no bound that holds) and is gone with the next; a switch holds up commits for some
/// milliseconds.
const GENERATION_BYTES: u64 = 32 * 1024 * 1024;
const _: () =
    assert!(picture::CHUNK_BYTES_MAX <= journal::CHUNK_BYTES_MAX, "a job could keep any checkpoint from being");

/// Decides when a checkpoint is due, and has it written on a thread of its own.
pub struct Checkpointer {
    /// Bytes of commits since the picture that the last checkpoint is of.
    since: u64,
    /// Bytes of commits in the generation that is being written.
    generation: u64,
    /// Checksum of the last commit.
    checksum: u64,
    /// Bytes of the last checkpoint, before compression.
    size: Arc<AtomicU64>,
    writing: Arc<AtomicBool>,
    bytes_min: u64,
}

impl Checkpointer {
    /// `since`: bytes of commits that a start had to replay; `checksum`: of the last of them.
    pub fn new(since: u64, checksum: u64) -> Checkpointer {
        let (size, writing) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        Checkpointer { since, generation: 0, checksum, size, writing, bytes_min: BYTES_MIN }
    }

    /// Writes checkpoints sooner; for tests and benchmarks.
    pub fn with_bytes_min(mut self, bytes_min: u64) -> Checkpointer {
        self.bytes_min = bytes_min;
        self
    }

    pub fn wrote(&mut self, bytes: usize, checksum: u64) {
        self.since += bytes as u64;
        self.generation += bytes as u64;
        self.checksum = checksum;
    }

    /// Whether [`Checkpointer::consider`] has something to do.
    pub fn is_due(&self) -> bool {
        self.outweighed() || self.generation >= GENERATION_BYTES
    }

    /// Whether the commits since the last checkpoint outweigh it, and none is being written.
    fn outweighed(&self) -> bool {
        let enough = self.since >= self.bytes_min.max(self.size.load(Ordering::Relaxed));
        enough && !self.writing.load(Ordering::Acquire)
    }

    /// Begins a new generation when the present one is full, and a checkpoint if the commits since the last one outweigh
    /// it. Nothing may be in flight, and what is being gathered may not have events yet.
    pub fn consider(
        &mut self,
        machine: &Machine,
        journal: &SharedJournal,
        archive: &Arc<Archive>,
    ) -> Result<(), journal::Error> {
        if !self.is_due() || machine.gathered_bytes() > 0 {
            return Ok(());
        }
        // Only this thread sets `writing`, so nothing comes between the question and the answer.
        let begin = self.outweighed();
        let upkeep = {
            let mut journal = lock(journal);
            journal.rotate()?;
            journal.upkeep()
        };
        self.generation = 0;
        if !begin {
            return Ok(());
        }
        self.writing.store(true, Ordering::Release);
        self.since = 0;
        let state = machine.state().picture();
        let (checksum, size, writing, archive) =
            (self.checksum, self.size.clone(), self.writing.clone(), archive.clone());
        let work = move || {
            match write(&*upkeep, &archive, &state, checksum) {
                Ok(bytes) => size.store(bytes, Ordering::Relaxed),
                Err(error) => {
                    tracing::warn!(
                        error,
                        "could not write a checkpoint, will retry when as much has been journaled again"
                    )
                }
            }
            drop(state); // takes milliseconds for a million jobs, so it is done here
            writing.store(false, Ordering::Release);
        };
        std::thread::Builder::new().name("checkpoint".into()).spawn(work).expect("the machine has room for one thread");
        Ok(())
    }
}

/// Writes a checkpoint of `state`, once the projections have all that the commits before it say: what
/// is not projected could not be read from a journal that starts after it.
fn write(
    upkeep: &dyn Upkeep,
    archive: &Archive,
    state: &crate::core::state::Durable,
    checksum: u64,
) -> Result<u64, String> {
    let seq = state.scalars.seq;
    archive.sync(seq).map_err(|error| error.to_string())?;
    let head = picture::head(state);
    let mut chunks = picture::chunks(state);
    let written = upkeep.put_checkpoint(seq, checksum, &head, &mut chunks).map_err(|error| error.to_string())?;
    tracing::info!(seq = seq.0, bytes = written.bytes_stored, "checkpoint written");
    Ok(written.bytes)
}
