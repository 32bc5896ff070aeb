//! Reading commits in order over the generations of either store, while it is appended to.

use std::collections::VecDeque;
use std::sync::Arc;

use super::error::Error;
use super::parts::Whole;
use super::record::{Link, Record};
use super::walk::{Source, Stored};
use super::{Commit, Commits, Reader, Tip};
use crate::core::id::Seq;

/// A store, seen by its readers.
pub(super) trait Library: Send + Sync + 'static {
    /// All generations, oldest first, never none.
    fn generations(self: &Arc<Self>) -> Vec<Arc<dyn Stored>>;
    /// The last durable commit.
    fn durable(&self) -> Tip;
}

/// The reader of both stores.
pub(super) struct LibraryReader<L>(pub Arc<L>);

impl<L: Library> Reader for LibraryReader<L> {
    fn read(&self, from: Seq) -> Commits {
        let before = Seq(from.0.max(1) - 1);
        Box::new(Reading {
            library: self.0.clone(),
            link: Link { seq: before, checksum: None },
            open: None,
            waiting: VecDeque::new(),
            failed: false,
        })
    }

    fn first(&self) -> Seq {
        self.0.generations().first().map_or(Seq(1), |generation| generation.origin().seq.next())
    }

    fn last(&self) -> Seq {
        self.0.durable().seq
    }
}

struct Reading<L> {
    library: Arc<L>,
    /// The commit that was read last.
    link: Link,
    /// The generation that is read, and its last commit (of a sealed one).
    open: Option<(Arc<dyn Source>, Seq)>,
    waiting: VecDeque<Whole>,
    failed: bool,
}

impl<L: Library> Reading<L> {
    fn step(&mut self) -> Result<Option<Commit>, Error> {
        if self.waiting.is_empty() && !self.fill()? {
            return Ok(None);
        }
        let Some(whole) = self.waiting.pop_front() else {
            return Ok(None);
        };
        let record = Record::parse(whole)?;
        self.link.follow(&record)?;
        record.into_commit().map(Some)
    }

    /// Answers false at the end of what is durable.
    fn fill(&mut self) -> Result<bool, Error> {
        let next = self.link.seq.next();
        let durable = self.library.durable().seq;
        if next > durable {
            return Ok(false);
        }
        // What was being written when it was opened may have been sealed since: then look again, once.
        for _ in 0..2 {
            let (source, until) = match self.open.take() {
                Some((source, until)) if next <= until => (source, until),
                _ => self.open(next)?,
            };
            let batch = source.batch(next, until.min(durable))?;
            if !batch.wholes.is_empty() {
                self.waiting = batch.wholes.into();
                self.open = Some((source, until));
                return Ok(true);
            }
        }
        Err(Error::damaged(next, "it is missing, and later commits exist"))
    }

    fn open(&mut self, next: Seq) -> Result<(Arc<dyn Source>, Seq), Error> {
        let generations = self.library.generations();
        let first = generations.first().map_or(Seq(1), |generation| generation.origin().seq.next());
        let Some(index) = generations.iter().rposition(|generation| generation.origin().seq < next) else {
            return Err(Error::Dropped { seq: next, first });
        };
        let origin = generations[index].origin();
        if origin.seq == self.link.seq {
            if self.link.checksum.is_some_and(|checksum| checksum != origin.checksum) {
                return Err(Error::damaged(next, "its generation does not continue the one before"));
            }
            self.link.checksum = Some(origin.checksum);
        }
        let until = generations.get(index + 1).map_or(Seq(u64::MAX), |after| after.origin().seq);
        Ok((generations[index].source()?, until))
    }
}

impl<L: Library> Iterator for Reading<L> {
    type Item = Result<Commit, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}
