//! Rows that are not yet on disk, and how they are found meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::store::Row;
use crate::core::id::Seq;

/// What a row costs in memory beside its bytes and terms, roughly.
const ROW_BYTES: usize = 96;

/// The rows of one commit.
pub struct Commit {
    pub seq: Seq,
    pub rows: Vec<Row>,
}

impl Commit {
    /// Memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.rows.iter().map(|row| row.bytes.len() + row.terms.len() * 40 + ROW_BYTES).sum()
    }
}

/// Commits in order, with an index over their terms.
#[derive(Default)]
pub struct Buffer {
    commits: Vec<Arc<Commit>>,
    /// Term, place of the commit, place of the row in it.
    index: BTreeSet<(u64, u32, u32)>,
    rows: usize,
    bytes: usize,
}

impl Buffer {
    pub fn push(&mut self, commit: Commit) {
        let place = self.commits.len() as u32;
        for (number, row) in commit.rows.iter().enumerate() {
            self.index.extend(row.terms.iter().map(|&term| (term, place, number as u32)));
        }
        self.rows += commit.rows.len();
        self.bytes += commit.bytes();
        self.commits.push(Arc::new(commit));
    }

    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn commits(&self) -> &[Arc<Commit>] {
        &self.commits
    }

    pub fn contains(&self, term: u64) -> bool {
        self.found(term).next().is_some()
    }

    /// The rows of `term`, or all, of the commits after `applied`, oldest first.
    pub fn after(&self, applied: Seq, term: Option<u64>) -> Vec<(Arc<Commit>, u32)> {
        let later = |commit: &Arc<Commit>| commit.seq > applied;
        match term {
            Some(term) => {
                let found = self.found(term).map(|&(_, place, row)| (&self.commits[place as usize], row));
                found.filter(|(commit, _)| later(commit)).map(|(commit, row)| (commit.clone(), row)).collect()
            }
            None => {
                let commits = self.commits.iter().filter(|commit| later(commit));
                commits.flat_map(|commit| (0..commit.rows.len() as u32).map(|row| (commit.clone(), row))).collect()
            }
        }
    }

    fn found(&self, term: u64) -> impl Iterator<Item = &(u64, u32, u32)> {
        self.index.range((term, 0, 0)..=(term, u32::MAX, u32::MAX))
    }
}
