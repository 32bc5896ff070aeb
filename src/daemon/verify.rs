//! `journal verify`: walks the chain of commits, replays them, and compares what comes out with the
//! checkpoint and the projections.

use std::collections::BTreeMap;
use std::path::Path;

use super::start::Failure;
pub use crate::control::service::Verified;
use crate::core::id::Seq;
use crate::core::projection::Row;
use crate::core::state::{State, picture};
use crate::core::time::Timestamp;
use crate::engine::archive::Archive;
use crate::engine::recover::{self, load, replay};
use crate::history;
use crate::journal::{Reader, SledJournal, StateLock, Upkeep};

/// Problems that are told; more are counted.
const PROBLEMS_MAX: usize = 20;

/// Why nothing could be compared; damage is no error but a finding.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Recover(#[from] recover::Error),
    #[error(transparent)]
    History(#[from] history::Error),
}

/// What the rows of one commit come to, in one projection, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    hash: u64,
    at: Timestamp,
}

impl Sum {
    fn add(&mut self, at: Timestamp, bytes: &[u8]) {
        self.rows += 1;
        self.hash = self.hash.wrapping_add(xxhash_rust::xxh3::xxh3_64(bytes));
        self.at = at;
    }
}

type Sums = BTreeMap<Seq, Sum>;

struct Walk {
    verified: Verified,
    omitted: usize,
    jobs: Sums,
    occurrences: Sums,
}

impl Walk {
    fn problem(&mut self, problem: String) {
        self.verified.ok = false;
        match self.verified.problems.len() < PROBLEMS_MAX {
            true => self.verified.problems.push(problem.into()),
            false => self.omitted += 1,
        }
    }

    fn expect(&mut self, seq: Seq, at: Timestamp, rows: &[Row]) {
        for row in rows {
            let sums = match row {
                Row::Job(_) => &mut self.jobs,
                Row::Occurrence(_) => &mut self.occurrences,
            };
            sums.entry(seq).or_default().add(at, &row.encode());
        }
    }

    /// Compares a projection with what the replay of commits `from` to `to` says; rows of earlier ones cannot be judged.
    fn compare(
        &mut self,
        name: &str,
        expected: Sums,
        found: impl Iterator<Item = Result<history::Found, history::Error>>,
        (from, to): (Seq, Seq),
    ) -> Result<(), history::Error> {
        let mut there = Sums::new();
        let mut oldest: Option<Timestamp> = None;
        for row in found {
            let row = row?;
            oldest = Some(oldest.map_or(row.at, |oldest| oldest.min(row.at)));
            if (from..=to).contains(&row.seq) {
                there.entry(row.seq).or_default().add(row.at, &row.bytes);
            }
        }
        for (seq, sum) in &expected {
            match there.remove(seq) {
                Some(found) if found == *sum => {}
                Some(found) => self.problem(format!(
                    "{name}: commit {seq} has {} rows there, {} by the journal, or other contents",
                    found.rows, sum.rows
                )),
                // Retention drops from the old end.
                None if oldest.is_some_and(|oldest| sum.at < oldest) => {}
                None => self.problem(format!("{name}: {} rows of commit {seq} are missing", sum.rows)),
            }
        }
        for (seq, sum) in there {
            self.problem(format!("{name}: {} rows of commit {seq}, of which the journal knows nothing", sum.rows));
        }
        Ok(())
    }
}

/// Walks the journal up to commit `last`, which is on disk.
pub fn verify(reader: &dyn Reader, upkeep: &dyn Upkeep, archive: &Archive, last: Seq) -> Result<Verified, Error> {
    archive.sync(last)?;
    let first = reader.first();
    let verified = Verified { ok: true, first, last, commits: 0, events: 0, problems: Vec::new() };
    let mut walk = Walk { verified, omitted: 0, jobs: Sums::new(), occurrences: Sums::new() };
    let checkpoint = upkeep.latest_checkpoint().map_err(recover::Error::from)?;
    let stored = match checkpoint {
        Some(checkpoint) => Some(load(checkpoint)?),
        None => None,
    };
    // The state is known at the very beginning and at the checkpoint; before that, only the chain is checked.
    let mut state = match &stored {
        Some(stored) if first > Seq(1) => Some(stored.clone()),
        Some(_) | None => Some(State::default()),
    };
    let begin = state.as_ref().map_or(Seq(0), |state| state.scalars().seq).next();
    for commit in reader.read(first) {
        let commit = match commit {
            Ok(commit) if commit.seq > last => break,
            Ok(commit) => commit,
            Err(error) => {
                walk.problem(error.to_string());
                break;
            }
        };
        walk.verified.commits += 1;
        walk.verified.events += u64::from(commit.events);
        if let Some(replayed) = state.as_mut().filter(|_| commit.seq >= begin) {
            let mut rows = Vec::new();
            match replay(replayed, &commit, Some(&mut rows)) {
                Ok(()) => walk.expect(commit.seq, commit.at, &rows),
                Err(error) => {
                    walk.problem(error.to_string());
                    state = None;
                    break;
                }
            }
            if let Some(stored) = stored.as_ref().filter(|stored| stored.scalars().seq == commit.seq)
                && !same(stored, replayed)
            {
                walk.problem(format!("the checkpoint as of commit {} is not what a replay comes to", commit.seq));
            }
        }
    }
    if state.is_some_and(|state| state.scalars().seq == last) {
        let (jobs, occurrences) = (std::mem::take(&mut walk.jobs), std::mem::take(&mut walk.occurrences));
        walk.compare("history", jobs, archive.job_rows(), (begin, last))?;
        walk.compare("occurrences", occurrences, archive.occurrence_rows(), (begin, last))?;
    } else if walk.verified.ok {
        walk.problem(format!("the journal ends before commit {last}"));
    }
    if walk.omitted > 0 {
        walk.verified.problems.push(format!("and {} more", walk.omitted).into());
    }
    Ok(walk.verified)
}

fn same(a: &State, b: &State) -> bool {
    picture::head(a.durable()) == picture::head(b.durable())
        && picture::chunks(a.durable()).eq(picture::chunks(b.durable()))
}

/// The same for a state folder that no daemon has: takes its lock for as long as it looks.
pub fn verify_offline(state_dir: &Path) -> Result<Verified, Failure> {
    let _lock = StateLock::take(state_dir)?;
    let (journal, opened) = SledJournal::open(state_dir)?;
    // Retention is the daemon's business: nothing is dropped here.
    let archive = Archive::open(state_dir, crate::core::limits::DURATION_MAX, u64::MAX)?;
    let (reader, upkeep) = (crate::journal::Journal::reader(&journal), crate::journal::Journal::upkeep(&journal));
    recover::recover(&*reader, &*upkeep, &archive)?;
    verify(&*reader, &*upkeep, &archive, opened.tip.seq).map_err(|error| Failure::Internal(error.to_string()))
}
