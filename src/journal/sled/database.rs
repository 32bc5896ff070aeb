//! One sled directory, opened and synced so that what it acknowledges survives a power cut.
//!
//! The rules that this file keeps, each of which cost somebody data:
//! - `flush` of sled 0.34.7 ends in `sync_file_range`, which is not durable: an `fdatasync` through a handle of our own follows.
//! - Values stay within `parts::PART_BYTES`, or sled moves them to files that it never syncs.
//! - Nothing is removed, batched or flushed in the background.
//! - A kill during an opening leaves `snap.*.generating`, which makes the next one fail: those go first.
//! - sled syncs no directory: whoever makes one does.
//! - Dropping the handle can panic too.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::caught::{Failure, caught};
use crate::core::id::Seq;
use crate::journal::error::Error;
use crate::journal::head::sync_dir;
use crate::journal::parts::{self, Key};
use crate::journal::walk::{Batch, Source, gather};

/// Bytes of sled's page cache. It is a wish: sled keeps about the last 1,000 leaves (some 50 MB) whatever stands here,
/// because it looks at a shard of its cache only after 64 accesses. What bounds memory is the size of a generation.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// How long, and how often, to wait for another thread (or a dying process) to let go of a directory.
const BUSY_WAITS: u32 = 400;
const BUSY_WAIT: Duration = Duration::from_millis(5);

/// An open sled directory.
pub(super) struct Database {
    /// `None` only while it is dropped.
    db: Option<sled::Db>,
    /// Our own handle on sled's file.
    file: File,
    path: PathBuf,
    /// The first record it is to hold: what damage to the whole is reported at.
    first: Seq,
}

impl Database {
    /// Opens the sled directory `dir`, or makes it. Making is durable only after [`Database::sync_names`].
    pub fn open(dir: &Path, first: Seq) -> Result<Database, Error> {
        remove_unfinished_snapshots(dir)?;
        let config = sled::Config::default()
            .path(dir)
            .mode(sled::Mode::HighThroughput)
            .cache_capacity(CACHE_BYTES)
            .use_compression(false)
            .flush_every_ms(None);
        let mut waits = 0;
        let db = loop {
            match caught(|| config.open()) {
                Ok(db) => break db,
                // sled reports its lock only in words.
                Err(Failure::Io(error)) if error.to_string().contains("could not acquire lock") => {
                    if waits == BUSY_WAITS {
                        return Err(Error::Busy { path: dir.to_owned() });
                    }
                    waits += 1;
                    std::thread::sleep(BUSY_WAIT);
                }
                Err(failure) => return Err(error_of(failure, "open", dir, first)),
            }
        };
        let path = dir.join("db");
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(Error::io("open", &path))?;
        Ok(Database { db: Some(db), file, path, first })
    }

    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("it is taken out only when dropped")
    }

    /// Puts the parts of one record, in order.
    pub fn insert(&self, number: u64, record: &[u8]) -> Result<(), Error> {
        caught(|| parts::cut(number, record).try_for_each(|(key, value)| self.db().insert(key, value).map(drop)))
            .map_err(|failure| error_of(failure, "write", &self.path, Seq(number)))
    }

    /// Makes all that was inserted power-safe.
    pub fn sync(&self) -> Result<(), Error> {
        caught(|| self.db().flush().map(drop)).map_err(|failure| error_of(failure, "flush", &self.path, self.first))?;
        self.file.sync_data().map_err(Error::io("sync", &self.path))
    }

    /// Makes the files themselves durable, once they were made; the parent's entry is the caller's business.
    pub fn sync_names(&self) -> Result<(), Error> {
        let dir = self.path.parent().expect("the file is in a directory");
        let conf = dir.join("conf");
        File::open(&conf).and_then(|file| file.sync_all()).map_err(Error::io("sync", &conf))?;
        self.file.sync_all().map_err(Error::io("sync", &self.path))?;
        sync_dir(&dir.join("blobs"))?;
        sync_dir(dir)
    }

    /// For tests that do what the journal never does.
    #[cfg(test)]
    pub fn db_for_tests(&self) -> &sled::Db {
        self.db()
    }

    /// Entries from `from` to `until`.
    fn entries(&self, from: Key, until: Key) -> impl Iterator<Item = Result<(sled::IVec, sled::IVec), Failure>> {
        let mut iter = self.db().range(from..=until);
        std::iter::from_fn(move || caught(|| iter.next().transpose()).transpose())
    }
}

impl Source for Database {
    fn batch(&self, from: Seq, until: Seq) -> Result<Batch, Error> {
        let entries = self.entries(parts::key_first(from.0), parts::key_last(until.0));
        gather(from.0, entries.map(|entry| entry.map_err(|failure| error_of(failure, "read", &self.path, from))))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let db = self.db.take();
        // What matters was synced before; a panic here is about damage that the next opening will report.
        let _ = caught(|| {
            drop(db);
            Ok(())
        });
    }
}

fn error_of(failure: Failure, what: &'static str, path: &Path, seq: Seq) -> Error {
    match failure {
        Failure::Io(source) => Error::Io { what, path: path.to_owned(), source },
        Failure::Damage(text) => Error::damaged(seq, format!("cannot {what} `{}`: {text}", path.display())),
    }
}

fn remove_unfinished_snapshots(dir: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("list", dir)(error)),
    };
    for entry in entries {
        let name = entry.map_err(Error::io("list", dir))?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            let path = dir.join(name.as_ref());
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}
