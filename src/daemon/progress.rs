//! How far a start has got: what is read of the journal is counted, and the service manager is told now and then, so
//! that a long recovery is not taken for one that hangs. One that hangs makes no progress and gets no more time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::manager;
use crate::core::id::Seq;
use crate::journal::{Checkpoint, Commits, Error, Generation, Keep, Reader, Upkeep, Written};

/// How often the service manager is told.
const EVERY: Duration = Duration::from_secs(5);
/// How long may pass before the next word.
const WITHIN: Duration = Duration::from_secs(90);

/// Counts what a start has read. Cheap to clone.
#[derive(Clone, Default)]
pub struct Progress(Arc<Counts>);

#[derive(Default)]
struct Counts {
    chunks: AtomicU64,
    commits: AtomicU64,
}

impl Progress {
    /// Tells the service manager of what has been read since the last time, until it is dropped.
    pub async fn tell(self) {
        let mut told = String::new();
        loop {
            let Counts { chunks, commits } = &*self.0;
            let (chunks, commits) = (chunks.load(Ordering::Relaxed), commits.load(Ordering::Relaxed));
            let now = format!("bringing the state back: {chunks} pieces of the checkpoint and {commits} commits read");
            if now != told {
                manager::starting(&now, WITHIN);
            }
            told = now;
            tokio::time::sleep(EVERY).await;
        }
    }

    /// The same reader, counted.
    pub fn reader(&self, reader: Arc<dyn Reader>) -> impl Reader + use<> {
        Counted(reader, self.0.clone())
    }

    /// The same upkeep, its checkpoint counted.
    pub fn upkeep(&self, upkeep: Arc<dyn Upkeep>) -> impl Upkeep + use<> {
        Counted(upkeep, self.0.clone())
    }
}

struct Counted<T>(T, Arc<Counts>);

impl Reader for Counted<Arc<dyn Reader>> {
    fn read(&self, from: Seq) -> Commits {
        let counts = self.1.clone();
        Box::new(self.0.read(from).inspect(move |_| {
            counts.commits.fetch_add(1, Ordering::Relaxed);
        }))
    }

    fn first(&self) -> Seq {
        self.0.first()
    }

    fn last(&self) -> Seq {
        self.0.last()
    }
}

impl Upkeep for Counted<Arc<dyn Upkeep>> {
    fn put_checkpoint(
        &self,
        seq: Seq,
        checksum: u64,
        meta: &[u8],
        chunks: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Result<Written, Error> {
        self.0.put_checkpoint(seq, checksum, meta, chunks)
    }

    fn latest_checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        let counts = self.1.clone();
        let counted = self.0.latest_checkpoint()?.map(|mut checkpoint| {
            checkpoint.chunks = Box::new(checkpoint.chunks.inspect(move |_| {
                counts.chunks.fetch_add(1, Ordering::Relaxed);
            }));
            checkpoint
        });
        Ok(counted)
    }

    fn generations(&self) -> Vec<Generation> {
        self.0.generations()
    }

    fn drop_before(&self, keep: Keep) -> Result<Vec<Generation>, Error> {
        self.0.drop_before(keep)
    }

    fn mark_head(&self) -> Result<Seq, Error> {
        self.0.mark_head()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::time::Timestamp;
    use crate::journal::{Disk, Epoch, Journal, MemoryJournal};

    #[test]
    fn what_is_read_is_counted_and_unchanged() {
        let (mut journal, _) = MemoryJournal::open(Disk::default()).unwrap();
        let mut checksum = 0;
        for seq in 1..=5 {
            checksum = journal.append(Epoch(1), Seq(seq), Timestamp(seq as i64), 1, b"event").unwrap();
        }
        let chunks = &mut [vec![1], vec![2], vec![3]].into_iter();
        journal.upkeep().put_checkpoint(Seq(5), checksum, b"", chunks).unwrap();
        let progress = Progress::default();
        let counted = progress.reader(journal.reader());
        let commits = |reader: &dyn Reader| reader.read(Seq(2)).map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(commits(&counted), commits(&*journal.reader()));
        let checkpoint = progress.upkeep(journal.upkeep()).latest_checkpoint().unwrap().unwrap();
        assert_eq!(checkpoint.chunks.map(Result::unwrap).collect::<Vec<_>>(), [[1], [2], [3]]);
        let Counts { chunks, commits } = &*progress.0;
        assert_eq!((chunks.load(Ordering::Relaxed), commits.load(Ordering::Relaxed)), (3, 4));
    }
}
