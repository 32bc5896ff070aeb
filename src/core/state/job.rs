//! Live jobs: compact records in copy-on-write pages of 64.
//!
//! What most events touch lies inline in the page, the rest behind an `Arc` that a picture of
//! the state shares. What few jobs have (key, occurrence, error) costs the others eight bytes.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::Running;
use super::lock::LockKey;
use crate::core::event::Occurrence;
use crate::core::id::{JobId, TaskId};
use crate::core::json::Json;
use crate::core::lifecycle::JobState;
use crate::core::time::Timestamp;
use crate::core::view::Progress;

/// A live job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    /// When it is due, or became available.
    pub due: Timestamp,
    pub cold: Arc<Cold>,
    pub task: TaskId,
    /// Attempts started.
    pub attempts: u32,
    /// Attempts failed since it was added or retried by hand.
    pub failures: u16,
    /// Starts in a row that took down the daemon, or attempts that took down their shim.
    pub crashes: u8,
    pub state: JobState,
    pub priority: u8,
    /// `due` is a wait from an event, so a step of the clock moves it.
    pub relative: bool,
    /// It has items: when it is retryable, a sweep repairs it.
    pub is_batch: bool,
}

/// The part of a job that hardly ever changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cold {
    pub created: Timestamp,
    pub args: Json,
    rare: Option<Box<Rare>>,
}

/// What few jobs have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rare {
    pub key: Option<Box<str>>,
    pub occurrence: Option<Occurrence>,
    /// What the last attempt died of, or why it is held.
    pub error: Option<Box<str>>,
    /// When the last attempt started, once it is over.
    pub started: Option<Timestamp>,
    /// How far the last attempt said it was, once it is over.
    pub progress: Option<Box<Progress>>,
    /// Bytes that the last attempt has left as its output, once it is over.
    pub output: u64,
    /// When the first attempt was due: `give_up_after` counts from here.
    pub first_due: Option<Timestamp>,
    /// Interrupted, and a person has to decide.
    pub held: bool,
    /// What nobody else may have while it runs.
    pub lock: Option<LockKey>,
}

static NOTHING_RARE: Rare = Rare {
    key: None,
    occurrence: None,
    error: None,
    started: None,
    progress: None,
    output: 0,
    first_due: None,
    held: false,
    lock: None,
};

impl Rare {
    /// Keeps what is to be seen of an attempt until the next one.
    pub(super) fn attempt_is_over(&mut self, attempt: Option<Running>) {
        self.started = attempt.as_ref().map(|attempt| attempt.started);
        self.output = attempt.as_ref().map_or(0, |attempt| attempt.output);
        self.progress =
            attempt.map(|attempt| attempt.progress).filter(|told| *told != Progress::default()).map(Box::new);
    }
}

impl Cold {
    pub fn new(created: Timestamp, args: Json, rare: Rare) -> Cold {
        let rare = (rare != NOTHING_RARE).then(|| Box::new(rare));
        Cold { created, args, rare }
    }

    pub fn rare(&self) -> &Rare {
        self.rare.as_deref().unwrap_or(&NOTHING_RARE)
    }

    pub fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

impl Job {
    /// The rare part, for writing; a picture keeps its own.
    pub fn rare_mut(&mut self) -> &mut Rare {
        Arc::make_mut(&mut self.cold).rare_mut()
    }
}

const PAGE: u64 = 64;

/// Live jobs by number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Jobs {
    /// Page n holds the jobs n*64 .. n*64+63 that live, in order; none is empty.
    pages: OrdMap<u64, Arc<Vec<Job>>>,
    len: usize,
}

impl Jobs {
    /// Builds the pages of jobs that come in the order of their numbers.
    pub(super) fn from_sorted(jobs: Vec<Job>) -> Jobs {
        let len = jobs.len();
        let mut pages: Vec<(u64, Arc<Vec<Job>>)> = Vec::new();
        let mut page: Vec<Job> = Vec::new();
        for job in jobs {
            if page.first().is_some_and(|first| first.id.0 / PAGE != job.id.0 / PAGE) {
                pages.push((page[0].id.0 / PAGE, Arc::new(std::mem::take(&mut page))));
            }
            page.push(job);
        }
        if let Some(first) = page.first() {
            pages.push((first.id.0 / PAGE, Arc::new(page)));
        }
        Jobs { pages: OrdMap::from_iter(pages), len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, id: JobId) -> Option<&Job> {
        let page = self.pages.get(&(id.0 / PAGE))?;
        page.binary_search_by_key(&id, |job| job.id).ok().map(|i| &page[i])
    }

    pub(super) fn get_mut(&mut self, id: JobId) -> Option<&mut Job> {
        let page = Arc::make_mut(self.pages.get_mut(&(id.0 / PAGE))?);
        page.binary_search_by_key(&id, |job| job.id).ok().map(|i| &mut page[i])
    }

    pub(super) fn insert(&mut self, job: Job) {
        let page = Arc::make_mut(self.pages.entry(job.id.0 / PAGE).or_default());
        match page.binary_search_by_key(&job.id, |job| job.id) {
            Ok(i) => page[i] = job,
            Err(i) => {
                page.insert(i, job);
                self.len += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, id: JobId) -> Option<Job> {
        let number = id.0 / PAGE;
        let page = Arc::make_mut(self.pages.get_mut(&number)?);
        let job = page.binary_search_by_key(&id, |job| job.id).ok().map(|i| page.remove(i))?;
        if page.is_empty() {
            self.pages.remove(&number);
        }
        self.len -= 1;
        Some(job)
    }

    /// All, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.pages.iter().flat_map(|(_, page)| page.iter())
    }

    /// For tests that break a job on purpose.
    #[cfg(test)]
    pub(crate) fn get_mut_in_tests(&mut self, id: JobId) -> &mut Job {
        self.get_mut(id).expect("the test has made it")
    }

    /// Those with this number or a greater one, oldest first.
    pub fn from(&self, from: JobId) -> impl Iterator<Item = &Job> {
        let pages = self.pages.range(from.0 / PAGE..);
        pages.flat_map(|(_, page)| page.iter()).skip_while(move |job| job.id < from)
    }

    /// Those with a smaller number than `before`, newest first.
    pub fn before(&self, before: JobId) -> impl Iterator<Item = &Job> {
        let pages = self.pages.range(..=before.0 / PAGE).rev();
        pages.flat_map(|(_, page)| page.iter().rev()).skip_while(move |job| job.id >= before)
    }
}

const _: () = assert!(std::mem::size_of::<Job>() <= 40);
