//! Records in a sled directory: each cut into parts, and each error told by the commit that it is about.
//!
//! How a directory is used safely is `disk`'s business, and what is in a record that of who writes it.

use std::path::Path;

use crate::core::id::Seq;
use crate::disk::{self, Database, VALUE_BYTES_MAX};
use crate::journal::error::Error;
use crate::journal::parts::{self, PART_BYTES};
use crate::journal::walk::{Batch, Source, gather};

/// Bytes of sled's page cache. What really bounds memory is the size of a generation.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
const _: () = assert!(PART_BYTES <= VALUE_BYTES_MAX);

/// The records of one directory, open.
pub(super) struct Records {
    database: Database,
    /// The first record it is to hold: what damage to the whole is reported at.
    first: Seq,
}

impl Records {
    /// Opens the sled directory `dir`, or makes one of the empty directory. Making is durable only after
    /// [`Records::sync_names`].
    pub fn open(dir: &Path, first: Seq) -> Result<Records, Error> {
        let database = Database::open(dir, CACHE_BYTES).map_err(at(first))?;
        Ok(Records { database, first })
    }

    /// Puts the parts of one record, in order.
    pub fn insert(&self, number: u64, record: &[u8]) -> Result<(), Error> {
        self.database.put_each(parts::cut(number, record)).map_err(at(Seq(number)))
    }

    /// Makes all that was inserted power-safe.
    pub fn sync(&self) -> Result<(), Error> {
        self.database.sync().map_err(at(self.first))
    }

    /// Makes the files themselves durable, once they were made; the parent's entry is the caller's business.
    pub fn sync_names(&self) -> Result<(), Error> {
        self.database.sync_names().map_err(at(self.first))
    }

    /// For tests that do what the journal never does.
    #[cfg(test)]
    pub fn database(&self) -> &Database {
        &self.database
    }
}

impl Source for Records {
    fn batch(&self, from: Seq, until: Seq) -> Result<Batch, Error> {
        let entries = self.database.range(parts::key_first(from.0), parts::key_last(until.0));
        gather(from.0, entries.map(|entry| entry.map_err(at(from))))
    }
}

/// For `map_err`: damage to a directory is damage at commit `seq`.
fn at(seq: Seq) -> impl FnOnce(disk::Error) -> Error {
    move |error| match error {
        disk::Error::File(error) => error.into(),
        disk::Error::Busy { dir, .. } => Error::Busy { path: dir },
        damaged @ disk::Error::Damaged { .. } => Error::damaged(seq, damaged.to_string()),
    }
}
