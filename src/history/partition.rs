//! One partition as readers see it: open or sealed, its database opened when needed and closed again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use zstd::bulk::Decompressor;

use super::chunk;
use super::error::Error;
use super::filter::{Filter, Probe};
use super::index::{self, Index};
use super::locks::{lock, read_lock, write_lock};
use super::sealed::{self, Summary};
use super::store::Shared;
use crate::disk::{Database, directory};

/// Memory that the database of a sealed partition may use as its cache, in bytes.
const READ_CACHE_BYTES: u64 = 512 * 1024;

/// A partition, shared by the store's list and by searches under way.
pub struct Partition {
    pub path: PathBuf,
    slot: Mutex<Slot>,
    known: RwLock<Known>,
    used: AtomicBool,
}

enum Slot {
    Closed,
    Open(Arc<Database>),
    /// Dropped by retention: a search that is under way finds no more in it.
    Dropped,
}

struct Known {
    summary: Summary,
    terms: Terms,
}

enum Terms {
    Open(Index),
    Sealed { words: u64, filter: Option<Arc<Filter>> },
}

impl Partition {
    /// A sealed partition; its database stays closed.
    pub fn sealed(path: PathBuf, summary: Summary, words: u64) -> Partition {
        let known = Known { summary, terms: Terms::Sealed { words, filter: None } };
        Partition { path, slot: Mutex::new(Slot::Closed), known: RwLock::new(known), used: AtomicBool::new(false) }
    }

    /// The partition that is written to.
    pub fn open(path: PathBuf, db: Arc<Database>, summary: Summary, index: Index) -> Partition {
        let known = Known { summary, terms: Terms::Open(index) };
        Partition { path, slot: Mutex::new(Slot::Open(db)), known: RwLock::new(known), used: AtomicBool::new(false) }
    }

    pub fn summary(&self) -> Summary {
        read_lock(&self.known).summary
    }

    /// Disk that its files take, in bytes.
    pub fn disk_bytes(&self) -> u64 {
        directory::bytes(&self.path)
    }

    /// Whether rows of the term may be in here; never `false` when they are.
    pub fn may_contain(&self, term: u64, probe: Probe, shared: &Shared) -> Result<bool, Error> {
        if let Terms::Open(index) = &read_lock(&self.known).terms {
            return Ok(index.contains(term));
        }
        if let Some(filter) = self.filter(shared)? {
            return Ok(filter.may_contain(probe));
        }
        let words = match &read_lock(&self.known).terms {
            Terms::Open(_) => return Ok(false), // dropped meanwhile
            Terms::Sealed { words, .. } => *words,
        };
        sealed::may_contain(&self.path, words, probe)
    }

    /// The filter, from memory or into it; `None` when the partition is open, or there is no memory for it.
    pub fn filter(&self, shared: &Shared) -> Result<Option<Arc<Filter>>, Error> {
        let words = match &read_lock(&self.known).terms {
            Terms::Open(_) => return Ok(None),
            Terms::Sealed { filter: Some(filter), .. } => return Ok(Some(filter.clone())),
            Terms::Sealed { words, filter: None } => *words,
        };
        if !shared.filters.reserve(words) {
            return Ok(None);
        }
        let loaded = sealed::filter(&self.path).inspect_err(|_| shared.filters.release(words))?;
        let loaded = Arc::new(loaded);
        match &mut write_lock(&self.known).terms {
            Terms::Sealed { filter: filter @ None, .. } => *filter = Some(loaded.clone()),
            _ => shared.filters.release(words), // another thread was faster, or it was dropped
        }
        shared.tend();
        Ok(Some(loaded))
    }

    /// Gives the memory of the filter back.
    pub fn unload_filter(&self, shared: &Shared) {
        if let Terms::Sealed { words, filter } = &mut write_lock(&self.known).terms
            && filter.take().is_some()
        {
            shared.filters.release(*words);
        }
    }

    /// The chunks with rows of `term`, or all, oldest first.
    pub fn chunks(self: &Arc<Self>, term: Option<u64>, shared: &Shared) -> Result<Vec<u32>, Error> {
        let known = read_lock(&self.known);
        let Some(term) = term else { return Ok((0..known.summary.chunks).collect()) };
        if let Terms::Open(index) = &known.terms {
            return Ok(index.chunks(term));
        }
        drop(known);
        let found = self.with_db(shared, |db| index::lookup(db, term))?.unwrap_or(Some(Vec::new()));
        found.ok_or_else(|| Error::damaged(&self.path, "a list of its index does not parse"))
    }

    /// The raw bytes of a chunk; `None` when the partition was dropped meanwhile.
    pub fn load(
        self: &Arc<Self>,
        number: u32,
        shared: &Shared,
        decompressor: &mut Decompressor<'_>,
    ) -> Result<Option<Vec<u8>>, Error> {
        match self.with_db(shared, |db| chunk::load(db, number, decompressor))? {
            None => Ok(None),
            Some(Ok(raw)) => Ok(Some(raw)),
            Some(Err(detail)) => Err(Error::damaged(&self.path, detail)),
        }
    }

    /// Works on the database, which stays locked meanwhile: nobody sees half a chunk. `None` when dropped.
    pub fn with_db<T>(
        self: &Arc<Self>,
        shared: &Shared,
        work: impl FnOnce(&Database) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let mut slot = lock(&self.slot);
        let mut opened = false;
        let db = match &*slot {
            Slot::Dropped => return Ok(None),
            Slot::Open(db) => db.clone(),
            Slot::Closed => {
                let db = Arc::new(self.open_sealed()?);
                *slot = Slot::Open(db.clone());
                opened = true;
                db
            }
        };
        let answer = work(&db);
        drop(db);
        drop(slot);
        self.used.store(true, Ordering::Relaxed);
        if opened {
            shared.opened(self.clone());
        }
        answer.map(Some)
    }

    /// The meta entry was written last: when it is as it was, sled did not cut off a damaged end of its log.
    fn open_sealed(&self) -> Result<Database, Error> {
        let db = Database::open(&self.path, READ_CACHE_BYTES)?;
        if db.meta()?.as_deref() != Some(&self.summary().encode()) {
            return Err(Error::damaged(&self.path, "its database does not reach to where it was sealed"));
        }
        Ok(db)
    }

    /// Writes to the database of the open partition, which stays locked meanwhile.
    pub fn with_open_db<T>(&self, db: &Database, work: impl FnOnce(&Database) -> T) -> T {
        let _slot = lock(&self.slot);
        work(db)
    }

    /// Closes the database unless it was used since the last call; answers whether it is closed.
    pub fn close_when_idle(&self) -> bool {
        let used = self.used.swap(false, Ordering::Relaxed);
        if !used {
            self.close();
        }
        !used
    }

    /// Closes the database of a sealed partition.
    pub fn close(&self) {
        let mut slot = lock(&self.slot);
        if matches!(*slot, Slot::Open(_)) && matches!(read_lock(&self.known).terms, Terms::Sealed { .. }) {
            *slot = Slot::Closed;
        }
    }

    /// Shows readers rows that are now durable. The lock is let go in between: lookups go on.
    pub fn publish(&self, postings: &mut Vec<(u64, u32)>, summary: Summary) {
        for some in postings.chunks(128) {
            if let Terms::Open(index) = &mut write_lock(&self.known).terms {
                some.iter().for_each(|&(term, chunk)| index.insert(term, chunk));
            }
        }
        postings.clear();
        write_lock(&self.known).summary = summary;
    }

    /// Opens a sealed database once: that checks it, makes later opens quick, and lets its size be final.
    pub fn settle(&self) -> Result<(), Error> {
        let slot = lock(&self.slot);
        // A search may have been faster, and has opened it then.
        if matches!(*slot, Slot::Closed) { self.open_sealed().map(drop) } else { Ok(()) }
    }

    /// Packs the index onto the disk and gives back its memory: nothing will be written to it any more.
    pub fn seal(&self, db: &Database) -> Result<(), Error> {
        let (summary, words) = {
            let known = read_lock(&self.known);
            let Terms::Open(index) = &known.terms else { return Ok(()) };
            let summary = Summary { lists: index.pack(db)?, ..known.summary };
            db.put_meta(&summary.encode())?;
            db.sync()?;
            let filter = index.filter();
            sealed::write(&self.path, &summary, &filter)?;
            (summary, filter.words.len() as u64)
        };
        *write_lock(&self.known) = Known { summary, terms: Terms::Sealed { words, filter: None } };
        self.close();
        Ok(())
    }

    /// Takes the partition away from readers, for good.
    pub fn forget(&self, shared: &Shared) {
        *lock(&self.slot) = Slot::Dropped;
        self.unload_filter(shared);
        write_lock(&self.known).terms = Terms::Open(Index::default());
    }
}
