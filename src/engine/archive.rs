//! What is over: the history of jobs and the ledger of occurrences, as projections behind the journal.
//!
//! Keys of finished jobs have a store of their own, kept for a day at least: the promise that the
//! same key is the same job holds even where the history is kept for less.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::machine::{Lookup, Unreadable};
use super::recent::{RECENT, Recent};
use crate::core::codec;
use crate::core::id::{JobId, Seq};
use crate::core::projection::{self, Row};
use crate::core::state::index::key_hash;
use crate::core::time::Timestamp;
use crate::core::view::{JobView, OccurrenceView};
use crate::history::{self, Dropped, Options, Store};

/// How long the key of a finished job is known at least.
const KEYS_KEPT_MIN: Duration = Duration::from_secs(86_400);
/// Bytes of keys kept: at a hundred bytes each, ten million.
const KEYS_BYTES_MAX: u64 = 1 << 30;
/// Rows of each projection that are read after a start for what went wrong of late: some tenths of a second.
const RECENT_ROWS_MAX: usize = 100_000;

/// The projections.
pub struct Archive {
    jobs: Store,
    occurrences: Store,
    keys: Store,
    /// None until [`Archive::watch`].
    recent: Mutex<Option<Recent>>,
}

/// A finished job of which no more has been read than its number: of a long list most may be left out.
#[derive(Clone, Debug)]
pub struct Ended {
    pub job: JobId,
    /// When it ended.
    pub at: Timestamp,
    row: Vec<u8>,
}

impl Ended {
    /// The job; none if its row cannot be read.
    pub fn view(&self) -> Option<JobView> {
        projection::decode_job(&self.row).ok()
    }
}

/// The names of the projections, as findings and errors show them.
pub const PROJECTIONS: [&str; 3] = ["history", "occurrences", "keys"];

fn job_term(job: JobId) -> u64 {
    job.0
}

fn task_term(task: &str) -> u64 {
    key_hash(task)
}

impl Archive {
    /// Opens the projections below `dir`. `age` and `bytes` bound the history, and the ledger likewise.
    pub fn open(dir: &Path, age: Duration, bytes: u64) -> Result<Archive, history::Error> {
        let [jobs, occurrences, keys] = PROJECTIONS.map(|name| dir.join(name));
        Ok(Archive {
            jobs: Store::open(&jobs, Options::keep(age, bytes))?,
            occurrences: Store::open(&occurrences, Options::keep(age, bytes))?,
            keys: Store::open(&keys, Options::keep(KEYS_KEPT_MIN, KEYS_BYTES_MAX))?,
            recent: Mutex::new(None),
        })
    }

    fn stores(&self) -> [&Store; 3] {
        [&self.jobs, &self.occurrences, &self.keys]
    }

    /// Takes the rows of a commit of the time `at` that is on disk.
    ///
    /// An error says that a projection could not be written. What it lacks could neither be shown nor be known by
    /// its key, so nobody may be told of the commit: a start projects it again from the journal.
    pub fn append(&self, seq: Seq, at: Timestamp, rows: Vec<Row>) -> Result<(), history::Error> {
        let (mut jobs, mut occurrences, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        if !rows.is_empty()
            && let Some(recent) = &mut *self.recent()
        {
            rows.iter().for_each(|row| recent.note(row, at));
        }
        for row in rows {
            let bytes = row.encode();
            match row {
                Row::Job(job) => {
                    let mut terms = vec![job_term(job.id)];
                    if let Some(key) = &job.key {
                        let mut entry = Vec::new();
                        codec::put(&(key, job.id, &job.task), &mut entry).expect("a key is small");
                        keys.push(history::Row { at, terms: vec![key_hash(key)], bytes: entry });
                        terms.push(key_hash(key));
                    }
                    jobs.push(history::Row { at, terms, bytes });
                }
                Row::Occurrence(occurrence) => {
                    let terms = vec![task_term(&occurrence.task)];
                    occurrences.push(history::Row { at, terms, bytes });
                }
            }
        }
        self.jobs.append(seq, jobs);
        self.occurrences.append(seq, occurrences);
        self.keys.append(seq, keys);
        self.stores().into_iter().try_for_each(Store::check)
    }

    fn recent(&self) -> MutexGuard<'_, Option<Recent>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it is counted what goes wrong.
    pub fn watch(&self) {
        let mut recent = Recent::default();
        recent.expect_older();
        *self.recent() = Some(recent);
    }

    /// Counts as well what went wrong in the [`RECENT`] past up to commit `until`, which was before [`Archive::watch`].
    /// Reads the history: for a thread of its own.
    pub fn look_back(&self, until: Seq, now: Timestamp) -> Result<(), history::Error> {
        let (mut older, mut seen) = (Recent::default(), BTreeSet::new());
        let rows = |store: &Store| {
            let before = move |found: &Result<history::Found, _>| found.as_ref().map_or(true, |it| it.seq <= until);
            store.scan(Some(now - RECENT)).filter(before).take(RECENT_ROWS_MAX)
        };
        for found in rows(&self.jobs) {
            let found = found?;
            // Newest first: the last end of a job counts.
            if let Ok(job) = projection::decode_job(&found.bytes)
                && seen.insert(job.id)
            {
                older.note(&Row::Job(Box::new(job)), found.at);
            }
        }
        for found in rows(&self.occurrences) {
            let found = found?;
            if let Ok(occurrence) = projection::decode_occurrence(&found.bytes) {
                older.note(&Row::Occurrence(occurrence), found.at);
            }
        }
        if let Some(recent) = &mut *self.recent() {
            recent.merge(older);
        }
        Ok(())
    }

    /// What went wrong of late.
    pub fn read_recent<T>(&self, read: impl FnOnce(&Recent) -> T) -> T {
        read(self.recent().as_ref().unwrap_or(&Recent::default()))
    }

    /// Bytes on disk of all projections.
    pub fn bytes(&self) -> u64 {
        self.stores().into_iter().map(|store| store.stats().bytes).sum()
    }

    /// The commit up to which all projections are on disk.
    pub fn applied(&self) -> Seq {
        self.stores().map(Store::applied).into_iter().min().unwrap_or_default()
    }

    /// How far each projection is on disk.
    pub fn progress(&self) -> Vec<(&'static str, Seq)> {
        PROJECTIONS.into_iter().zip(self.stores().map(Store::applied)).collect()
    }

    /// The oldest row of each projection that has one, and how long beyond `age` a row may stay, with which they are kept.
    pub fn oldest(&self, age: Duration) -> Vec<(&'static str, Timestamp, Duration)> {
        let ages = [age, age, KEYS_KEPT_MIN];
        let named = PROJECTIONS.into_iter().zip(self.stores()).zip(ages);
        named
            .filter_map(|((name, store), kept)| {
                let beyond = kept.saturating_sub(age) + Options::keep(kept, u64::MAX).span() * 2;
                Some((name, store.stats().oldest?, beyond))
            })
            .collect()
    }

    /// Returns when everything up to `seq` is on disk.
    pub fn sync(&self, seq: Seq) -> Result<(), history::Error> {
        self.stores().into_iter().try_for_each(|store| store.sync(seq))
    }

    /// Drops what is older, or more, than is to be kept.
    pub fn retain(&self, now: Timestamp, age: Duration, bytes: u64) -> Result<[Dropped; 3], history::Error> {
        Ok([
            self.jobs.retain(now, age, bytes)?,
            self.occurrences.retain(now, age, bytes)?,
            self.keys.retain(now, KEYS_KEPT_MIN, KEYS_BYTES_MAX)?,
        ])
    }

    /// The end of a job, the last one if it ran again.
    pub fn job(&self, id: JobId) -> Result<Option<JobView>, history::Error> {
        for found in self.jobs.find(job_term(id)) {
            let found = found?;
            match projection::decode_job(&found.bytes) {
                Ok(job) if job.id == id => return Ok(Some(job)),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Finished jobs, newest end first.
    pub fn jobs(&self, since: Option<Timestamp>) -> impl Iterator<Item = Result<Ended, history::Error>> {
        self.jobs.scan(since).filter_map(|found| match found {
            Ok(found) => {
                let job = projection::job_id(&found.bytes).ok()?;
                Some(Ok(Ended { job, at: found.at, row: found.bytes }))
            }
            Err(error) => Some(Err(error)),
        })
    }

    /// Decided occurrences of a task, newest first; none that was decided before `since`.
    pub fn occurrences(
        &self,
        task: &str,
        since: Option<Timestamp>,
    ) -> impl Iterator<Item = Result<OccurrenceView, history::Error>> {
        let task = task.to_owned();
        let decided = self.occurrences.find(task_term(&task));
        let young = move |found: &Result<history::Found, history::Error>| {
            found.as_ref().map_or(true, |found| since.is_none_or(|since| found.at >= since))
        };
        decided.take_while(young).filter_map(move |found| match found {
            Ok(found) => projection::decode_occurrence(&found.bytes).ok().filter(|row| *row.task == *task).map(Ok),
            Err(error) => Some(Err(error)),
        })
    }

    /// The stored rows of finished jobs, newest first.
    pub fn job_rows(&self) -> history::Rows {
        self.jobs.scan(None)
    }

    /// The stored rows of the ledger, newest first.
    pub fn occurrence_rows(&self) -> history::Rows {
        self.occurrences.scan(None)
    }

    fn job_with_key(&self, key: &str) -> Result<Option<(JobId, Box<str>)>, history::Error> {
        let term = key_hash(key);
        if self.jobs.may_contain(term) {
            for found in self.jobs.find(term) {
                match projection::decode_job(&found?.bytes) {
                    Ok(job) if job.key.as_deref() == Some(key) => return Ok(Some((job.id, job.task))),
                    Ok(_) | Err(_) => {}
                }
            }
        }
        if !self.keys.may_contain(term) {
            return Ok(None);
        }
        for found in self.keys.find(term) {
            let found = found?;
            let entry: Result<(Box<str>, JobId, Box<str>), _> = codec::take(&mut found.bytes.as_slice());
            if let Ok((stored, job, task)) = entry
                && *stored == *key
            {
                return Ok(Some((job, task)));
            }
        }
        Ok(None)
    }
}

impl Lookup for Archive {
    fn key(&self, key: &str) -> Result<Option<(JobId, Box<str>)>, Unreadable> {
        self.job_with_key(key).map_err(unreadable)
    }

    fn finished(&self, job: JobId) -> Result<Option<JobView>, Unreadable> {
        self.job(job).map_err(unreadable)
    }
}

fn unreadable(error: history::Error) -> Unreadable {
    tracing::error!(%error, "could not read the history");
    Unreadable
}
