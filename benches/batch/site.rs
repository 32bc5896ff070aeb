//! An engine in this process, and a batch that it runs as the daemon does: its items are read from a file in lots, and
//! handled by what the benchmark gives.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use daybook::clock::{Clock, SystemClock};
use daybook::config::{Config, ItemSource};
use daybook::core::command::AddJob;
use daybook::core::effect::StartAttempt;
use daybook::core::id::{JobId, Seq};
use daybook::core::policy::{BatchPolicy, TaskPolicy};
use daybook::core::time::Timestamp;
use daybook::daemon::batch::{Each, End, Finish, Orders, Pace, Run, read};
use daybook::engine::archive::Archive;
use daybook::engine::checkpoint::Checkpointer;
use daybook::engine::handle::{self, Handle};
use daybook::engine::machine::Machine;
use daybook::engine::recover;
use daybook::engine::run::{Engine, Executor, run as run_engine};
use daybook::journal::{Disk, Epoch, Error, Journal, MemoryJournal, Reader, SledJournal, Tip, Upkeep};
use tokio::sync::{mpsc, watch};

/// The name of the task.
pub const TASK: &str = "clients";

/// Where commits go.
#[derive(Clone, Copy, PartialEq)]
pub enum Kept {
    Sled,
    Nothing,
}

/// A file of so many short items.
pub fn items(dir: &Path, count: u32) -> PathBuf {
    let path = dir.join("items");
    let lines: String = (0..count).map(|number| format!("client-{number:06}\n")).collect();
    std::fs::write(&path, lines).expect("the bench directory can be written");
    path
}

/// A running engine.
pub struct Site {
    pub engine: Handle,
    attempts: mpsc::UnboundedReceiver<StartAttempt>,
    task: tokio::task::JoinHandle<()>,
    written: Arc<(AtomicU64, AtomicU64)>,
}

struct Attempts(mpsc::UnboundedSender<StartAttempt>);

impl Executor for Attempts {
    fn start(&self, attempt: StartAttempt) {
        // A benchmark that is over starts nothing more.
        let _: Result<(), _> = self.0.send(attempt);
    }

    fn stop(&self, _: JobId, _: u32) {}
}

impl Site {
    pub async fn start(dir: &Path, kept: Kept) -> Site {
        let written = Arc::<(AtomicU64, AtomicU64)>::default();
        let below: Box<dyn Journal> = match kept {
            Kept::Sled => Box::new(SledJournal::open(dir).expect("it opens").0),
            Kept::Nothing => Box::new(NoJournal::new()),
        };
        let archive = Archive::open(dir, Duration::from_secs(86_400), 1 << 30).expect("it opens");
        let recovered = recover::recover(&*below.reader(), &*below.upkeep(), &archive).expect("it recovers");
        let mut checkpointer = Checkpointer::new(0, below.tip().checksum);
        if kept == Kept::Nothing {
            checkpointer = checkpointer.with_bytes_min(u64::MAX);
        }
        let journal: Box<dyn Journal> = Box::new(Counted { below, written: written.clone() });
        let mut machine = Machine::new(recovered.state, true);
        machine.begin(SystemClock.now());
        let batch = Some(BatchPolicy { given: false, ..BatchPolicy::default() });
        machine.define(vec![(TASK.into(), TaskPolicy { batch, ..TaskPolicy::default() })]);
        let (sender, attempts) = mpsc::unbounded_channel();
        let engine = Engine {
            machine,
            journal: Arc::new(Mutex::new(journal)),
            epoch: Epoch(1),
            clock: Arc::new(SystemClock),
            executor: Arc::new(Attempts(sender)),
            archive: Arc::new(archive),
            checkpointer,
        };
        let (handle, inbox) = handle::channel();
        let task = tokio::spawn(async move {
            let engine = run_engine(engine, inbox).await.expect("the disk takes it");
            engine.archive.sync(engine.machine.state().scalars().seq).expect("the disk takes it");
        });
        Site { engine: handle, attempts, task, written }
    }

    /// Adds a batch; its run, which has begun.
    pub async fn begin(&mut self) -> StartAttempt {
        let job = AddJob { task: TASK.into(), ..AddJob::default() };
        let added = self.engine.add(vec![job]).await.expect("the engine runs");
        assert!(added.iter().all(Result::is_ok), "a batch is added: {added:?}");
        self.attempts.recv().await.expect("it is started")
    }

    /// Seconds to take the items in.
    pub async fn take_in(&self, attempt: &StartAttempt, file: &Path) -> f64 {
        let begun = Instant::now();
        let (engine, attempt, file) = (self.engine.clone(), attempt.clone(), file.to_owned());
        tokio::spawn(async move { take_in(&engine, &attempt, &file).await }).await.expect("it ends");
        begun.elapsed().as_secs_f64()
    }

    /// Seconds to have all of them handled.
    pub async fn run(&self, attempt: &StartAttempt, each: Arc<dyn Each>, concurrency: u32) -> f64 {
        let begun = Instant::now();
        let (engine, attempt) = (self.engine.clone(), attempt.clone());
        // On a thread of the runtime, as the daemon's are.
        let run = tokio::spawn(async move { run(&engine, &attempt, each, concurrency).await });
        run.await.expect("it ends");
        begun.elapsed().as_secs_f64()
    }

    /// Bytes of all commits, and their number.
    pub fn written(&self) -> (u64, u64) {
        (self.written.0.load(Ordering::Relaxed), self.written.1.load(Ordering::Relaxed))
    }

    pub async fn stop(self) {
        self.engine.act(|machine, _| machine.close()).await.expect("the engine runs");
        self.task.await.expect("it ends");
    }
}

pub async fn take_in(engine: &Handle, attempt: &StartAttempt, file: &Path) {
    let source = ItemSource::File(file.to_owned());
    read(engine, (attempt.job, attempt.attempt), &source, &serde_json::Value::Null, &Config::default())
        .await
        .expect("the items are read");
}

pub async fn run(engine: &Handle, attempt: &StartAttempt, each: Arc<dyn Each>, concurrency: u32) {
    let (_cancel, cancel) = watch::channel(false);
    let clock = Arc::new(SystemClock);
    let run = Run {
        engine: engine.clone(),
        pace: Pace::new(None, None, 1, clock.now()),
        clock,
        orders: Arc::new(Orders::of(attempt.job, &attempt.task, &attempt.args, None)),
        attempt: attempt.attempt,
        each,
        concurrency,
        chunk: 1,
        others: 0,
        cancel,
    };
    assert_eq!(run.run(|| Finish::Told).await, End::Over);
}

/// Counts what is appended.
struct Counted {
    below: Box<dyn Journal>,
    written: Arc<(AtomicU64, AtomicU64)>,
}

impl Journal for Counted {
    fn append(&mut self, epoch: Epoch, seq: Seq, at: Timestamp, events: u32, payload: &[u8]) -> Result<u64, Error> {
        self.written.0.fetch_add(payload.len() as u64, Ordering::Relaxed);
        self.written.1.fetch_add(1, Ordering::Relaxed);
        self.below.append(epoch, seq, at, events, payload)
    }

    fn tip(&self) -> Tip {
        self.below.tip()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.below.reader()
    }

    fn upkeep(&self) -> Arc<dyn Upkeep> {
        self.below.upkeep()
    }

    fn rotate(&mut self) -> Result<(), Error> {
        self.below.rotate()
    }
}

/// A journal that keeps nothing: what is left of the time is not the disk's.
struct NoJournal {
    tip: Tip,
    /// For what reads it, which finds nothing.
    empty: MemoryJournal,
}

impl NoJournal {
    fn new() -> NoJournal {
        NoJournal { tip: Tip::default(), empty: MemoryJournal::open(Disk::default()).expect("it opens").0 }
    }
}

impl Journal for NoJournal {
    fn append(&mut self, _: Epoch, seq: Seq, at: Timestamp, _: u32, _: &[u8]) -> Result<u64, Error> {
        self.tip = Tip { seq, at, checksum: 0 };
        Ok(0)
    }

    fn tip(&self) -> Tip {
        self.tip
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.empty.reader()
    }

    fn upkeep(&self) -> Arc<dyn Upkeep> {
        self.empty.upkeep()
    }

    fn rotate(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
