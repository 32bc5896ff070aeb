//! A generation: a row of commits in a sled directory of its own, beside a file that says what comes before it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::records::Records;
use crate::core::id::Seq;
use crate::disk::directory;
use crate::journal::error::Error;
use crate::journal::walk::{Source, Stored};
use crate::journal::{Tip, head};

const PREFIX: &str = "gen-";
/// The file that says what comes before the first commit.
const ORIGIN: &str = "origin";
/// The file that says where a generation ended. A kill may come before it is written.
const SEALED: &str = "sealed";

/// A generation on disk. It is opened when somebody reads it, and shared while anybody does.
pub(super) struct Generation {
    origin: Tip,
    dir: PathBuf,
    slot: Mutex<Slot>,
}

enum Slot {
    There(Weak<Records>),
    Dropped,
}

impl Generation {
    /// Makes the generation after `origin` in `root`, durably, in place of one that begins there already.
    pub fn create(root: &Path, origin: Tip) -> Result<Generation, Error> {
        let dir = root.join(format!("{PREFIX}{:020}", origin.seq.next().0));
        let new = directory::prepare(&dir)?;
        // sled keeps its path, so it is closed before the directory gets its name, and opened again.
        let records = Records::open(&new, origin.seq.next())?;
        records.sync()?;
        records.sync_names()?;
        drop(records);
        head::write(&new.join(ORIGIN), origin)?;
        directory::complete(&new, &dir)?;
        Ok(Generation { origin, dir, slot: Mutex::new(Slot::There(Weak::new())) })
    }

    /// All generations in `root`, oldest first; nothing is opened.
    pub fn list(root: &Path) -> Result<Vec<Generation>, Error> {
        let mut generations = Vec::new();
        for dir in directory::list(root)? {
            let name = dir.file_name().unwrap_or_default().to_string_lossy();
            let Some(first) = name.strip_prefix(PREFIX).and_then(|number| number.parse().ok()).map(Seq) else {
                continue;
            };
            let path = dir.join(ORIGIN);
            let origin = head::read(&path).map_err(|error| at(first, error))?;
            let origin = origin.filter(|origin| origin.seq.next() == first);
            let origin =
                origin.ok_or_else(|| Error::damaged(first, format!("`{}` is missing or wrong", path.display())))?;
            generations.push(Generation { origin, dir, slot: Mutex::new(Slot::There(Weak::new())) });
        }
        generations.sort_by_key(|generation| generation.origin.seq);
        Ok(generations)
    }

    /// Notes durably that a later generation exists, which so cannot vanish unnoticed.
    pub fn seal(&self, end: Tip) -> Result<(), Error> {
        head::write(&self.dir.join(SEALED), end)
    }

    /// The commit it ended with when it was sealed.
    pub fn sealed(&self) -> Result<Option<Tip>, Error> {
        head::read(&self.dir.join(SEALED)).map_err(|error| at(self.origin.seq.next(), error))
    }

    /// Opens it, or shares what is open.
    pub fn open(&self) -> Result<Arc<Records>, Error> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let Slot::There(weak) = &*slot else {
            let first = self.origin.seq.next();
            return Err(Error::Dropped { seq: first, first: first.next() });
        };
        if let Some(records) = weak.upgrade() {
            return Ok(records);
        }
        if !self.dir.join("db").is_file() {
            // sled would make a new one.
            return Err(Error::damaged(self.origin.seq.next(), format!("`{}` has no file `db`", self.dir.display())));
        }
        let records = Arc::new(Records::open(&self.dir, self.origin.seq.next())?);
        *slot = Slot::There(Arc::downgrade(&records));
        Ok(records)
    }

    /// Deletes it, unless somebody reads it; answers whether it is gone.
    pub fn take_apart(&self) -> Result<bool, Error> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*slot, Slot::There(weak) if weak.strong_count() > 0) {
            return Ok(false);
        }
        *slot = Slot::Dropped;
        drop(slot);
        directory::take_apart(&self.dir)?;
        Ok(true)
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        directory::bytes(&self.dir)
    }
}

impl Stored for Generation {
    fn origin(&self) -> Tip {
        self.origin
    }

    fn source(&self) -> Result<Arc<dyn Source>, Error> {
        self.open().map(|records| records as Arc<dyn Source>)
    }
}

/// Puts the number of the commit into an error that was found before it was known.
fn at(seq: Seq, error: Error) -> Error {
    match error {
        Error::Damaged { what, hint, .. } => Error::Damaged { seq, what, hint },
        other => other,
    }
}
