//! The journal: the ordered record of every change of state, and the checkpoints that shorten its replay.
//!
//! Here live the trait, its two stores and the format of what they keep. Payloads are bytes: what an event
//! is, the `core` knows, and when to commit, rotate, checkpoint or drop, the `engine`.
//!
//! ```text
//! STATE/lock                        held by the daemon        (lock)
//! STATE/journal/head                reaches at least here     (head)
//! STATE/journal/gen-<first seq>/    a generation              (sled/generation)
//! STATE/checkpoint/<seq>/           a checkpoint              (sled/checkpoint)
//! ```
//!
//! A directory is made under a name that ends in `.new` and renamed when it is complete, and renamed to
//! `.drop` before it is taken apart, so a kill at any instant leaves either nothing or a whole thing
//! under its proper name. Opening removes the remains.

mod chunk;
mod compress;
mod error;
mod head;
mod lock;
mod memory;
mod parts;
mod reader;
mod record;
mod sled;
mod walk;

#[cfg(test)]
mod conformance;

use std::fmt;
use std::sync::Arc;

pub use self::sled::SledJournal;
pub use error::Error;
pub use lock::{LockError, StateLock};
pub use memory::{Disk, Fault, MemoryJournal};

use crate::core::id::Seq;
use crate::core::time::Timestamp;

/// Bytes of one commit's payload at most.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of one chunk of a checkpoint at most. About 11 KB is best: compressed, it fits one entry; but the largest
/// job has to fit too.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// Bytes of what the caller may note in a checkpoint's manifest at most.
pub const META_BYTES_MAX: usize = 1024 * 1024;

/// The number of a writer: who takes over from another has a greater one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One commit as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub seq: Seq,
    pub at: Timestamp,
    /// The number of events in the payload, as the writer counted them.
    pub events: u32,
    pub payload: Vec<u8>,
    /// Covers this commit and, through the chain, all before it.
    pub checksum: u64,
}

/// A place in the journal: the commit it ends with, seen from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tip {
    /// 0 before the first commit.
    pub seq: Seq,
    pub at: Timestamp,
    /// The checksum of commit `seq`; 0 before the first commit.
    pub checksum: u64,
}

/// What opening a journal found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// The last durable commit.
    pub tip: Tip,
    /// The commit of the newest complete checkpoint.
    pub checkpoint: Option<Seq>,
    /// The commit at the end which was never acknowledged and is gone now.
    pub cut: Option<Cut>,
    /// Names of unfinished directories that were removed.
    pub leftovers: Vec<String>,
    /// What was written and not synced before the last commit is there too: neither the power nor the file system has
    /// failed since, as far as a note tells that follows each commit without a sync.
    pub intact: bool,
}

/// A commit that a crash left incomplete, and so was never acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub seq: Seq,
    /// How much of it there was.
    pub parts: u16,
    pub bytes: usize,
    pub reason: String,
}

/// A row of commits that is dropped as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    pub first: Seq,
    /// The last commit so far; less than `first` when there is none.
    pub last: Seq,
    /// Bytes on disk.
    pub bytes: u64,
    /// Time of the commit before its first; 0 for the first generation.
    pub since: Timestamp,
    /// Time of its last commit; `None` for the generation that is being written.
    pub until: Option<Timestamp>,
}

/// Which generations to keep when dropping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Commits after this one are kept: the rest of the daemon still needs them.
    pub after: Seq,
    /// A generation whose last commit is older than this is dropped...
    pub since: Timestamp,
    /// ...and so are the oldest while all together are larger than this.
    pub bytes_max: u64,
}

/// The newest complete checkpoint, to be read once.
pub struct Checkpoint {
    /// The state is that after this commit.
    pub seq: Seq,
    /// The checksum of commit `seq`.
    pub checksum: u64,
    /// What the writer noted.
    pub meta: Vec<u8>,
    /// The number of chunks.
    pub count: u64,
    /// The chunks in the order in which they were put.
    pub chunks: Box<dyn Iterator<Item = Result<Vec<u8>, Error>> + Send>,
}

/// What a checkpoint came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub seq: Seq,
    pub chunks: u64,
    /// Bytes of all chunks as given, and as stored.
    pub bytes: u64,
    pub bytes_stored: u64,
}

/// Commits in order, each verified against the one before.
pub type Commits = Box<dyn Iterator<Item = Result<Commit, Error>> + Send>;

/// The writer's side. One thread owns it.
pub trait Journal: Send {
    /// Appends one commit and returns its checksum when it is power-safe.
    ///
    /// `seq` must be the number after [`Journal::last`], and no writer with a greater epoch may have
    /// appended: else [`Error::Fenced`], and nothing has happened. After [`Error::Io`] the commit may or may not
    /// be on disk, and the journal takes no more.
    fn append(&mut self, epoch: Epoch, seq: Seq, at: Timestamp, events: u32, payload: &[u8]) -> Result<u64, Error>;

    /// The last durable commit.
    fn tip(&self) -> Tip;

    /// The number of the last durable commit, 0 when there is none.
    fn last(&self) -> Seq {
        self.tip().seq
    }

    /// A reader, for use on any thread while this appends.
    fn reader(&self) -> Arc<dyn Reader>;

    /// What is done beside the appends, for use on any thread.
    fn upkeep(&self) -> Arc<dyn Upkeep>;

    /// Begins a new generation: the next commit is its first. Does nothing when the present one is empty.
    fn rotate(&mut self) -> Result<(), Error>;
}

/// Reads what is durable.
pub trait Reader: Send + Sync {
    /// Commits from `from` (at least 1) up to the last that is durable when the iterator gets there. It ends there,
    /// or after the first error.
    fn read(&self, from: Seq) -> Commits;
    /// The first commit that can be read, or could be if there were any.
    fn first(&self) -> Seq;
    /// The last durable commit.
    fn last(&self) -> Seq;
}

/// Background work. Each call may take long and sleeps to let commits pass; two calls wait for each other,
/// except [`Upkeep::mark_head`] and [`Upkeep::generations`].
pub trait Upkeep: Send + Sync {
    /// Writes a checkpoint of the state after commit `seq`, whose checksum is `checksum`. It counts only when this
    /// has returned `Ok`; then the older ones are deleted.
    fn put_checkpoint(
        &self,
        seq: Seq,
        checksum: u64,
        meta: &[u8],
        chunks: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Result<Written, Error>;

    /// The newest complete checkpoint.
    fn latest_checkpoint(&self) -> Result<Option<Checkpoint>, Error>;

    /// All generations, oldest first.
    fn generations(&self) -> Vec<Generation>;

    /// Drops the oldest generations as `keep` says, but never one that is needed to recover: one with commits after the
    /// newest complete checkpoint, or the one that is being written. Returns what was dropped.
    fn drop_before(&self, keep: Keep) -> Result<Vec<Generation>, Error>;

    /// Notes durably that the journal reaches the last durable commit, and returns that. Without the note a later
    /// opening could not tell that damage has taken commits off the end. Two small syncs: for a background tick.
    fn mark_head(&self) -> Result<Seq, Error>;
}

/// What an append must be, in either store.
fn check_append(tip: Tip, seen: Epoch, epoch: Epoch, seq: Seq, payload: &[u8]) -> Result<(), Error> {
    let expected = tip.seq.next();
    if epoch < seen || seq != expected {
        return Err(Error::Fenced { epoch, seen, got: seq, expected });
    }
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Error::TooLarge { what: "a commit", bytes: payload.len(), bytes_max: PAYLOAD_BYTES_MAX });
    }
    Ok(())
}

/// What a checkpoint must be, in either store.
fn check_checkpoint(tip: Tip, newest: Seq, seq: Seq, checksum: u64, meta: &[u8]) -> Result<(), Error> {
    let what = if seq > tip.seq {
        format!("the last durable commit is {}", tip.seq)
    } else if seq < newest {
        format!("there is one as of commit {newest}")
    } else if seq == tip.seq && checksum != tip.checksum {
        "that commit has another checksum".into()
    } else if meta.len() > META_BYTES_MAX {
        let (what, bytes) = ("the meta of a checkpoint", meta.len());
        return Err(Error::TooLarge { what, bytes, bytes_max: META_BYTES_MAX });
    } else {
        return Ok(());
    };
    Err(Error::Misplaced { seq, what })
}

fn check_chunk(chunk: &[u8]) -> Result<(), Error> {
    if chunk.len() > CHUNK_BYTES_MAX {
        let (what, bytes) = ("a chunk of a checkpoint", chunk.len());
        return Err(Error::TooLarge { what, bytes, bytes_max: CHUNK_BYTES_MAX });
    }
    Ok(())
}
