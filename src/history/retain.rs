//! Retention: whole partitions go, the oldest first. Nothing is ever removed row by row.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::db::sync_dir;
use super::error::Error;
use super::locks::lock;
use super::partition::Partition;
use super::store::{Dropped, Store};
use super::writer::write_mark;
use crate::core::time::Timestamp;

/// Ending of a partition's directory that is being deleted.
pub const DROPPED: &str = ".dropped";
/// A large file is shortened in steps: freeing it at once would hold up the journal's flushes.
const STEP_BYTES: u64 = 32 << 20;
const STEP_PAUSE: Duration = Duration::from_millis(20);

impl Store {
    /// Drops whole partitions whose rows are all older than `keep_age` at `now`, and the oldest ones for as long as
    /// all take more than `keep_size`. The partition that is written to stays; it is sealed when its span is over.
    pub fn retain(&self, now: Timestamp, keep_age: Duration, keep_size: u64) -> Result<Dropped, Error> {
        let shared = &self.shared;
        let gone = {
            let mut writer = lock(&shared.writer);
            if let Some(reason) = shared.failure() {
                return Err(Error::Stopped { reason });
            }
            writer.seal_if_over(now)?;
            let partitions = shared.partitions();
            let droppable = partitions.len() - usize::from(writer.open.is_some());
            let cutoff = now - keep_age;
            let mut size: u64 = partitions.iter().map(|partition| partition.disk_bytes()).sum();
            let (mut gone, mut kept) = (Vec::new(), Vec::new());
            for (number, partition) in partitions.iter().enumerate() {
                let too_much = size > keep_size;
                if number < droppable && (too_much || partition.summary().latest < cutoff) {
                    size -= partition.disk_bytes().min(size);
                    gone.push(partition.clone());
                } else {
                    kept.push(partition.clone());
                }
            }
            if !gone.is_empty() {
                // The newest may be among them, and with it the only place that says how far it got.
                if writer.open.is_none() {
                    write_mark(&shared.dir, self.applied())?;
                }
                shared.keep(kept);
            }
            gone
        };
        let mut dropped = Dropped::default();
        for partition in gone {
            dropped.partitions += 1;
            dropped.rows += partition.summary().rows;
            dropped.bytes += partition.disk_bytes();
            self.drop_partition(&partition)?;
        }
        Ok(dropped)
    }

    fn drop_partition(&self, partition: &Partition) -> Result<(), Error> {
        partition.forget(&self.shared);
        delete_partition(&mark_dropped(&partition.path)?)
    }
}

/// Renames a partition durably, so that one half deleted is never taken for a damaged one.
pub fn mark_dropped(path: &Path) -> Result<PathBuf, Error> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(DROPPED);
    let marked = path.with_file_name(name);
    fs::rename(path, &marked).map_err(Error::io(path))?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    Ok(marked)
}

/// Deletes a partition's directory, gently.
pub fn delete_partition(path: &Path) -> Result<(), Error> {
    let shorten = || {
        let Ok(file) = File::options().write(true).open(path.join("db")) else { return Ok(()) };
        let mut length = file.metadata()?.len();
        while length > STEP_BYTES {
            length -= STEP_BYTES;
            file.set_len(length)?;
            std::thread::sleep(STEP_PAUSE);
        }
        Ok(())
    };
    shorten().and_then(|()| fs::remove_dir_all(path)).map_err(Error::io(path))
}
