//! The history in memory: it takes rows by commit, and a crash takes what it had not written from it.

use std::cell::RefCell;

use daybook::core::id::{JobId, Seq};
use daybook::core::lifecycle::JobState;
use daybook::core::projection::Row;
use daybook::core::time::Timestamp;
use daybook::core::view::JobView;
use daybook::engine::machine::{Lookup, Unreadable};
use daybook::engine::recover::Projections;
use daybook::history;

#[derive(Clone, Default)]
pub struct Past(RefCell<Rows>);

#[derive(Clone, Default)]
struct Rows {
    rows: Vec<(Seq, Row)>,
    appended: Seq,
    applied: Seq,
}

impl Past {
    /// Writes what has come so far.
    pub fn flush(&self) {
        let mut rows = self.0.borrow_mut();
        rows.applied = rows.appended;
    }

    /// What a crash leaves.
    pub fn crash(&self) {
        let mut rows = self.0.borrow_mut();
        let applied = rows.applied;
        rows.rows.retain(|(seq, _)| *seq <= applied);
        rows.appended = applied;
    }

    pub fn rows(&self) -> Vec<(Seq, Row)> {
        self.0.borrow().rows.clone()
    }

    /// Whether the job was given up the last time that it ended.
    pub fn was_discarded(&self, id: JobId) -> bool {
        self.newest_job(|job| job.id == id).is_some_and(|job| job.state == JobState::Discarded)
    }

    fn newest_job(&self, is_it: impl Fn(&JobView) -> bool) -> Option<JobView> {
        self.0.borrow().rows.iter().rev().find_map(|(_, row)| match row {
            Row::Job(job) if is_it(job) => Some((**job).clone()),
            Row::Job(_) | Row::Occurrence(_) => None,
        })
    }
}

impl Projections for Past {
    fn applied(&self) -> Seq {
        self.0.borrow().applied
    }

    fn append(&self, seq: Seq, _at: Timestamp, rows: Vec<Row>) -> Result<(), history::Error> {
        let mut mine = self.0.borrow_mut();
        if seq > mine.appended {
            assert!(mine.appended == Seq(0) || seq == mine.appended.next(), "commit {seq} comes out of turn");
            mine.appended = seq;
            mine.rows.extend(rows.into_iter().map(|row| (seq, row)));
        }
        Ok(())
    }
}

impl Lookup for Past {
    fn key(&self, key: &str) -> Result<Option<(JobId, Box<str>)>, Unreadable> {
        Ok(self.newest_job(|job| job.key.as_deref() == Some(key)).map(|job| (job.id, job.task)))
    }

    fn finished(&self, id: JobId) -> Result<Option<JobView>, Unreadable> {
        Ok(self.newest_job(|job| job.id == id))
    }
}
