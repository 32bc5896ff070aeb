//! Writing: rows into chunks, chunks into the open partition, and what is full into a sealed one.
//!
//! A batch is durable in this order: chunks, then the meta entry with the commit they reach, then flush and
//! `fdatasync`. Rows that ran past their meta entry are cut at the next open (`recover`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;
use zstd::bulk::Compressor;

use super::buffer::Commit;
use super::chunk::Builder;
use super::error::Error;
use super::index::Index;
use super::partition::Partition;
use super::sealed::Summary;
use super::store::{Options, Row, Shared};
use crate::core::id::Seq;
use crate::core::time::Timestamp;
use crate::disk::Database;
use crate::disk::directory::{replace_file, sync_dir};

/// Bytes of rows after which a long batch is synced in between: short syncs leave the disk to the journal.
const SYNC_BYTES: usize = 1 << 20;
/// Memory that the database of the open partition may use as its cache, in bytes.
pub const WRITE_CACHE_BYTES: u64 = 1 << 20;
/// Level 1: the fastest, and rows in chunks are small.
const ZSTD_LEVEL: i32 = 1;

/// The one who writes; behind a lock, as `sync` writes on its caller's thread.
pub struct Writer {
    pub dir: PathBuf,
    pub options: Options,
    pub open: Option<Open>,
}

/// The partition that is written to.
pub struct Open {
    pub partition: Arc<Partition>,
    pub db: Arc<Database>,
    /// Counts what is written, ahead of what readers are shown.
    pub summary: Summary,
    /// The rows of the last chunk, which is not full.
    pub tail: Builder,
    /// Its number.
    pub number: u32,
    /// Term and chunk of rows that readers are not shown yet.
    pub postings: Vec<(u64, u32)>,
}

impl Writer {
    /// Writes commits, and that everything up to `target` is applied.
    pub fn write(&mut self, shared: &Shared, commits: &[Arc<Commit>], target: Seq) -> Result<(), Error> {
        let mut compressor = compressor(&self.dir)?;
        let mut unsynced = 0;
        for commit in commits {
            let Some(first) = commit.rows.first() else { continue };
            if self.is_over(first.at) {
                self.sync(shared, Seq(commit.seq.0.saturating_sub(1)), &mut compressor)?;
                self.seal()?;
                unsynced = 0;
            }
            let open = match &mut self.open {
                Some(open) => open,
                none => none.insert(Open::begin(&self.dir, first.at, commit.seq, shared)?),
            };
            for row in &commit.rows {
                open.push(commit.seq, row, &mut compressor)?;
            }
            unsynced += commit.bytes();
            if unsynced >= SYNC_BYTES {
                self.sync(shared, commit.seq, &mut compressor)?;
                unsynced = 0;
            }
        }
        self.sync(shared, target, &mut compressor)
    }

    /// Whether a row of this instant belongs into a new partition: the span is over or not begun (a clock that
    /// was far ahead came back), or the size is reached.
    fn is_over(&self, at: Timestamp) -> bool {
        let span = self.options.span();
        self.open.as_ref().is_some_and(|open| {
            let start = open.summary.start;
            at >= start + span || at < start - span || open.summary.raw >= self.options.partition_bytes()
        })
    }

    fn sync(&mut self, shared: &Shared, applied: Seq, compressor: &mut Compressor<'_>) -> Result<(), Error> {
        if shared.state().applied == applied {
            return Ok(()); // rows not yet synced are always of later commits
        }
        match &mut self.open {
            Some(open) => open.sync(applied, compressor)?,
            None => write_mark(&self.dir, applied)?,
        }
        shared.publish(applied);
        Ok(())
    }

    /// Seals the open partition when its span is over at `now`.
    pub fn seal_if_over(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.is_over(now) { self.seal() } else { Ok(()) }
    }

    /// Seals the open partition, everything in which is synced.
    pub fn seal(&mut self) -> Result<(), Error> {
        let Some(open) = self.open.take() else { return Ok(()) };
        // Everything in it is durable, so the partition could be recovered as open if this breaks off.
        let Open { partition, db, .. } = open;
        partition.seal(&db)?;
        drop(db);
        partition.settle()
    }
}

impl Open {
    fn begin(dir: &Path, start: Timestamp, first: Seq, shared: &Shared) -> Result<Open, Error> {
        let path = dir.join(format!("{:020}-{:020}", start.0.max(0), first.0));
        let db = Arc::new(Database::open_or_create(&path, WRITE_CACHE_BYTES)?);
        sync_dir(dir)?;
        let summary = Summary::starting(start, first);
        let partition = Arc::new(Partition::open(path, db.clone(), summary, Index::default()));
        shared.add(partition.clone());
        Ok(Open { partition, db, summary, tail: Builder::default(), number: 0, postings: Vec::new() })
    }

    fn push(&mut self, seq: Seq, row: &Row, compressor: &mut Compressor<'_>) -> Result<(), Error> {
        if self.tail.is_full_for(row) {
            self.store_tail(compressor)?;
            self.tail.clear();
            self.number += 1;
        }
        let before = self.tail.len();
        self.tail.push(seq, row.at, row.terms.iter().copied(), &row.bytes);
        self.summary.raw += (self.tail.len() - before) as u64;
        self.summary.count(row.at);
        self.postings.extend(row.terms.iter().map(|&term| (term, self.number)));
        Ok(())
    }

    fn store_tail(&self, compressor: &mut Compressor<'_>) -> Result<(), Error> {
        // Locked, so that no search reads it while its parts are replaced.
        self.partition.with_open_db(&self.db, |db| self.tail.store(db, self.number, compressor))
    }

    fn sync(&mut self, applied: Seq, compressor: &mut Compressor<'_>) -> Result<(), Error> {
        if self.partition.summary().rows != self.summary.rows {
            self.store_tail(compressor)?;
        }
        self.summary.chunks = self.number + u32::from(!self.tail.is_empty());
        self.summary.applied = applied;
        self.db.put_meta(&self.summary.encode())?;
        self.db.sync()?;
        self.partition.publish(&mut self.postings, self.summary);
        Ok(())
    }
}

pub fn compressor(dir: &Path) -> Result<Compressor<'static>, Error> {
    Compressor::new(ZSTD_LEVEL).map_err(Error::io(dir))
}

/// Keeps the commit reached in a file: for as long as there is no open partition.
pub fn write_mark(dir: &Path, applied: Seq) -> Result<(), Error> {
    let number = applied.0.to_le_bytes();
    let sum = xxh3_64(&number).to_le_bytes();
    Ok(replace_file(&dir.join("applied"), &[number, sum].concat())?)
}

/// The commit in that file; 0 when there is none, or it is damaged: then more is projected again.
pub fn read_mark(dir: &Path) -> Seq {
    let parsed = std::fs::read(dir.join("applied")).ok().and_then(|bytes| {
        let (number, sum) = bytes.split_first_chunk::<8>()?;
        (xxh3_64(number).to_le_bytes() == sum).then(|| u64::from_le_bytes(*number))
    });
    Seq(parsed.unwrap_or(0))
}
