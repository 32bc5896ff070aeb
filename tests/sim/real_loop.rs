//! The loop that the daemon runs (`engine::run`), over a journal in memory: what is told, when, and what is never told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook::clock::SystemClock;
use daybook::core::command::{AddJob, Command};
use daybook::core::effect::StartAttempt;
use daybook::core::id::{JobId, Seq};
use daybook::core::json::Json;
use daybook::core::limits;
use daybook::core::policy::TaskPolicy;
use daybook::core::time::Timestamp;
use daybook::engine::archive::Archive;
use daybook::engine::checkpoint::Checkpointer;
use daybook::engine::handle::{self, Handle};
use daybook::engine::machine::Machine;
use daybook::engine::recover::recover;
use daybook::engine::run::{self, Engine, Executor};
use daybook::journal::{Disk, Epoch, Error, Fault, Journal, MemoryJournal, Reader, Tip, Upkeep};

/// Counts what is on disk, and leaves it there for a look after the engine is gone.
struct Watched {
    inner: MemoryJournal,
    durable: Arc<AtomicU64>,
    disk: Arc<Mutex<Disk>>,
}

impl Journal for Watched {
    fn append(&mut self, epoch: Epoch, seq: Seq, at: Timestamp, events: u32, payload: &[u8]) -> Result<u64, Error> {
        let written = self.inner.append(epoch, seq, at, events, payload);
        if written.is_ok() {
            self.durable.store(seq.0, Ordering::SeqCst);
        }
        *self.disk.lock().unwrap() = self.inner.disk();
        written
    }

    fn tip(&self) -> Tip {
        self.inner.tip()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.inner.reader()
    }

    fn upkeep(&self) -> Arc<dyn Upkeep> {
        self.inner.upkeep()
    }

    fn rotate(&mut self) -> Result<(), Error> {
        self.inner.rotate()
    }
}

/// Notes what it is told to start, and how far the disk was then.
#[derive(Default)]
struct Starts {
    durable: Arc<AtomicU64>,
    seen: Mutex<Vec<(JobId, u64)>>,
}

impl Executor for Starts {
    fn start(&self, attempt: StartAttempt) {
        self.seen.lock().unwrap().push((attempt.job, self.durable.load(Ordering::SeqCst)));
    }

    fn stop(&self, _job: JobId, _attempt: u32) {}
}

struct Rig {
    engine: Engine,
    starts: Arc<Starts>,
    disk: Arc<Mutex<Disk>>,
    _dir: tempfile::TempDir,
}

fn rig(fault: Option<Fault>, checkpoint_bytes: u64) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let archive = Arc::new(Archive::open(dir.path(), Duration::from_secs(86_400), 1 << 30).unwrap());
    let (mut inner, _) = MemoryJournal::open(Disk::default()).unwrap();
    if let Some(fault) = fault {
        inner.fail(fault);
    }
    let (durable, disk) = (Arc::new(AtomicU64::new(0)), Arc::<Mutex<Disk>>::default());
    let journal: Box<dyn Journal> = Box::new(Watched { inner, durable: durable.clone(), disk: disk.clone() });
    let starts = Arc::new(Starts { durable, ..Starts::default() });
    let mut machine = Machine::new(Default::default(), true);
    let start = Command::StartDaemon {
        version: "0".into(),
        pid: 1,
        boot_id: "boot".into(),
        found: BTreeMap::new(),
        items: BTreeSet::new(),
    };
    let policy = TaskPolicy { concurrency: 4096, ..TaskPolicy::default() };
    machine.boot(daybook::clock::Clock::now(&SystemClock), start, vec![("task".into(), policy)]);
    let engine = Engine {
        machine,
        journal: Arc::new(Mutex::new(journal)),
        epoch: Epoch(1),
        clock: Arc::new(SystemClock),
        executor: starts.clone(),
        archive,
        checkpointer: Checkpointer::new(0, 0).with_bytes_min(checkpoint_bytes),
    };
    Rig { engine, starts, disk, _dir: dir }
}

fn job(bytes: usize) -> AddJob {
    let args = Json::trusted(format!("\"{}\"", "x".repeat(bytes)));
    AddJob { task: "task".into(), args, ..AddJob::default() }
}

async fn close(handle: Handle) {
    handle.act(|machine, _| machine.close()).await.unwrap();
}

#[tokio::test]
async fn many_great_jobs_at_once_are_more_than_one_commit() {
    let rig = rig(None, u64::MAX);
    let (handle, inbox) = handle::channel();
    // All wait before the engine looks: together they are above what the journal takes as one commit.
    let adds: Vec<_> = (0..400)
        .map(|_| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.add(vec![job(60_000)]).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let engine = tokio::spawn(run::run(rig.engine, inbox));
    for add in adds {
        assert!(add.await.unwrap().unwrap()[0].is_ok());
    }
    close(handle).await;
    engine.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_with_great_jobs_is_more_than_one_commit_and_answered_in_order() {
    let rig = rig(None, u64::MAX);
    let (handle, inbox) = handle::channel();
    let engine = tokio::spawn(run::run(rig.engine, inbox));
    let added = handle.add(vec![job(limits::ARGS_BYTES_MAX - 2); 500]).await.unwrap();
    let numbers: Vec<_> = added.into_iter().map(|added| added.unwrap()).collect();
    assert_eq!(numbers, (1..=500).map(|job| (JobId(job), true)).collect::<Vec<_>>());
    close(handle).await;
    engine.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_flush_that_fails_tells_nobody_and_starts_nothing() {
    let mut cut = 0;
    for (append, parts_kept) in (2..20).map(|append| (append, (append % 2) as usize * 99)) {
        let rig = rig(Some(Fault { append, parts_kept }), u64::MAX);
        let (handle, inbox) = handle::channel();
        let engine = tokio::spawn(run::run(rig.engine, inbox));
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let handle = handle.clone();
                tokio::spawn(async move {
                    let mut told = Vec::new();
                    while let Ok(added) = handle.add(vec![job(5)]).await {
                        told.push(added[0].clone().unwrap().0);
                    }
                    told
                })
            })
            .collect();
        let mut told = Vec::new();
        for client in clients {
            told.extend(client.await.unwrap());
        }
        assert!(
            matches!(engine.await.unwrap(), Err(daybook::engine::run::Error::Journal(Error::Io { .. }))),
            "append {append}"
        );
        let (journal, _) = MemoryJournal::open(rig.disk.lock().unwrap().clone()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let archive = Archive::open(dir.path(), Duration::from_secs(86_400), 1 << 30).unwrap();
        let state = recover(&*journal.reader(), &*journal.upkeep(), &archive).unwrap().state;
        for job in &told {
            assert!(state.job(*job).is_some(), "append {append}: job {job} was acknowledged and is lost");
        }
        for (job, durable) in rig.starts.seen.lock().unwrap().iter() {
            assert!(*durable < append, "job {job} was started by a commit that failed");
            let running = state.running(*job);
            assert!(running.is_some(), "job {job} was started, and the disk knows nothing of it");
        }
        cut += told.len();
    }
    assert!(cut > 0, "nothing was ever acknowledged: the test looks at nothing");
}

/// Commits during which another act comes, before the load ends.
const LOAD: u64 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_begin_under_load() {
    let mut rig = rig(None, 50_000);
    let (handle, inbox) = handle::channel();
    let begun = Arc::new(AtomicU64::new(0));
    let (inner, _) = MemoryJournal::open(Disk::default()).unwrap();
    let runtime = tokio::runtime::Handle::current();
    let busy = Busy { inner, handle: handle.clone(), runtime, appends: 0, begun: begun.clone() };
    rig.engine.journal = Arc::new(Mutex::new(Box::new(busy)));
    let engine = tokio::spawn(run::run(rig.engine, inbox));
    while begun.load(Ordering::SeqCst) == 0 {
        handle.add(vec![job(9_000)]).await.unwrap()[0].clone().unwrap();
    }
    assert!(begun.load(Ordering::SeqCst) < LOAD, "no checkpoint was begun as long as there was load");
    close(handle).await;
    engine.await.unwrap().unwrap();
}

/// A journal so slow that an act always comes while it writes; if none is taken then, it waits no longer.
struct Busy {
    inner: MemoryJournal,
    handle: Handle,
    runtime: tokio::runtime::Handle,
    appends: u64,
    /// The append after which the first checkpoint was begun.
    begun: Arc<AtomicU64>,
}

impl Journal for Busy {
    fn append(&mut self, epoch: Epoch, seq: Seq, at: Timestamp, events: u32, payload: &[u8]) -> Result<u64, Error> {
        let written = self.inner.append(epoch, seq, at, events, payload);
        self.appends += 1;
        // Small commits are written on the engine's own thread, where nothing can be gathered meanwhile.
        if payload.len() > 8 * 1024 && self.appends < LOAD {
            let (tell, taken) = std::sync::mpsc::channel();
            let handle = self.handle.clone();
            self.runtime.spawn(async move {
                let act = handle.act(move |machine, lookup| {
                    // At the very end the daemon takes no more, which is an answer too.
                    let _: Result<_, _> = machine.add(job(9_000), lookup);
                    // Nobody waits for it any more if it came late.
                    let _: Result<(), _> = tell.send(());
                });
                let _: Result<(), _> = act.await;
            });
            let _: Result<(), _> = taken.recv_timeout(Duration::from_secs(1));
        }
        written
    }

    fn tip(&self) -> Tip {
        self.inner.tip()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.inner.reader()
    }

    fn upkeep(&self) -> Arc<dyn Upkeep> {
        self.inner.upkeep()
    }

    fn rotate(&mut self) -> Result<(), Error> {
        // A picture is taken of what was rotated.
        let _: Result<u64, u64> = self.begun.compare_exchange(0, self.appends, Ordering::SeqCst, Ordering::SeqCst);
        self.inner.rotate()
    }
}
