//! Retention: whole partitions go, the oldest first. Nothing is ever removed row by row.

use std::time::Duration;

use super::error::Error;
use super::locks::lock;
use super::partition::Partition;
use super::store::{Dropped, Store};
use super::writer::write_mark;
use crate::core::time::Timestamp;
use crate::disk::directory;

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
        Ok(directory::take_apart(&partition.path)?)
    }
}
