//! One sled 0.34.7 directory, used the way it is safe: what sled leaves out is done here.
//!
//! - `flush` alone is not power-safe: every [`Db::sync`] ends with our own `fdatasync` on sled's `db` file.
//! - Values are at most 6 KiB, so that no leaf is ever put into a blob file, which sled never syncs.
//! - A snapshot that a kill left half written would make sled refuse to open: it is deleted before.
//! - sled syncs no directory: a new one and its parent are synced here.
//! - sled panics on some damage: panics are caught and become [`Error::Damaged`].
//!
//! Nothing here knows what the keys and values mean.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::Error;

/// The largest value, in bytes: 20 of them in a leaf stay below what sled would put into a blob file.
pub const VALUE_BYTES_MAX: usize = 6 * 1024;
/// Ends the name of a directory that is not complete.
pub const UNFINISHED: &str = "new";
/// How often, and how far apart, opening is tried again while the lock is held: sled's own threads
/// keep a database that was just closed for a moment longer.
const LOCK_ATTEMPTS_MAX: u32 = 200;
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// An open sled directory.
pub struct Db {
    /// `None` only while being dropped.
    handles: Option<Handles>,
    file: File,
    path: PathBuf,
}

struct Handles {
    database: sled::Db,
    /// The meta entry is rewritten with every batch: in a tree of its own it does not drag a leaf of rows along.
    meta: sled::Tree,
}

impl Db {
    /// Opens the sled directory `path`, and makes it, durably, where it is missing. `cache` is in bytes.
    pub fn open(path: &Path, cache: u64) -> Result<Db, Error> {
        if !path.exists() {
            make_whole(path, cache)?;
        }
        let db = Db::reopen(path, cache)?;
        sync_dir(path)?;
        Ok(db)
    }

    /// Opens a sled directory whose files are known to be durable: quicker, as it waits for no disk.
    pub fn reopen(path: &Path, cache: u64) -> Result<Db, Error> {
        remove_half_written_snapshots(path)?;
        let handles = open_when_unlocked(path, cache)?;
        let file_path = path.join("db");
        let file = File::options().read(true).write(true).open(&file_path).map_err(Error::io(&file_path))?;
        Ok(Db { handles: Some(handles), file, path: path.to_owned() })
    }

    /// Stores `value` under `key`; durable after the next [`Db::sync`].
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        debug_assert!(value.len() <= VALUE_BYTES_MAX);
        self.guarded(|handles| handles.database.insert(key, value).map(drop))
    }

    /// Stores several values, all or none after a crash.
    pub fn put_together(&self, entries: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for (key, value) in entries {
            debug_assert!(value.len() <= VALUE_BYTES_MAX);
            batch.insert(key, value);
        }
        self.guarded(|handles| handles.database.apply_batch(batch))
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, Error> {
        self.guarded(|handles| handles.database.get(key))
    }

    /// Removes every key from `low` to `high`, both included.
    pub fn remove_range(&self, low: &[u8], high: &[u8]) -> Result<(), Error> {
        self.guarded(|handles| {
            for key in handles.database.range(low..=high).keys() {
                handles.database.remove(key?)?;
            }
            Ok(())
        })
    }

    /// Shows the entries from `high` down to `low`, both included, until `visit` answers `false`.
    pub fn walk_back(&self, low: &[u8], high: &[u8], mut visit: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), Error> {
        self.guarded(|handles| {
            for entry in handles.database.range(low..=high).rev() {
                let (key, value) = entry?;
                if !visit(&key, &value) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Stores the one meta entry; durable after the next [`Db::sync`].
    pub fn put_meta(&self, value: &[u8]) -> Result<(), Error> {
        self.guarded(|handles| handles.meta.insert(b"meta", value).map(drop))
    }

    pub fn meta(&self) -> Result<Option<sled::IVec>, Error> {
        self.guarded(|handles| handles.meta.get(b"meta"))
    }

    /// Makes everything stored so far power-safe.
    pub fn sync(&self) -> Result<(), Error> {
        self.guarded(|handles| handles.database.flush().map(drop))?;
        self.file.sync_data().map_err(Error::io(&self.path))
    }

    fn guarded<T>(&self, work: impl FnOnce(&Handles) -> sled::Result<T>) -> Result<T, Error> {
        let handles = self.handles.as_ref().expect("the handles are only taken while dropping");
        guarded(&self.path, || work(handles))
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        // Closing flushes, and may meet the same damage as reading did.
        let handles = self.handles.take();
        let _ = catch_unwind(AssertUnwindSafe(move || drop(handles)));
    }
}

fn open_when_unlocked(path: &Path, cache: u64) -> Result<Handles, Error> {
    for attempt in 1.. {
        let opened = guarded(path, || {
            let database = sled::Config::new()
                .path(path)
                .cache_capacity(cache)
                .mode(sled::Mode::HighThroughput)
                .flush_every_ms(None)
                .open()?;
            let meta = database.open_tree(b"meta")?;
            Ok(Handles { database, meta })
        });
        match opened {
            Err(Error::Io { source, .. }) if attempt < LOCK_ATTEMPTS_MAX && is_lock(&source) => {
                std::thread::sleep(LOCK_WAIT);
            }
            other => return other,
        }
    }
    unreachable!("the last attempt returns")
}

/// sled has no kind of its own for a held lock, only this text.
fn is_lock(error: &io::Error) -> bool {
    error.to_string().starts_with("could not acquire lock")
}

fn guarded<T>(path: &Path, work: impl FnOnce() -> sled::Result<T>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(source))) => Err(Error::Io { path: path.to_owned(), source }),
        Ok(Err(error)) => Err(Error::damaged(path, error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            Err(Error::damaged(path, format!("sled gave up: {text}")))
        }
    }
}

fn remove_half_written_snapshots(path: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(path).map_err(Error::io(path))? {
        let file = entry.map_err(Error::io(path))?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(&file).map_err(Error::io(&file))?;
        }
    }
    Ok(())
}

/// Makes the sled directory `path` under another name first: after a crash it is there with all its files, or not at
/// all. sled does not sync its `conf`, and refuses to open what a power cut has left of it.
fn make_whole(path: &Path, cache: u64) -> Result<(), Error> {
    let new = path.with_extension(UNFINISHED);
    if new.exists() {
        fs::remove_dir_all(&new).map_err(Error::io(&new))?;
    }
    create_dir_durably(&new)?;
    let db = Db::reopen(&new, cache)?;
    db.sync()?;
    db.file.sync_all().map_err(Error::io(&new))?;
    // sled keeps its path, so it is closed before the directory gets its name.
    drop(db);
    let conf = new.join("conf");
    File::open(&conf).and_then(|file| file.sync_all()).map_err(Error::io(&conf))?;
    sync_dir(&new.join("blobs"))?;
    sync_dir(&new)?;
    fs::rename(&new, path).map_err(Error::io(path))?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Makes the directory `path`, with those above it, so that it survives a power cut.
pub fn create_dir_durably(path: &Path) -> Result<(), Error> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.exists() {
        create_dir_durably(parent)?;
    }
    fs::create_dir_all(path).map_err(Error::io(path))?;
    sync_dir(path)?;
    sync_dir(parent)
}

/// Makes the names in a directory power-safe.
pub fn sync_dir(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(Error::io(path))
}

/// Replaces the file `path` by `bytes`, durably: after a crash it is the old one or the new one.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let fresh = path.with_extension("new");
    let write = || {
        let mut file = File::create(&fresh)?;
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(Error::io(path))?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_after_closing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let db = Db::open(&path, 1 << 20).unwrap();
        db.put(b"k1", b"v1").unwrap();
        db.put_together([(b"k2".to_vec(), b"v2".to_vec()), (b"k3".to_vec(), b"v3".to_vec())].into_iter()).unwrap();
        db.put_meta(b"m").unwrap();
        db.sync().unwrap();
        drop(db);
        fs::write(path.join("snap.0000000000000000.generating"), b"half").unwrap();
        let db = Db::open(&path, 1 << 20).unwrap();
        assert_eq!(db.get(b"k1").unwrap().unwrap(), b"v1");
        assert_eq!(db.meta().unwrap().unwrap(), b"m");
        let mut seen = Vec::new();
        db.walk_back(b"k2", b"k9", |key, _| {
            seen.push(key.to_vec());
            true
        })
        .unwrap();
        assert_eq!(seen, [b"k3".to_vec(), b"k2".to_vec()]);
        db.remove_range(b"k2", b"k3").unwrap();
        assert!(db.get(b"k3").unwrap().is_none());
    }

    #[test]
    fn damage_is_an_error_and_not_a_panic() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        let db = Db::open(&path, 1 << 20).unwrap();
        (0..1000u32).for_each(|key| db.put(&key.to_be_bytes(), &[7; 5000]).unwrap());
        db.sync().unwrap();
        drop(db);
        drop(Db::open(&path, 1 << 20).unwrap()); // leaves a snapshot, so the log is not read through again
        let file = path.join("db");
        let mut bytes = fs::read(&file).unwrap();
        bytes.iter_mut().skip(600_000).step_by(1000).for_each(|byte| *byte ^= 0x55);
        fs::write(&file, bytes).unwrap();
        let read = Db::open(&path, 1 << 20).and_then(|db| {
            (0..1000u32).try_for_each(|key| db.get(&key.to_be_bytes()).map(|value| assert!(value.is_some())))
        });
        assert!(matches!(&read, Err(Error::Damaged { path: named, .. }) if *named == path), "{read:?}");
    }

    #[test]
    fn a_held_lock_is_an_error_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let _held = Db::open(dir.path(), 1 << 20).unwrap();
        assert!(matches!(Db::open(dir.path(), 1 << 20), Err(Error::Io { .. })));
    }
}
