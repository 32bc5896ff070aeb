//! Opening: what is there, what is needed to recover, and what of it is sound.

use std::path::Path;
use std::sync::Arc;

use super::checkpoint;
use super::generation::Generation;
use super::manifest::Manifest;
use super::shared::Shared;
use crate::core::id::Seq;
use crate::core::time::Timestamp;
use crate::disk::directory;
use crate::journal::error::Error;
use crate::journal::head::Reached;
use crate::journal::walk::{Stored, walk};
use crate::journal::{Opened, Tip, head};

/// The note that follows every commit.
pub(super) const REACHED: &str = "reached";

/// Brings `state_dir` into order and verifies what is needed to recover.
pub(super) fn open(state_dir: &Path) -> Result<(Shared, Opened), Error> {
    let journal_dir = state_dir.join("journal");
    let checkpoint_dir = state_dir.join("checkpoint");
    directory::ensure(&journal_dir)?;
    directory::ensure(&checkpoint_dir)?;
    let mut leftovers = directory::clear(&journal_dir)?;
    leftovers.extend(directory::clear(&checkpoint_dir)?);
    let synced = head::read(&journal_dir.join("head"))?;
    let reached = Reached::read(&journal_dir.join(REACHED));
    let head = synced.into_iter().chain(reached).max_by_key(|tip| tip.seq);
    let newest = newest_checkpoint(&checkpoint_dir, &mut leftovers)?;
    let mut generations: Vec<Arc<Generation>> = Generation::list(&journal_dir)?.into_iter().map(Arc::new).collect();
    if generations.is_empty() && head.is_none() && newest.is_none() {
        generations.push(Arc::new(Generation::create(&journal_dir, Tip::default())?));
    }
    if let Some(end) = generations.last().map_or(Ok(None), |last| last.sealed())? {
        let missing = end.seq.next();
        return Err(Error::damaged(missing, format!("the generation that begins with commit {missing} is missing")));
    }
    let anchor = newest.as_ref().map(anchor);
    let walked = walk(&generations, anchor, head)?;
    let shared = Shared::new(journal_dir, checkpoint_dir, generations, newest, walked.tip, synced.unwrap_or_default());
    if walked.cut.is_some() {
        // The incomplete commit stays where it is; a generation that begins with its number makes it count no more.
        shared.supersede(walked.tip)?;
    }
    // A daemon that was killed while it waited for the disk had not come to note that commit.
    let intact = walked.tip.seq <= reached.map_or(Seq(0), |reached| reached.seq).next();
    let opened = Opened { tip: walked.tip, checkpoint: anchor.map(|tip| tip.seq), cut: walked.cut, leftovers, intact };
    Ok((shared, opened))
}

fn anchor(manifest: &Manifest) -> Tip {
    Tip { seq: manifest.seq, at: Timestamp::default(), checksum: manifest.checksum }
}

/// The newest complete checkpoint; the older ones, which a kill left, are deleted.
fn newest_checkpoint(root: &Path, leftovers: &mut Vec<String>) -> Result<Option<Manifest>, Error> {
    let (manifests, others) = checkpoint::list(root)?;
    let newest = manifests.into_iter().next();
    // Never delete what may be all that is left of a damaged one before the walk has shown that it is not needed.
    let newer: Vec<String> = others.into_iter().filter(|name| is_newer(name, newest.as_ref())).collect();
    if let Some(newest) = newest.as_ref().filter(|_| newer.is_empty()) {
        checkpoint::remove_others(root, newest.seq)?;
    }
    leftovers.extend(newer);
    Ok(newest)
}

fn is_newer(name: &str, newest: Option<&Manifest>) -> bool {
    name.parse().is_ok_and(|seq| newest.is_none_or(|newest| Seq(seq) > newest.seq))
}

impl Shared {
    /// Begins a generation after `tip`, in place of what the last one holds from there on.
    fn supersede(&self, tip: Tip) -> Result<(), Error> {
        let generation = Arc::new(self.create_generation(tip)?);
        if self.live().origin() == tip {
            self.replace_live(generation);
        } else {
            self.add(generation);
        }
        Ok(())
    }
}
