//! An open sled directory: entries in, entries out, and power-safe after [`Database::sync`].

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::VALUE_BYTES_MAX;
use super::caught::{Failure, caught};
use super::directory::{complete, ensure, prepare, sync_dir};
use super::error::{Error, FileError};

/// A key or a value as it was read.
pub type Bytes = sled::IVec;

/// How often, and how far apart, opening is tried again while another thread (or a dying process) holds the directory:
/// sled's own threads keep a database that was just closed for a moment longer.
const BUSY_WAITS: u32 = 400;
const BUSY_WAIT: Duration = Duration::from_millis(5);
/// The tree, and the key in it, of the one meta entry.
const META: &[u8] = b"meta";

/// An open sled directory.
pub struct Database {
    /// `None` only while it is dropped.
    db: Option<sled::Db>,
    /// Our own handle on sled's file.
    file: File,
    path: PathBuf,
    dir: PathBuf,
}

impl Database {
    /// Opens the directory `dir`, which exists. What was made in it is durable only after [`Database::sync_names`].
    ///
    /// `cache_bytes` is a wish: sled keeps about the last 1,000 leaves (some 50 MB) whatever stands here, because it looks
    /// at a shard of its cache only after 64 accesses. What bounds memory is how much is kept in one directory.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Database, Error> {
        remove_unfinished_snapshots(dir)?;
        let config = sled::Config::default()
            .path(dir)
            .mode(sled::Mode::HighThroughput)
            .cache_capacity(cache_bytes)
            .use_compression(false)
            .flush_every_ms(None);
        let mut waits = 0;
        let db = loop {
            match caught(|| config.open()) {
                Ok(db) => break db,
                // sled reports its lock only in words.
                Err(Failure::Io(source)) if source.to_string().contains("could not acquire lock") => {
                    if waits == BUSY_WAITS {
                        return Err(Error::Busy { dir: dir.to_owned(), source });
                    }
                    waits += 1;
                    std::thread::sleep(BUSY_WAIT);
                }
                Err(Failure::Io(source)) => return Err(FileError::at("open", dir)(source).into()),
                Err(Failure::Damage(detail)) => {
                    return Err(Error::Damaged { what: "open", dir: dir.to_owned(), detail });
                }
            }
        };
        let path = dir.join("db");
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(FileError::at("open", &path))?;
        Ok(Database { db: Some(db), file, path, dir: dir.to_owned() })
    }

    /// Opens the directory `dir`, and makes it, durably, where it is missing.
    pub fn open_or_create(dir: &Path, cache_bytes: u64) -> Result<Database, Error> {
        if !dir.exists() {
            Database::create_whole(dir, cache_bytes)?;
        }
        let database = Database::open(dir, cache_bytes)?;
        database.sync_names()?;
        Ok(database)
    }

    /// Makes the database under another name first: after a power cut it is there with all its files or not at all.
    /// sled syncs its `conf` nowhere, and refuses to open what a cut has left of it.
    fn create_whole(dir: &Path, cache_bytes: u64) -> Result<(), Error> {
        if let Some(parent) = dir.parent() {
            ensure(parent)?;
        }
        let new = prepare(dir)?;
        let database = Database::open(&new, cache_bytes)?;
        database.sync()?;
        database.sync_names()?;
        // sled keeps its path, so it is closed before the directory gets its name.
        drop(database);
        complete(&new, dir)?;
        Ok(())
    }

    /// Stores `value` under `key`.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.put_each(std::iter::once((key, value)))
    }

    /// Stores several values in this order: a crash may leave the first ones only.
    pub fn put_each<'a, K: AsRef<[u8]>>(&self, mut entries: impl Iterator<Item = (K, &'a [u8])>) -> Result<(), Error> {
        self.work("write", |db| {
            entries.try_for_each(|(key, value)| {
                debug_assert!(value.len() <= VALUE_BYTES_MAX);
                db.insert(key, value).map(drop)
            })
        })
    }

    /// Stores several values, all or none after a crash.
    pub fn put_together<'a, K: AsRef<[u8]>>(&self, entries: impl Iterator<Item = (K, &'a [u8])>) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for (key, value) in entries {
            debug_assert!(value.len() <= VALUE_BYTES_MAX);
            batch.insert(key.as_ref(), value);
        }
        self.work("write", |db| db.apply_batch(batch))
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.work("read", |db| db.get(key))
    }

    /// The entries from `low` up to `high`, both included.
    pub fn range<K: AsRef<[u8]>>(&self, low: K, high: K) -> impl Iterator<Item = Result<(Bytes, Bytes), Error>> {
        let mut iter = self.db().range(low..=high);
        std::iter::from_fn(move || self.work("read", |_| iter.next().transpose()).transpose())
    }

    /// Shows the entries from `high` down to `low`, both included, until `visit` answers `false`.
    pub fn walk_back(&self, low: &[u8], high: &[u8], mut visit: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), Error> {
        self.work("read", |db| {
            for entry in db.range(low..=high).rev() {
                let (key, value) = entry?;
                if !visit(&key, &value) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Removes every key from `low` to `high`, both included.
    pub fn remove_range(&self, low: &[u8], high: &[u8]) -> Result<(), Error> {
        self.work("write", |db| {
            for key in db.range(low..=high).keys() {
                db.remove(key?)?;
            }
            Ok(())
        })
    }

    /// Stores the one meta entry. It may be rewritten often: in a tree of its own it drags no other entries along.
    pub fn put_meta(&self, value: &[u8]) -> Result<(), Error> {
        debug_assert!(value.len() <= VALUE_BYTES_MAX);
        self.work("write", |db| db.open_tree(META)?.insert(META, value).map(drop))
    }

    pub fn meta(&self) -> Result<Option<Bytes>, Error> {
        self.work("read", |db| db.open_tree(META)?.get(META))
    }

    /// Makes all that was stored or removed power-safe. A file that has been deleted meanwhile takes everything and keeps
    /// nothing, without an error of its own; it is one here.
    pub fn sync(&self) -> Result<(), Error> {
        self.work("flush", |db| db.flush().map(drop))?;
        let synced = self.file.sync_data().and_then(|()| match self.file.metadata()?.nlink() {
            0 => Err(io::Error::new(io::ErrorKind::NotFound, "it was deleted while it was in use")),
            _ => Ok(()),
        });
        Ok(synced.map_err(FileError::at("sync", &self.path))?)
    }

    /// Makes the files themselves durable, once they were made; the parent's entry is the caller's business.
    pub fn sync_names(&self) -> Result<(), Error> {
        let conf = self.dir.join("conf");
        File::open(&conf).and_then(|file| file.sync_all()).map_err(FileError::at("sync", &conf))?;
        self.file.sync_all().map_err(FileError::at("sync", &self.path))?;
        sync_dir(&self.dir.join("blobs"))?;
        Ok(sync_dir(&self.dir)?)
    }

    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("it is taken out only when dropped")
    }

    fn work<T>(&self, what: &'static str, call: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, Error> {
        caught(|| call(self.db())).map_err(|failure| match failure {
            Failure::Io(source) => FileError::at(what, &self.path)(source).into(),
            Failure::Damage(detail) => Error::Damaged { what, dir: self.dir.clone(), detail },
        })
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

fn remove_unfinished_snapshots(dir: &Path) -> Result<(), FileError> {
    for path in super::directory::list(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(&path).map_err(FileError::at("remove", &path))?;
        }
    }
    Ok(())
}
