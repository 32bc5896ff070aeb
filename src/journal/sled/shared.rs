//! What the writer shares with its readers and with the upkeep: which generations there are and how far they reach.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::checkpoint::{self, Chunks};
use super::generation::Generation;
use super::manifest::Manifest;
use super::records::Records;
use crate::core::id::Seq;
use crate::journal::error::Error;
use crate::journal::reader::Library;
use crate::journal::walk::Stored;
use crate::journal::{self, Checkpoint, Keep, Tip, Upkeep, Written, head};

/// Shared by one [`super::SledJournal`] and all its handles.
pub(super) struct Shared {
    journal_dir: PathBuf,
    checkpoint_dir: PathBuf,
    /// Oldest first, never none; the last is being written.
    generations: Mutex<Vec<Arc<Generation>>>,
    tip: Mutex<Tip>,
    /// What the head file says.
    head: Mutex<Tip>,
    /// The newest complete checkpoint, and its chunks while somebody reads them.
    checkpoint: Mutex<(Option<Manifest>, Weak<Records>)>,
    /// Held during what may take long.
    upkeep: Mutex<()>,
}

/// No state here is left half changed by a panic, so a poisoned lock is as good as another.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(
        journal_dir: PathBuf,
        checkpoint_dir: PathBuf,
        generations: Vec<Arc<Generation>>,
        checkpoint: Option<Manifest>,
        tip: Tip,
        head: Tip,
    ) -> Shared {
        Shared {
            journal_dir,
            checkpoint_dir,
            generations: Mutex::new(generations),
            tip: Mutex::new(tip),
            head: Mutex::new(head),
            checkpoint: Mutex::new((checkpoint, Weak::new())),
            upkeep: Mutex::new(()),
        }
    }

    /// The generation that is being written.
    pub fn live(&self) -> Arc<Generation> {
        lock(&self.generations).last().expect("there is always a generation").clone()
    }

    pub fn create_generation(&self, origin: Tip) -> Result<Generation, Error> {
        Generation::create(&self.journal_dir, origin)
    }

    pub fn add(&self, generation: Arc<Generation>) {
        lock(&self.generations).push(generation);
    }

    pub fn replace_live(&self, generation: Arc<Generation>) {
        let mut generations = lock(&self.generations);
        generations.pop();
        generations.push(generation);
    }

    /// Commits up to `tip` are durable.
    pub fn reached(&self, tip: Tip) {
        *lock(&self.tip) = tip;
    }

    /// The generations that may go: neither being written nor needed to recover. Each with the commit it ends with.
    fn droppable(&self) -> Vec<(Arc<Generation>, Tip)> {
        let checkpoint = lock(&self.checkpoint).0.as_ref().map_or(Seq(0), |manifest| manifest.seq);
        let generations = lock(&self.generations);
        let sealed = generations.windows(2).map(|pair| (pair[0].clone(), pair[1].origin()));
        sealed.take_while(|(_, end)| end.seq <= checkpoint).collect()
    }

    fn describe(&self, generation: &Generation, end: Option<Tip>) -> journal::Generation {
        let origin = generation.origin();
        journal::Generation {
            first: origin.seq.next(),
            last: end.map_or_else(|| lock(&self.tip).seq, |end| end.seq),
            bytes: generation.bytes(),
            since: origin.at,
            until: end.map(|end| end.at),
        }
    }
}

impl Library for Shared {
    fn generations(self: &Arc<Self>) -> Vec<Arc<dyn Stored>> {
        lock(&self.generations).iter().map(|generation| generation.clone() as Arc<dyn Stored>).collect()
    }

    fn durable(&self) -> Tip {
        *lock(&self.tip)
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
        let _upkeep = lock(&self.upkeep);
        let (tip, newest) = (self.durable(), lock(&self.checkpoint).0.as_ref().map_or(Seq(0), |newest| newest.seq));
        journal::check_checkpoint(tip, newest, seq, checksum, meta)?;
        let manifest = Manifest { seq, checksum, meta: meta.to_vec(), ..Manifest::default() };
        let manifest = checkpoint::write(&self.checkpoint_dir, manifest, chunks)?;
        let written =
            Written { seq, chunks: manifest.chunks, bytes: manifest.bytes, bytes_stored: manifest.bytes_stored };
        self.mark_head()?;
        let before = std::mem::replace(&mut *lock(&self.checkpoint), (Some(manifest), Weak::new()));
        if before.1.strong_count() == 0 {
            checkpoint::remove_others(&self.checkpoint_dir, seq)?;
        }
        Ok(written)
    }

    fn latest_checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        let _upkeep = lock(&self.upkeep);
        let (manifest, shared) = lock(&self.checkpoint).clone();
        let Some(manifest) = manifest else {
            return Ok(None);
        };
        let records = match shared.upgrade() {
            Some(records) => records,
            None => checkpoint::open(&self.checkpoint_dir, &manifest)?,
        };
        lock(&self.checkpoint).1 = Arc::downgrade(&records);
        Ok(Some(Checkpoint {
            seq: manifest.seq,
            checksum: manifest.checksum,
            meta: manifest.meta.clone(),
            count: manifest.chunks,
            chunks: Box::new(Chunks::new(records, manifest)),
        }))
    }

    fn generations(&self) -> Vec<journal::Generation> {
        let generations = lock(&self.generations).clone();
        let ends = generations.iter().skip(1).map(|next| Some(next.origin())).chain([None]);
        generations.iter().zip(ends).map(|(generation, end)| self.describe(generation, end)).collect()
    }

    fn drop_before(&self, keep: Keep) -> Result<Vec<journal::Generation>, Error> {
        let _upkeep = lock(&self.upkeep);
        let mut total: u64 = Upkeep::generations(self).iter().map(|generation| generation.bytes).sum();
        let mut dropped = Vec::new();
        for (generation, end) in self.droppable() {
            let described = self.describe(&generation, Some(end));
            let unwanted = end.at < keep.since || total > keep.bytes_max;
            if end.seq > keep.after || !unwanted || !generation.take_apart()? {
                break;
            }
            lock(&self.generations).retain(|other| !Arc::ptr_eq(other, &generation));
            total = total.saturating_sub(described.bytes);
            dropped.push(described);
        }
        Ok(dropped)
    }

    fn mark_head(&self) -> Result<Seq, Error> {
        let mut marked = lock(&self.head);
        let tip = self.durable();
        if tip.seq > marked.seq {
            head::write(&self.journal_dir.join("head"), tip)?;
            *marked = tip;
        }
        Ok(tip.seq)
    }
}
