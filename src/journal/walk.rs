//! What both stores have in common when they are opened: the walk over all that is needed to recover.

use std::sync::Arc;

use super::error::{Error, HINT_SHORT};
use super::parts::{Assembler, Flaw, Torn, Whole};
use super::record::{Link, Record};
use super::{Cut, Tip};
use crate::core::id::Seq;

/// Bytes of records that one batch gathers before it ends.
const BATCH_BYTES: usize = 256 * 1024;

/// Some records of one generation.
pub(super) struct Batch {
    /// Numbered without a gap.
    pub wholes: Vec<Whole>,
    /// An incomplete record after them.
    pub torn: Option<Torn>,
    /// No entry follows in the asked range.
    pub done: bool,
}

/// The entries of one generation, open for reading.
pub(super) trait Source: Send + Sync {
    /// Records from number `from` up to number `until`, some at a time.
    fn batch(&self, from: Seq, until: Seq) -> Result<Batch, Error>;
}

/// A generation, open or not.
pub(super) trait Stored: Send + Sync {
    /// The commit before its first.
    fn origin(&self) -> Tip;
    /// Opens it, or shares what is open.
    fn source(&self) -> Result<Arc<dyn Source>, Error>;
}

impl From<Flaw> for Error {
    fn from(flaw: Flaw) -> Error {
        Error::damaged(Seq(flaw.number), flaw.what)
    }
}

/// Gathers a batch from entries that begin with record `from`. What stands before a flaw is answered first, so that
/// readers see all that is sound.
pub(super) fn gather<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    from: u64,
    entries: impl Iterator<Item = Result<(K, V), Error>>,
) -> Result<Batch, Error> {
    let mut assembler = Assembler::new(from);
    let mut wholes = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let pushed = entry.and_then(|(key, value)| Ok(assembler.push(key.as_ref(), value.as_ref())?));
        let whole = match pushed {
            Err(error) if wholes.is_empty() => return Err(error),
            Err(_) => return Ok(Batch { wholes, torn: None, done: false }),
            Ok(whole) => whole,
        };
        if let Some(whole) = whole {
            bytes += whole.bytes.len();
            wholes.push(whole);
            if bytes >= BATCH_BYTES {
                return Ok(Batch { wholes, torn: None, done: false });
            }
        }
    }
    Ok(Batch { wholes, torn: assembler.torn(), done: true })
}

/// Where the walk ended.
pub(super) struct Walked {
    pub tip: Tip,
    pub cut: Option<Cut>,
}

/// Walks all commits after `checkpoint` (all, without one) and compares with `head`.
///
/// `generations` are in order and not empty; the last one is being written.
pub(super) fn walk<S: Stored>(
    generations: &[Arc<S>],
    checkpoint: Option<Tip>,
    head: Option<Tip>,
) -> Result<Walked, Error> {
    let start = checkpoint.map_or(Seq(1), |tip| tip.seq.next());
    let Some(begin) = generations.iter().rposition(|generation| generation.origin().seq < start) else {
        return Err(Error::damaged(
            start,
            format!("the generation that begins at or before commit {start} is missing"),
        ));
    };
    let mut walk = Walk { tip: generations[begin].origin(), checkpoint, head, cut: None };
    walk.pass(walk.tip)?;
    for (index, generation) in generations.iter().enumerate().skip(begin) {
        let next = generations.get(index + 1).map(|next| next.origin());
        if index > begin && generation.origin() != walk.tip {
            return Err(Error::damaged(walk.tip.seq.next(), "the next generation does not continue the one before"));
        }
        walk.generation(generation.source()?.as_ref(), next.map(|next| next.seq))?;
    }
    walk.end()
}

struct Walk {
    tip: Tip,
    checkpoint: Option<Tip>,
    head: Option<Tip>,
    cut: Option<Cut>,
}

impl Walk {
    /// Walks one generation to its end; `until` is its last commit if it is sealed.
    fn generation(&mut self, source: &dyn Source, until: Option<Seq>) -> Result<(), Error> {
        loop {
            let from = self.tip.seq.next();
            if until.is_some_and(|until| from > until) {
                return Ok(());
            }
            let batch = source.batch(from, until.unwrap_or(Seq(u64::MAX)))?;
            for whole in batch.wholes {
                let record = Record::parse(whole)?;
                let mut link = Link { seq: self.tip.seq, checksum: Some(self.tip.checksum) };
                link.follow(&record)?;
                self.pass(Tip { seq: record.head.seq, at: record.head.at, checksum: record.checksum })?;
            }
            if !batch.done {
                continue;
            }
            return match (until, batch.torn) {
                (Some(until), _) if self.tip.seq == until => Ok(()),
                (Some(_), _) => {
                    Err(Error::damaged(self.tip.seq.next(), "it is missing or incomplete, and later commits exist"))
                }
                (None, torn) => {
                    self.cut = torn.map(cut);
                    Ok(())
                }
            };
        }
    }

    /// Moves to `tip`, and compares it with what is known of that commit from elsewhere.
    fn pass(&mut self, tip: Tip) -> Result<(), Error> {
        for (known, whose) in [(self.checkpoint, "the checkpoint"), (self.head, "the head file")] {
            if known.is_some_and(|known| known.seq == tip.seq && known.checksum != tip.checksum) {
                return Err(Error::damaged(tip.seq, format!("{whose} knows it with another checksum")));
            }
        }
        self.tip = tip;
        Ok(())
    }

    fn end(self) -> Result<Walked, Error> {
        let reached = |known: Option<Tip>| known.map_or(Seq(0), |known| known.seq);
        for (known, whose) in [(reached(self.head), "the head file"), (reached(self.checkpoint), "the checkpoint")] {
            if self.tip.seq < known {
                return Err(Error::Damaged {
                    seq: self.tip.seq.next(),
                    what: format!(
                        "the journal ends at commit {}, but {whose} says that it reached {known}",
                        self.tip.seq
                    ),
                    hint: HINT_SHORT,
                });
            }
        }
        Ok(Walked { tip: self.tip, cut: self.cut })
    }
}

fn cut(torn: Torn) -> Cut {
    Cut {
        seq: Seq(torn.number),
        parts: torn.parts,
        bytes: torn.bytes,
        reason: "its last part was not written, so it was never acknowledged".into(),
    }
}
