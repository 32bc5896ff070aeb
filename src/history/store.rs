//! The store: what callers hold, the state they share with the writing thread, and that thread.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::buffer::{Buffer, Commit};
use super::chunk::{ROW_BYTES_MAX, ROW_TERMS_MAX};
use super::error::Error;
use super::filter::Probe;
use super::filters::{FilterSet, Filters};
use super::locks::lock;
use super::partition::Partition;
use super::read::Rows;
use super::recover;
use super::writer::Writer;
use crate::core::id::Seq;
use crate::core::time::Timestamp;

/// How long a commit without rows may wait until it is counted as applied, and how often what is idle is closed.
const IDLE_DELAY: Duration = Duration::from_secs(5);
/// Filters that nobody asked for this many times [`IDLE_DELAY`] give their memory back.
const FILTER_IDLE_ROUNDS: u32 = 12;
/// How many databases of sealed partitions stay open while they are read. sled does not keep to its
/// cache's capacity: each comes to take up to the size of its partition, some 6 MB; opening one again takes 5 to 8 ms.
const READERS_MAX: usize = 8;

/// One row: kept for ever unchanged, until its partition is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// When it happened; decides the partition, and how long it is kept.
    pub at: Timestamp,
    /// Hashes or ids under which it is found; few, at most 64.
    pub terms: Vec<u64>,
    /// The payload; at most 4 MiB.
    pub bytes: Vec<u8>,
}

/// How a store keeps.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rows older than this may be dropped.
    pub keep_age: Duration,
    /// Bytes on disk above which the oldest rows are dropped.
    pub keep_size: u64,
    /// Bytes of rows not yet written above which [`Store::append`] waits for the disk.
    pub pending_bytes_max: usize,
    /// Memory for filters, in bytes; those beyond it are asked on disk.
    pub filter_bytes_max: usize,
    /// Rows are written at the latest this long after they came ...
    pub batch_delay: Duration,
    /// ... or when there are this many ...
    pub batch_rows: usize,
    /// ... or this many bytes.
    pub batch_bytes: usize,
}

impl Options {
    /// Keeps rows for `keep_age` and up to `keep_size` bytes on disk; the rest as it suits a daemon.
    pub fn keep(keep_age: Duration, keep_size: u64) -> Options {
        Options {
            keep_age,
            keep_size,
            pending_bytes_max: 8 << 20,
            filter_bytes_max: 32 << 20,
            batch_delay: Duration::from_secs(1),
            batch_rows: 1_000,
            batch_bytes: 256 << 10,
        }
    }

    /// How long a partition goes on: a sixteenth of the age, between a minute and a day.
    pub fn span(&self) -> Duration {
        (self.keep_age / 16).clamp(Duration::from_secs(60), Duration::from_secs(86_400))
    }

    /// Raw bytes after which a partition is sealed.
    pub(super) fn partition_bytes(&self) -> u64 {
        (self.keep_size / 32).clamp(256 << 10, 16 << 20)
    }
}

/// What [`Store::retain`] dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    pub partitions: u64,
    pub rows: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub rows: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// The earliest instant of a row.
    pub oldest: Option<Timestamp>,
}

/// Insert-only rows on disk. Cloning gives another handle; the last one to go writes what is pending and stops the thread.
#[derive(Clone)]
pub struct Store {
    pub(super) shared: Arc<Shared>,
    _thread: Arc<Thread>,
}

/// What callers and the writing thread share. Locks are taken in the order: writer, state, a partition's.
pub(super) struct Shared {
    pub dir: PathBuf,
    pub options: Options,
    pub writer: Mutex<Writer>,
    state: Mutex<State>,
    /// Something to do for the thread.
    work: Condvar,
    /// Room in the buffer again.
    room: Condvar,
    pub filters: Filters,
    readers: Mutex<VecDeque<Arc<Partition>>>,
    tending: AtomicBool,
}

pub(super) struct State {
    /// Rows that come in.
    active: Buffer,
    /// Rows that are being written.
    writing: Option<Arc<Buffer>>,
    appended: Seq,
    pub applied: Seq,
    /// Oldest first; the open one, if any, is the last.
    partitions: Arc<Vec<Arc<Partition>>>,
    /// The filters of these, once they were asked for.
    filters: Option<Arc<FilterSet>>,
    failed: Option<String>,
    stopping: bool,
}

/// What a search sees: the rows in memory after `applied`, and the partitions, which have those up to it.
pub(super) struct View {
    pub applied: Seq,
    pub pending: Vec<(Arc<Commit>, u32)>,
    pub partitions: Arc<Vec<Arc<Partition>>>,
}

impl Store {
    /// Opens the store in `dir`, and makes it where it is missing. Only the newest partition is read, if it is not sealed.
    pub fn open(dir: &Path, options: Options) -> Result<Store, Error> {
        let recovered = recover::open(dir, &options)?;
        let state = State {
            active: Buffer::default(),
            writing: None,
            appended: recovered.applied,
            applied: recovered.applied,
            partitions: Arc::new(recovered.partitions),
            filters: None,
            failed: None,
            stopping: false,
        };
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            filters: Filters {
                used: AtomicUsize::new(0),
                max: options.filter_bytes_max,
                asked: AtomicBool::new(false),
            },
            options,
            writer: Mutex::new(recovered.writer),
            state: Mutex::new(state),
            work: Condvar::new(),
            room: Condvar::new(),
            readers: Mutex::default(),
            tending: AtomicBool::new(false),
        });
        let for_thread = shared.clone();
        let thread = std::thread::Builder::new().name("history".into()).spawn(move || for_thread.run());
        let handle = thread.map_err(Error::io(dir))?;
        Ok(Store { _thread: Arc::new(Thread { shared: shared.clone(), handle: Mutex::new(Some(handle)) }), shared })
    }

    /// Takes the rows of commit `seq`, in order. Cheap, unless more than `pending_bytes_max` waits for the disk:
    /// then it waits too. A commit that is in already is ignored, so what a crash may have taken can be handed in
    /// again. After a failed write nothing is taken any more, and [`Store::sync`] and [`Store::check`] say so.
    pub fn append(&self, seq: Seq, rows: Vec<Row>) {
        let commit = Commit { seq, rows };
        let mut state = self.shared.state();
        while state.failed.is_none()
            && !commit.rows.is_empty()
            && state.pending_bytes() > self.shared.options.pending_bytes_max
        {
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if seq <= state.appended || state.failed.is_some() {
            return;
        }
        if let Some(detail) = refuse(&commit) {
            state.failed = Some(Error::RowRefused { seq, detail }.to_string());
            self.shared.room.notify_all();
            return;
        }
        let was_quiet = state.active.is_empty() && state.appended == state.applied;
        let was_empty = state.active.is_empty();
        state.appended = seq;
        if !commit.rows.is_empty() {
            state.active.push(commit);
        }
        let starts = was_empty && !state.active.is_empty();
        if was_quiet || starts || state.is_urgent(&self.shared.options) {
            self.shared.work.notify_one();
        }
    }

    pub fn check(&self) -> Result<(), Error> {
        self.shared.failure().map_or(Ok(()), |reason| Err(Error::Stopped { reason }))
    }

    /// Says that commit `seq` has no rows here.
    pub fn advance(&self, seq: Seq) {
        self.append(seq, Vec::new());
    }

    /// Returns when commit `up_to` and all before are power-safe. It must have been handed in.
    pub fn sync(&self, up_to: Seq) -> Result<(), Error> {
        loop {
            {
                let state = self.shared.state();
                if state.applied >= up_to {
                    return Ok(());
                }
                if let Some(reason) = &state.failed {
                    return Err(Error::Stopped { reason: reason.clone() });
                }
                if state.appended < up_to {
                    return Err(Error::NotAppended { up_to, appended: state.appended });
                }
            }
            self.shared.write()?;
        }
    }

    /// The commit up to which everything is power-safe.
    pub fn applied(&self) -> Seq {
        self.shared.state().applied
    }

    /// Whether rows may be found under `term`: `false` is certain and costs no disk access.
    pub fn may_contain(&self, term: u64) -> bool {
        let (partitions, filters) = {
            let state = self.shared.state();
            let writing = state.writing.as_ref().is_some_and(|buffer| buffer.contains(term));
            if writing || state.active.contains(term) {
                return true;
            }
            (state.partitions.clone(), state.filters.clone())
        };
        let probe = Probe::new(term);
        self.shared.filters.ask();
        let filters = filters.unwrap_or_else(|| self.shared.gather_filters(&partitions));
        // What cannot be read may contain anything: the search then reports the error.
        filters.others.iter().any(|partition| partition.may_contain(term, probe, &self.shared).unwrap_or(true))
            || filters.loaded.iter().any(|filter| filter.may_contain(probe))
    }

    /// The rows under `term`, newest commit first. Terms may be hashes: the caller checks that a row is the one meant.
    pub fn find(&self, term: u64) -> Rows {
        if !self.may_contain(term) {
            return Rows::none(self.shared.clone());
        }
        Rows::new(self.shared.clone(), Some(term), None)
    }

    /// All rows, newest commit first; with `since` those not earlier than it.
    pub fn scan(&self, since: Option<Timestamp>) -> Rows {
        Rows::new(self.shared.clone(), None, since)
    }

    /// How much there is, rows not yet written included.
    pub fn stats(&self) -> Stats {
        let view = self.shared.view(None);
        let mut stats = Stats { rows: view.pending.len() as u64, bytes: 0, oldest: None };
        let pending = view.pending.iter().map(|(commit, row)| commit.rows[*row as usize].at);
        let earliest = view.partitions.iter().map(|partition| partition.summary().earliest).chain(pending).min();
        stats.oldest = earliest.filter(|&at| at != Timestamp(i64::MAX));
        for partition in view.partitions.iter() {
            stats.rows += partition.summary().rows;
            stats.bytes += partition.disk_bytes();
        }
        stats
    }
}

/// Why a commit cannot be kept.
fn refuse(commit: &Commit) -> Option<String> {
    let long = commit.rows.iter().map(|row| row.bytes.len()).find(|&bytes| bytes > ROW_BYTES_MAX);
    let many = commit.rows.iter().map(|row| row.terms.len()).find(|&terms| terms > ROW_TERMS_MAX);
    let long = long.map(|bytes| format!("it has {bytes} bytes, more than {ROW_BYTES_MAX}"));
    long.or_else(|| many.map(|terms| format!("it has {terms} terms, more than {ROW_TERMS_MAX}")))
}

impl State {
    /// Whether commits were handed in that are not durable yet.
    fn is_behind(&self) -> bool {
        self.appended > self.applied && self.failed.is_none()
    }

    fn has_rows(&self) -> bool {
        !self.active.is_empty() && self.failed.is_none()
    }

    fn pending_bytes(&self) -> usize {
        self.active.bytes() + self.writing.as_ref().map_or(0, |buffer| buffer.bytes())
    }

    fn is_urgent(&self, options: &Options) -> bool {
        self.active.rows() >= options.batch_rows || self.active.bytes() >= options.batch_bytes
    }
}

impl Shared {
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Why nothing is written any more.
    pub fn failure(&self) -> Option<String> {
        self.state().failed.clone()
    }

    pub fn view(&self, term: Option<u64>) -> View {
        let state = self.state();
        let applied = state.applied;
        let mut pending = state.writing.as_ref().map_or_else(Vec::new, |buffer| buffer.after(applied, term));
        pending.extend(state.active.after(applied, term));
        View { applied, pending, partitions: state.partitions.clone() }
    }

    /// Writes what is pending, on the caller's thread.
    fn write(&self) -> Result<(), Error> {
        let mut writer = lock(&self.writer);
        let (buffer, target) = {
            let mut state = self.state();
            if let Some(reason) = &state.failed {
                return Err(Error::Stopped { reason: reason.clone() });
            }
            let buffer = Arc::new(std::mem::take(&mut state.active));
            state.writing = Some(buffer.clone());
            (buffer, state.appended)
        };
        let written = writer.write(self, buffer.commits(), target);
        let mut state = self.state();
        match &written {
            Ok(()) => state.writing = None,
            Err(error) => state.failed = Some(error.to_string()),
        }
        drop(state);
        self.room.notify_all();
        written
    }

    /// Commits up to `applied` are durable.
    pub fn publish(&self, applied: Seq) {
        self.state().applied = applied;
    }

    /// Adds the partition that is now written to.
    pub fn add(&self, partition: Arc<Partition>) {
        let mut state = self.state();
        Arc::make_mut(&mut state.partitions).push(partition);
        state.filters = None;
    }

    /// The partitions, oldest first.
    pub fn partitions(&self) -> Arc<Vec<Arc<Partition>>> {
        self.state().partitions.clone()
    }

    /// Leaves readers only these partitions.
    pub fn keep(&self, partitions: Vec<Arc<Partition>>) {
        let mut state = self.state();
        state.partitions = Arc::new(partitions);
        state.filters = None;
    }

    /// Loads the filters that there is memory for, and keeps them together for the next questions.
    fn gather_filters(&self, partitions: &Arc<Vec<Arc<Partition>>>) -> Arc<FilterSet> {
        let mut set = FilterSet::default();
        for partition in partitions.iter().rev() {
            match partition.filter(self) {
                Ok(Some(filter)) => set.loaded.push(filter),
                Ok(None) | Err(_) => set.others.push(partition.clone()),
            }
        }
        let set = Arc::new(set);
        let mut state = self.state();
        if Arc::ptr_eq(&state.partitions, partitions) {
            state.filters = Some(set.clone());
        }
        set
    }

    /// Notes that the database of a sealed partition was opened, and closes the one opened first of too many.
    pub fn opened(&self, partition: Arc<Partition>) {
        let surplus = {
            let mut readers = lock(&self.readers);
            readers.push_back(partition);
            if readers.len() > READERS_MAX { readers.pop_front() } else { None }
        };
        if let Some(partition) = surplus {
            partition.close();
        }
        self.tend();
    }

    /// Makes the thread look after what is idle.
    pub fn tend(&self) {
        if !self.tending.swap(true, Ordering::Relaxed) {
            let _state = self.state();
            self.work.notify_one();
        }
    }

    fn run(&self) {
        let mut idle = Idle { checked: Instant::now(), rounds: 0 };
        if catch_unwind(AssertUnwindSafe(|| while self.round(&mut idle) {})).is_err() {
            self.state().failed = Some("the history's thread broke off".into());
            self.room.notify_all();
        }
    }

    /// Waits for work and does it; `false` at the end.
    fn round(&self, idle: &mut Idle) -> bool {
        let mut state = self.state();
        let tending = || self.tending.load(Ordering::Relaxed);
        let timed = state.is_behind() || tending();
        let nothing =
            |state: &mut State| !state.stopping && !state.has_rows() && (timed || !(state.is_behind() || tending()));
        if timed {
            state = self.work.wait_timeout_while(state, IDLE_DELAY, nothing).unwrap_or_else(PoisonError::into_inner).0;
        } else {
            state = self.work.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner);
        }
        if state.has_rows() {
            let gathers = |state: &mut State| !state.stopping && !state.is_urgent(&self.options);
            let delay = self.options.batch_delay;
            state = self.work.wait_timeout_while(state, delay, gathers).unwrap_or_else(PoisonError::into_inner).0;
        }
        let stopping = state.stopping;
        let due = state.is_behind() && (timed || stopping || state.has_rows());
        drop(state);
        if due && let Err(error) = self.write() {
            tracing::error!(dir = %self.dir.display(), %error, "history is no longer written");
        }
        if tending() && idle.checked.elapsed() >= IDLE_DELAY {
            idle.checked = Instant::now();
            self.close_idle(&mut idle.rounds);
        }
        !stopping
    }

    fn close_idle(&self, idle_rounds: &mut u32) {
        let open = std::mem::take(&mut *lock(&self.readers));
        let still: Vec<_> = open.into_iter().filter(|partition| !partition.close_when_idle()).collect();
        let mut readers = lock(&self.readers);
        still.into_iter().rev().for_each(|partition| readers.push_front(partition));
        *idle_rounds = if self.filters.asked.swap(false, Ordering::Relaxed) { 0 } else { *idle_rounds + 1 };
        if *idle_rounds >= FILTER_IDLE_ROUNDS && self.filters.used.load(Ordering::Relaxed) > 0 {
            self.state().filters = None;
            self.partitions().iter().for_each(|partition| partition.unload_filter(self));
        }
        if readers.is_empty() && self.filters.used.load(Ordering::Relaxed) == 0 {
            self.tending.store(false, Ordering::Relaxed);
        }
    }
}

/// When the thread last closed what was idle. Monotonic: no wall clock.
struct Idle {
    checked: Instant,
    rounds: u32,
}

/// Stops the thread when the last handle goes.
struct Thread {
    shared: Arc<Shared>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.shared.state().stopping = true;
        self.shared.work.notify_all();
        if let Some(handle) = lock(&self.handle).take() {
            let _ = handle.join(); // a panic was caught inside, and stands in `failed`
        }
    }
}
