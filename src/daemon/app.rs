//! The running daemon as its doors see it: the engine's handle, what is on disk, and the routines that
//! signals, timers and the socket share.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::executor::Attempts;
use super::manager;
use super::options::{Options, load, policies};
use super::sweep::Sweeper;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::control::service::Reloaded;
use crate::control::status::LastSweep;
use crate::core::limits;
use crate::core::repair::Door;
use crate::core::time::Timestamp;
use crate::engine::archive::Archive;
use crate::engine::run::Executor;
use crate::engine::{Gone, Handle};
use crate::exec::Outputs;
use crate::journal::{Reader, Upkeep};
use crate::logging;

/// How often a stopping daemon looks whether anything still runs.
const IDLE_LOOK: Duration = Duration::from_millis(20);
/// Why attempts are resumed that ended because of it.
const DRAINED: &str = "the daemon was drained";

/// A running daemon.
pub struct Daemon {
    options: Options,
    engine: Handle,
    pub(super) archive: Arc<Archive>,
    pub(super) journal: Arc<dyn Reader>,
    upkeep: Arc<dyn Upkeep>,
    pub(super) outputs: Outputs,
    attempts: Arc<Attempts>,
    pub(super) started_at: Timestamp,
    sweeper: Arc<Sweeper>,
    /// What the last reload leaves to be looked at.
    left_over: Mutex<LeftOver>,
    /// One reload at a time; who comes meanwhile follows, as the files may have changed since they were read.
    reloading: tokio::sync::Mutex<()>,
}

/// What a reload leaves to be looked at.
#[derive(Clone, Debug, Default)]
struct LeftOver {
    /// Why the config was refused, until one is taken over.
    refused: Option<String>,
    /// What changed and takes a restart.
    after_restart: Vec<String>,
}

/// Why the config was not taken over.
#[derive(Debug)]
pub enum NotReloaded {
    /// It has errors; the last good one stays.
    Config(config::Errors),
    /// The daemon has stopped.
    Gone,
}

/// What a daemon is made of.
pub struct Parts {
    pub options: Options,
    pub engine: Handle,
    pub archive: Arc<Archive>,
    pub journal: Arc<dyn Reader>,
    pub upkeep: Arc<dyn Upkeep>,
    pub outputs: Outputs,
    pub attempts: Arc<Attempts>,
    pub executor: Arc<dyn Executor>,
}

impl Daemon {
    pub fn new(parts: Parts) -> Daemon {
        let Parts { options, engine, archive, journal, upkeep, outputs, attempts, executor } = parts;
        let sweeper = Sweeper::new(engine.clone(), executor, attempts.clone());
        Daemon {
            options,
            engine,
            archive,
            journal,
            upkeep,
            outputs,
            attempts,
            started_at: SystemClock.now().wall,
            sweeper,
            left_over: Mutex::default(),
            reloading: tokio::sync::Mutex::new(()),
        }
    }

    pub fn engine(&self) -> &Handle {
        &self.engine
    }

    pub fn upkeep(&self) -> Arc<dyn Upkeep> {
        self.upkeep.clone()
    }

    pub fn attempts(&self) -> &Arc<Attempts> {
        &self.attempts
    }

    /// The config in force.
    pub fn config(&self) -> Arc<Config> {
        self.attempts.config()
    }

    pub fn sweeper(&self) -> &Arc<Sweeper> {
        &self.sweeper
    }

    /// What is no longer kept is to be dropped soon, and not only at the next round.
    pub fn ask_for_retention(&self) {
        self.attempts.retention.ask();
    }

    /// A sweep is to be made at once, and nobody waits for it.
    pub fn ask_for_sweep(&self) {
        let sweeper = self.sweeper.clone();
        // An engine that is gone sweeps no more.
        tokio::spawn(async move { sweeper.sweep_anew(Door::Signal).await.map(drop) });
    }

    /// What the last reload leaves to be looked at, a sentence each.
    pub fn left_over(&self) -> Vec<String> {
        let LeftOver { refused, after_restart } = self.lock_left_over().clone();
        let refused = refused.map(|error| format!("the config was refused and the last good one stays: {error}"));
        let waits = after_restart.into_iter().map(|change| format!("the config has changed, and {change}"));
        refused.into_iter().chain(waits).collect()
    }

    fn lock_left_over(&self) -> MutexGuard<'_, LeftOver> {
        self.left_over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the config again and takes it over: what changed, in words. A config with errors changes nothing.
    pub async fn reload(&self) -> Result<Reloaded, NotReloaded> {
        let _one = self.reloading.lock().await;
        manager::reloading();
        let reloaded = self.take_over().await;
        if let Err(NotReloaded::Config(errors)) = &reloaded {
            tracing::error!(%errors, "config refused, the last good one stays");
            self.lock_left_over().refused = errors.lines().into_iter().next();
        }
        manager::ready(self).await;
        reloaded
    }

    async fn take_over(&self) -> Result<Reloaded, NotReloaded> {
        let options = self.options.clone();
        let loaded = tokio::task::spawn_blocking(move || load(&options)).await;
        let mut new = match loaded {
            Ok(loaded) => loaded.map_err(NotReloaded::Config)?,
            Err(_) => return Err(NotReloaded::Config(panicked(&self.options.config))),
        };
        let old = self.config();
        let changes = config::differences(&old, &new);
        let after_restart = config::after_restart(&old, &new);
        // What is in use stays in use, so that the next reload tells of it as well.
        (new.state_dir, new.socket) = (old.state_dir.clone(), old.socket.clone());
        new.log.format = old.log.format;
        let (tasks, execution) = (policies(&new), new.execution);
        let warnings: Vec<String> = new.warnings.iter().map(ToString::to_string).collect();
        let noted: Vec<Box<str>> = changes.iter().map(|change| change.as_str().into()).collect();
        logging::set_levels(&new.log);
        // First the handlers, then the tasks: a job of a new task finds its handler.
        self.attempts.set_config(Arc::new(new));
        let taken = self.engine.act(move |machine, _| {
            machine.set_execution(execution);
            machine.reload(tasks, noted);
        });
        taken.await.map_err(|_: Gone| NotReloaded::Gone)?;
        for change in &changes {
            tracing::info!(change, "config reloaded");
        }
        for change in &after_restart {
            tracing::warn!(change, "config reloaded, one change waits");
        }
        for warning in &warnings {
            tracing::warn!(warning, "config reloaded with a warning");
        }
        if changes.is_empty() && after_restart.is_empty() {
            tracing::info!("config reloaded, nothing changed");
        }
        *self.lock_left_over() = LeftOver { refused: None, after_restart: after_restart.clone() };
        Ok(Reloaded { changes, after_restart, warnings, sweep: None })
    }

    /// What SIGHUP does. The sweep is made whether the config was taken over or not.
    pub async fn reload_and_sweep(&self) -> Result<Reloaded, NotReloaded> {
        let reloaded = self.reload().await;
        self.ask_for_retention();
        let swept = self.sweeper.sweep_anew(Door::Signal).await;
        let mut reloaded = reloaded?;
        let report = swept.map_err(|_: Gone| NotReloaded::Gone)?;
        reloaded.sweep = Some(LastSweep::of(&report));
        Ok(reloaded)
    }

    /// Notes how far the journal reaches, so that a later start can tell if its end is missing.
    pub async fn mark_head(&self) {
        let upkeep = self.upkeep.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || upkeep.mark_head()).await {
            tracing::warn!(%error, "could not mark the journal's head, will retry");
        }
    }

    /// Drops what is older, or more, than the config keeps, and cgroups that nobody is in any more.
    pub async fn retain(&self) {
        self.attempts.retention.run(self.config()).await;
        let attempts = self.attempts.clone();
        // A panic in there is a bug of one round, and in the log.
        let _: Result<(), _> = tokio::task::spawn_blocking(move || attempts.clear_cgroups()).await;
    }

    /// From now on no attempt is started, until a reload; `kill`: ends those that run. Answers how many do.
    pub async fn cordon(&self, kill: bool) -> Result<u64, Gone> {
        let running = self.engine.act(|machine, _| {
            machine.set_execution(false);
            machine.state().durable().running.len() as u64
        });
        let running = running.await?;
        tracing::info!(running, kill, "drained: no more attempts are started until a reload or a start");
        if kill {
            self.attempts.stop_processes(DRAINED, false);
            self.attempts.stop_workers(DRAINED);
        } else {
            // A run can end between two items, and would wait for the next one until the end of time.
            self.attempts.finish_batches(DRAINED);
        }
        Ok(running)
    }

    /// From now on nothing is started and nothing taken in.
    pub async fn drain(&self) -> Result<(), Gone> {
        self.engine.act(|machine, _| machine.drain()).await
    }

    /// Whether nothing runs any more before `timeout` has passed.
    pub async fn idle_within(&self, timeout: Duration) -> bool {
        let idle = async {
            // Looking is cheap, and this is the end: no need for a notification of its own.
            while let Ok(false) = self.engine.read(|state| state.durable().running.is_empty()).await {
                tokio::time::sleep(IDLE_LOOK).await;
            }
        };
        tokio::time::timeout(timeout.min(limits::DURATION_MAX), idle).await.is_ok()
    }

    /// The engine's last act.
    pub async fn close(&self) {
        // Gone already is as good.
        let _: Result<(), Gone> = self.engine.act(|machine, _| machine.close()).await;
    }
}

/// A panic while files are read is a bug, and no reason to lose the last good config.
fn panicked(main: &Path) -> config::Errors {
    let message = "could not be read: this is a bug, and the daemon's log says where".to_owned();
    let problem = config::Problem { file: main.to_owned(), message, ..config::Problem::default() };
    config::Errors { problems: vec![problem], omitted: 0 }
}
