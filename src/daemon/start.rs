//! Starting and stopping, in order.

use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::adopt::{self, Survey};
use super::app::{Daemon, Parts};
use super::executor::{Attempts, Door, UMASK, forward_commands, forward_reports};
use super::options::{Options, load, policies};
use super::progress::Progress;
use super::retention::Retention;
use super::signals::{Early, Wish, Wishes};
use super::socket::{self, ControlSocket};
use super::{housekeeping, manager, status};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::core::command::Command;
use crate::engine::archive::Archive;
use crate::engine::checkpoint::Checkpointer;
use crate::engine::handle::{self, Handle, Inbox};
use crate::engine::machine::Machine;
use crate::engine::recover::{self, Recovered};
use crate::engine::run::{self as engine_run, Engine, Executor};
use crate::exec::{self, Outputs, Place, Processes};
use crate::journal::{self, Epoch, Journal, SledJournal, StateLock};
use crate::repair::leftovers;
use crate::{control, history, logging};

/// After an attempt's grace has passed, how long its report may take.
const REPORT_GRACE: Duration = Duration::from_secs(2);

/// How long the doors stay closed for the sweep of the start; a longer one goes on behind them.
const START_SWEEP_WAIT: Duration = Duration::from_secs(2);

/// Open files that are enough for all connections and attempts there may be.
const FILES: u64 = 16 * 1024;
/// What the last commit, answers under way and the disk may take in all.
const STOP_GRACE: Duration = Duration::from_secs(30);
/// How long answers under way may take once the daemon stops.
const ANSWERS_GRACE: Duration = Duration::from_secs(2);

/// Why the daemon did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Config(config::Errors),
    /// Another daemon has the state folder.
    #[error(transparent)]
    Lock(#[from] journal::LockError),
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    Recover(#[from] recover::Error),
    #[error(transparent)]
    History(#[from] history::Error),
    /// The place of the socket is taken.
    #[error("cannot listen on the socket `{}`: {why}", path.display())]
    Socket { path: PathBuf, why: &'static str },
    /// The service manager and the config do not agree.
    #[error("the socket that was handed over {why}")]
    Handed { why: String },
    #[error("{what} `{}`: {source}", path.display())]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Internal(String),
}

impl From<engine_run::Error> for Failure {
    fn from(error: engine_run::Error) -> Failure {
        match error {
            engine_run::Error::Journal(error) => error.into(),
            engine_run::Error::History(error) => error.into(),
            engine_run::Error::Alarm(_) => Failure::Internal(error.to_string()),
        }
    }
}

pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.to_owned();
    move |source| Failure::File { what, path, source }
}

/// Runs the daemon until it is asked to stop. `ready` is called once it answers on its socket.
pub fn run(options: &Options, ready: impl FnOnce(&Config)) -> Result<(), Failure> {
    run_with(options, |attempts, _| Arc::new(Door(attempts)), ready)
}

/// The same with another executor, made from the engine's handle: a benchmark's handlers cost nothing.
pub fn run_with_executor(
    options: &Options,
    executor: impl FnOnce(Handle) -> Arc<dyn Executor>,
    ready: impl FnOnce(&Config),
) -> Result<(), Failure> {
    run_with(options, |_, engine| executor(engine), ready)
}

fn run_with(
    options: &Options,
    executor: impl FnOnce(Arc<Attempts>, Handle) -> Arc<dyn Executor>,
    ready: impl FnOnce(&Config),
) -> Result<(), Failure> {
    let ended = run_to_the_end(options, executor, ready);
    if let Err(failure) = &ended {
        manager::failed(&failure.to_string());
    }
    logging::tell_suppressed();
    ended
}

fn run_to_the_end(
    options: &Options,
    executor: impl FnOnce(Arc<Attempts>, Handle) -> Arc<dyn Executor>,
    ready: impl FnOnce(&Config),
) -> Result<(), Failure> {
    // Before there is a thread, as it looks at the environment.
    let handed = socket::handed_over()?;
    let early = Early::arm().map_err(|error| Failure::Internal(format!("cannot listen for signals: {error}")))?;
    let config = load(options).map_err(Failure::Config)?;
    logging::start(&config.log);
    for warning in &config.warnings {
        tracing::warn!(%warning, "the config has a warning");
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(UMASK));
    allow_files();
    make_private(&config.state_dir)?;
    let _lock = StateLock::take(&config.state_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(1, 4)))
        .enable_all()
        .build()
        .map_err(|error| Failure::Internal(format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(serve(options.clone(), config, early, handed, executor, ready));
    // What still blocks a thread (a read of a slow disk) is not worth waiting for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

/// Raises the soft bound on open files: a connection takes one, an attempt up to three. Not to the hard bound, as jobs
/// inherit it and some programs go through all numbers below it.
fn allow_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES, |maximum| maximum.min(FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "could not raise the bound on open files, fewer attempts can run at once");
        }
    }
}

/// Makes a folder that only we may enter; one that is there keeps its mode.
fn make_private(folder: &Path) -> Result<(), Failure> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(file("cannot make the folder", folder))
}

struct Opened {
    /// Whether what was not synced can be trusted.
    intact: bool,
    journal: SledJournal,
    archive: Arc<Archive>,
    recovered: Recovered,
}

/// Opens what is on disk and brings the state back.
fn open(config: &Config, progress: &Progress) -> Result<Opened, Failure> {
    let (journal, opened) = SledJournal::open(&config.state_dir)?;
    if let Some(cut) = &opened.cut {
        tracing::warn!(seq = cut.seq.0, reason = cut.reason, "cut an unfinished commit off; nobody was told of it");
    }
    for name in &opened.leftovers {
        tracing::info!(name, "removed what a killed start had left");
    }
    let keep = config.history_keep;
    let archive = Arc::new(Archive::open(&config.state_dir, keep.age, keep.size)?);
    let (reader, upkeep) = (progress.reader(journal.reader()), progress.upkeep(journal.upkeep()));
    let recovered = recover::recover(&reader, &upkeep, &archive)?;
    Ok(Opened { intact: opened.intact, journal, archive, recovered })
}

async fn serve(
    options: Options,
    config: Config,
    early: Early,
    handed: Option<UnixListener>,
    executor: impl FnOnce(Arc<Attempts>, Handle) -> Arc<dyn Executor>,
    ready: impl FnOnce(&Config),
) -> Result<(), Failure> {
    let mut wishes = Wishes::listen().map_err(|e| Failure::Internal(format!("cannot listen for signals: {e}")))?;
    let progress = Progress::default();
    let telling = tokio::spawn(progress.clone().tell());
    let half_done = leftovers::find(&config.state_dir);
    let opened = open(&config, &progress);
    telling.abort();
    let Opened { intact, journal, archive, recovered } = opened?;
    let state = recovered.state;
    tracing::info!(seq = state.scalars().seq.0, jobs = state.jobs().len(), "state is back");
    status::look_back(&archive, state.scalars().seq);
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let runs = config.state_dir.join("runs");
    let Survey { found, kept, kept_items, stale, report } =
        adopt::survey(&state, &config, &runs, boot_id.trim(), intact).await;
    let mut at_start = report;

    let config = Arc::new(config);
    let ControlSocket { listener, file: socket_file, was_stale } = ControlSocket::open(&config.socket, handed)?;
    let (removed, left) = leftovers::tell(&config.state_dir, &half_done, was_stale.then_some(&config.socket));
    at_start.mended.extend(removed);
    at_start.left.extend(left);
    let outputs = Outputs::new(config.state_dir.join("outputs")).map_err(|e| Failure::Internal(e.to_string()))?;
    let (reports, reported) = mpsc::unbounded_channel();
    let (commands, commanded) = mpsc::unbounded_channel();
    let (reader, upkeep, tip) = (journal.reader(), journal.upkeep(), journal.tip());
    let retention = Retention::new(archive.clone(), upkeep.clone(), outputs.clone());
    let place = Place {
        outputs: outputs.clone(),
        socket: config.socket.clone(),
        runs,
        shim: exec::OWN_PROGRAM.into(),
        cgroups: cgroups(),
    };
    let processes = Processes::new(place, reports).map_err(|error| Failure::Internal(error.to_string()))?;
    let (engine_handle, inbox) = handle::channel();
    let attempts =
        Attempts::new(config.clone(), processes.clone(), outputs.clone(), retention, commands, engine_handle.clone());
    let start = Command::StartDaemon {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        boot_id: boot_id.trim().into(),
        found,
        items: kept_items.iter().map(|(earlier, _)| (earlier.job, earlier.attempt)).collect(),
    };
    let mut machine = Machine::new(state, config.execution);
    let sweep = machine.boot(SystemClock.now(), start, policies(&config));
    // What has not begun begins now, under its number and with its run file.
    let begins = |job, attempt| machine.state().running(job).is_some_and(|running| running.attempt == attempt);
    let over: Vec<_> = stale.into_iter().filter(|(job, attempt)| !begins(*job, *attempt)).collect();
    let executor = executor(attempts.clone(), engine_handle.clone());
    kept.into_iter().for_each(|earlier| attempts.adopt(earlier));
    kept_items.into_iter().for_each(|(earlier, items)| attempts.adopt_call(earlier, items));
    let boxed: Box<dyn Journal> = Box::new(journal);
    let engine = Engine {
        machine,
        journal: Arc::new(Mutex::new(boxed)),
        epoch: Epoch(1),
        clock: Arc::new(SystemClock),
        executor: executor.clone(),
        archive: archive.clone(),
        checkpointer: Checkpointer::new(recovered.replayed, tip.checksum),
    };
    let daemon = Arc::new(Daemon::new(Parts {
        options,
        engine: engine_handle.clone(),
        archive,
        journal: reader,
        upkeep,
        outputs,
        attempts: attempts.clone(),
        executor,
    }));
    tokio::spawn(forward_reports(reported, engine_handle.clone(), attempts.clone()));
    tokio::spawn(forward_commands(commanded, engine_handle.clone(), attempts));
    let mut engine = tokio::spawn(run_engine(engine, inbox));
    // What is found at the start is told before anybody can ask; but for long nobody waits, and jobs run by now.
    let sweeper = daemon.sweeper().clone();
    let swept = tokio::spawn(async move { sweeper.start(sweep, at_start).await });
    let _: Result<_, _> = tokio::time::timeout(START_SWEEP_WAIT, swept).await;
    let (hang_up, hung_up) = tokio::sync::oneshot::channel::<()>();
    let stopping = async move { drop(hung_up.await) };
    let server = tokio::spawn(control::serve(listener, daemon.clone(), stopping));
    let wakes = [Arc::new(Notify::new()), Arc::new(Notify::new())];
    let _ticks = housekeeping::ticks(wakes.clone(), config.repair_every).await;
    let [sweep_tick, tick] = wakes;
    let sweeps = tokio::spawn(housekeeping::sweeps(daemon.clone(), sweep_tick));
    if let Err(error) = &_ticks {
        tracing::warn!(%error, "no housekeeping ticks; it looks by itself instead");
    }
    let housekeeper = tokio::spawn(housekeeping::run(daemon.clone(), tick));
    let reload_asked = Arc::new(Notify::new());
    let reloader = tokio::spawn(reload_when_asked(daemon.clone(), reload_asked.clone()));
    if daemon.engine().read(|_| ()).await.is_ok() {
        // What was made of them is on disk by now. Before, the next daemon would find nothing, and begin them again.
        let forget = move || over.iter().for_each(|(job, attempt)| processes.forget(*job, *attempt));
        let _: Result<(), _> = tokio::task::spawn_blocking(forget).await;
        tracing::info!(socket = %config.socket.display(), tasks = config.tasks.len(), "daybook is ready");
        manager::ready(&daemon).await;
        ready(&config);
    }
    tokio::spawn(manager::attend(daemon.clone()));
    if early.reload_asked() {
        reload_asked.notify_one();
    }
    let ended = loop {
        if early.stop_asked() {
            break None;
        }
        tokio::select! {
            ended = &mut engine => break Some(ended),
            wish = wishes.next() => match wish {
                // Beside this loop, which must hear the wish to stop at any time.
                Wish::Reload => reload_asked.notify_one(),
                Wish::Stop => break None,
            },
        }
    };
    let ended = match ended {
        Some(ended) => {
            manager::stopping("stopping: the engine has ended", STOP_GRACE);
            ended
        }
        None => {
            stop(&daemon).await;
            engine.await
        }
    };
    housekeeper.abort();
    sweeps.abort();
    reloader.abort();
    // Answers under way may end; a follower of the journal would never.
    drop(hang_up);
    let _: Result<_, _> = tokio::time::timeout(ANSWERS_GRACE, server).await;
    if let Some(file) = socket_file {
        // A stale socket would only make clients wait; it goes with us.
        let _: Result<(), _> = std::fs::remove_file(file);
    }
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.into()),
        Err(panic) => Err(Failure::Internal(format!("the engine has panicked: {panic}"))),
    }
}

/// Where the cgroups of attempts are made, if they can be.
fn cgroups() -> Option<PathBuf> {
    let found = exec::cgroups::site().inspect(|site| {
        if let Err(why) = site.enable() {
            tracing::warn!(why, "attempts with `memory_max` or `tasks_max` cannot start");
        }
    });
    found
        .map(|site| site.folder)
        .inspect_err(|why| tracing::info!(why, "attempts get no cgroups; what they leave is found by descent alone"))
        .ok()
}

/// Reloads and sweeps each time SIGHUP came. What comes while a reload runs is one more, after it.
async fn reload_when_asked(daemon: Arc<Daemon>, asked: Arc<Notify>) {
    loop {
        asked.notified().await;
        // What came of it is in the log.
        let _: Result<_, _> = daemon.reload_and_sweep().await;
    }
}

/// Runs the engine, and brings everything to disk when it ends.
async fn run_engine(engine: Engine, inbox: Inbox) -> Result<(), engine_run::Error> {
    let engine = engine_run::run(engine, inbox).await?;
    let seq = engine.machine.state().scalars().seq;
    if let Err(error) = engine.archive.sync(seq) {
        tracing::warn!(%error, "the history is behind; the next start projects again what is missing");
    }
    let upkeep = engine_run::upkeep(&engine.journal);
    if let Err(error) = upkeep.mark_head() {
        tracing::warn!(%error, "could not mark the journal's head");
    }
    Ok(())
}

/// Brings the daemon to its end. What runs as a process goes on under its shim, unless the machine goes down; a worker
/// may finish within `stop_timeout`, and is resumed by the next daemon if it does not.
async fn stop(daemon: &Daemon) {
    let config = daemon.config();
    let attempts = daemon.attempts();
    let shutdown = exec::is_going_down().await;
    tracing::info!(timeout = ?config.stop_timeout, shutdown, "stopping: no more attempts are started");
    let grace = attempts.longest_grace();
    // A service manager need not know our `stop_timeout`: it is told how long all of this may take.
    let within = config.stop_timeout.saturating_add(grace).saturating_add(2 * REPORT_GRACE + STOP_GRACE);
    manager::stopping("stopping: workers may end", within);
    if daemon.drain().await.is_err() {
        return;
    }
    if shutdown {
        attempts.stop_processes("shutdown", false);
    }
    // What they have under way may end as workers may, but there is no next item to wait for.
    attempts.stop_batches("the daemon was stopped");
    if !attempts.workers_end_within(config.stop_timeout).await {
        attempts.stop_workers("the daemon was stopped");
        attempts.workers_end_within(grace + REPORT_GRACE).await;
    }
    if shutdown && !daemon.idle_within(grace + REPORT_GRACE).await {
        attempts.stop_processes("shutdown", true);
        daemon.idle_within(REPORT_GRACE).await;
    }
    daemon.close().await;
    if let Some(count) = Some(attempts.processes()).filter(|count| *count > 0) {
        tracing::info!(count, "attempts go on without the daemon; the next one takes them over");
    }
}
