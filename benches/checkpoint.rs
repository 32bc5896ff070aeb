//! Commits of the engine while a checkpoint of a million jobs is written, against those while none is.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use daybook::clock::SystemClock;
use daybook::core::command::AddJob;
use daybook::core::effect::StartAttempt;
use daybook::core::id::JobId;
use daybook::core::json::Json;
use daybook::core::policy::TaskPolicy;
use daybook::engine::archive::Archive;
use daybook::engine::checkpoint::Checkpointer;
use daybook::engine::handle::{self, Handle};
use daybook::engine::machine::Machine;
use daybook::engine::recover;
use daybook::engine::run::{Engine, Executor, run as run_engine, upkeep};
use daybook::journal::{Epoch, Journal, SledJournal};

use crate::recovery::{JOBS, settle};
use crate::support::table::{Row, head, milliseconds, note, rate};
use crate::support::{fresh, median, quantile, remove};

const ROUNDS: usize = 3;
const ALONE: Duration = Duration::from_secs(2);
const CLIENTS: usize = 8;
const BULK: usize = 5_000;

pub fn run() {
    head("Commits while a checkpoint of 1,000,000 jobs is written (8 jobs added at a time)");
    let dir = fresh("checkpoint");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the machine has room for a runtime");
    runtime.block_on(fill(&dir));
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| runtime.block_on(round(&dir))).collect();
    let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value));
    Row {
        name: "commits",
        measured: rate(of(|round| round.beside.per_second)),
        target: "0.8",
        ratio: Some((of(|round| round.beside.per_second / round.alone.per_second), "of those without one".into())),
    }
    .print();
    Row {
        name: "p99",
        measured: milliseconds(of(|round| round.beside.p99)),
        target: "2.00 ms",
        ratio: Some((of(|round| round.beside.p99 / round.alone.p99), "of that without one".into())),
    }
    .print();
    note("longest", milliseconds(of(|round| round.beside.longest)));
    note("  without one", milliseconds(of(|round| round.alone.longest)));
    note("the checkpoint takes", format!("{:.1} s", of(|round| round.seconds)));
    remove(&dir);
}

struct Nothing;

impl Executor for Nothing {
    fn start(&self, _: StartAttempt) {}
    fn stop(&self, _: JobId, _: u32) {}
}

/// An engine on the state in `dir`, which writes a checkpoint at once when `since` is great.
fn start(dir: &Path, since: u64) -> (Handle, tokio::task::JoinHandle<()>, Arc<dyn daybook::journal::Upkeep>) {
    let (journal, _) = SledJournal::open(dir).expect("it opens");
    let archive = Archive::open(dir, Duration::from_secs(86_400), 1 << 30).expect("it opens");
    let recovered = recover::recover(&*journal.reader(), &*journal.upkeep(), &archive).expect("it recovers");
    let tip = journal.tip();
    let mut machine = Machine::new(recovered.state, false);
    machine.begin(daybook::clock::Clock::now(&SystemClock));
    machine.define(vec![("mail".into(), TaskPolicy::default())]);
    let boxed: Box<dyn Journal> = Box::new(journal);
    let engine = Engine {
        machine,
        journal: Arc::new(Mutex::new(boxed)),
        epoch: Epoch(1),
        clock: Arc::new(SystemClock),
        executor: Arc::new(Nothing),
        archive: Arc::new(archive),
        checkpointer: Checkpointer::new(since, tip.checksum),
    };
    let (handle, inbox) = handle::channel();
    let upkeep = upkeep(&engine.journal);
    let task = tokio::spawn(async move {
        let engine = run_engine(engine, inbox).await.expect("the disk takes it");
        engine.archive.sync(engine.machine.state().scalars().seq).expect("the disk takes it");
    });
    (handle, task, upkeep)
}

fn job() -> AddJob {
    let args = Json::trusted(format!("{{\"x\":\"{}\"}}", "x".repeat(165)));
    AddJob { task: "mail".into(), args, ..AddJob::default() }
}

async fn fill(dir: &Path) {
    let (engine, task, _) = start(dir, 0);
    for _ in 0..JOBS / BULK {
        engine.add(vec![job(); BULK]).await.expect("the engine runs");
    }
    engine.act(|machine, _| machine.close()).await.expect("the engine runs");
    task.await.expect("it ends");
    // Its thread goes on without the engine.
    settle(&dir.join("checkpoint"));
}

struct Side {
    per_second: f64,
    p99: f64,
    longest: f64,
}

struct Round {
    alone: Side,
    beside: Side,
    seconds: f64,
}

async fn round(dir: &Path) -> Round {
    let (engine, task, _) = start(dir, 0);
    let alone = measure(&engine, |start| start.elapsed() < ALONE).await;
    engine.act(|machine, _| machine.close()).await.expect("the engine runs");
    task.await.expect("it ends");
    let (engine, task, upkeep) = start(dir, u64::MAX / 2);
    let before = upkeep.latest_checkpoint().ok().flatten().map(|checkpoint| checkpoint.seq);
    let folder = dir.join("checkpoint");
    let names = || std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let old = before.map(|seq| format!("{:020}", seq.0));
    let begun = Instant::now();
    // Complete when a folder with a number as its name is there that was not before.
    let writing = |_: Instant| {
        let done = names().any(|name| {
            let name = name.to_string_lossy();
            name.bytes().all(|byte| byte.is_ascii_digit()) && Some(&*name) != old.as_deref()
        });
        assert!(begun.elapsed() < Duration::from_secs(100), "no checkpoint is written");
        !done
    };
    let beside = measure(&engine, writing).await;
    let seconds = begun.elapsed().as_secs_f64();
    engine.act(|machine, _| machine.close()).await.expect("the engine runs");
    task.await.expect("it ends");
    settle(&folder);
    Round { alone, beside, seconds }
}

/// Eight clients, each waiting for its job; a commit for each group of them.
async fn measure(engine: &Handle, until: impl Fn(Instant) -> bool) -> Side {
    let start = Instant::now();
    let mut times = Vec::new();
    while until(start) {
        // As long a slice as it takes to look at the condition without being in the way of what is measured.
        let slice = Instant::now();
        while slice.elapsed() < Duration::from_millis(50) {
            let before = Instant::now();
            let adds = (0..CLIENTS).map(|_| engine.act(|machine, lookup| machine.add(job(), lookup)));
            for added in futures_util::future::join_all(adds).await {
                added.expect("the engine runs").expect("there is room");
            }
            times.push(before.elapsed().as_secs_f64());
        }
    }
    let per_second = times.len() as f64 / start.elapsed().as_secs_f64();
    let longest = times.iter().copied().fold(0.0, f64::max);
    Side { per_second, p99: quantile(times, 0.99), longest }
}
