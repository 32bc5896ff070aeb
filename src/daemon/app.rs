//! The running daemon as its doors see it: the engine's handle, what is on disk, and the routines that
//! signals, timers and the socket share.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::executor::Attempts;
use super::options::{Options, load, policies};
use super::retention::Kept;
use super::sweep::Sweeper;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::core::limits;
use crate::core::repair::{Door, Report};
use crate::core::time::Timestamp;
use crate::engine::archive::Archive;
use crate::engine::run::Executor;
use crate::engine::{Gone, Handle};
use crate::exec::Outputs;
use crate::journal::{Reader, Upkeep};

/// How often a stopping daemon looks whether anything still runs.
const IDLE_LOOK: Duration = Duration::from_millis(20);

/// A running daemon.
pub struct Daemon {
    options: Options,
    engine: Handle,
    pub(super) archive: Arc<Archive>,
    pub(super) journal: Arc<dyn Reader>,
    upkeep: Arc<dyn Upkeep>,
    pub(super) outputs: Outputs,
    attempts: Arc<Attempts>,
    kept: Kept,
    pub(super) started_at: Timestamp,
    sweeper: Arc<Sweeper>,
    /// Why the config was refused, until one is taken over.
    refused: Mutex<Option<String>>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
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
        let kept = Kept { archive: archive.clone(), upkeep: upkeep.clone(), outputs: outputs.clone() };
        let state_dir = attempts.config().state_dir.clone();
        let sweeper = Sweeper::new(engine.clone(), executor, attempts.clone(), kept.clone(), &state_dir);
        Daemon {
            options,
            engine,
            archive,
            journal,
            upkeep,
            outputs,
            attempts,
            kept,
            started_at: SystemClock.now().wall,
            sweeper,
            refused: Mutex::default(),
            reloading: tokio::sync::Mutex::new(()),
        }
    }

    pub fn engine(&self) -> &Handle {
        &self.engine
    }

    pub fn upkeep(&self) -> Arc<dyn Upkeep> {
        self.upkeep.clone()
    }

    pub fn attempts(&self) -> &Attempts {
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
        self.attempts.retention_asked.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked for that since this was last looked at.
    pub fn retention_was_asked(&self) -> bool {
        self.attempts.retention_asked.swap(false, Ordering::Relaxed)
    }

    /// Why the config was refused when it was last read; none if it was taken over.
    pub fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the config again and takes it over: what changed, in words. A config with errors changes nothing.
    pub async fn reload(&self) -> Result<Vec<String>, config::Errors> {
        let _one = self.reloading.lock().await;
        let reloaded = self.take_over().await;
        let first = |errors: &config::Errors| errors.to_string().lines().next().unwrap_or_default().to_owned();
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = reloaded.as_ref().err().map(first);
        reloaded
    }

    async fn take_over(&self) -> Result<Vec<String>, config::Errors> {
        let options = self.options.clone();
        let loaded = tokio::task::spawn_blocking(move || load(&options)).await;
        let new = match loaded {
            Ok(loaded) => Arc::new(loaded?),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        let old = self.config();
        let changes = config::differences(&old, &new);
        let (tasks, execution) = (policies(&new), new.execution);
        // First the handlers, then the tasks: a job of a new task finds its handler.
        self.attempts.set_config(new);
        let taken = self.engine.act(move |machine, _| {
            machine.set_execution(execution);
            machine.define(tasks);
        });
        // An engine that is gone takes nothing over, and the daemon with it.
        let _: Result<(), Gone> = taken.await;
        Ok(changes)
    }

    /// What SIGHUP does.
    pub async fn reload_and_sweep(&self) {
        match self.reload().await {
            Ok(changes) if changes.is_empty() => tracing::info!("config reloaded, nothing changed"),
            Ok(changes) => changes.iter().for_each(|change| tracing::info!(change, "config reloaded")),
            Err(errors) => tracing::error!(%errors, "config refused, the last good one stays"),
        }
        self.ask_for_retention();
        // An engine that is gone sweeps no more.
        let _: Result<Report, Gone> = self.sweeper.sweep(Door::Signal, false).await;
    }

    /// Notes how far the journal reaches, so that a later start can tell if its end is missing.
    pub async fn mark_head(&self) {
        let upkeep = self.upkeep.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || upkeep.mark_head()).await {
            tracing::warn!(%error, "could not mark the journal's head, will retry");
        }
    }

    /// Drops what is older, or more, than the config keeps.
    pub async fn retain(&self) {
        let (config, kept) = (self.config(), self.kept.clone());
        // A panic in there is a bug of one round of retention, and in the log.
        let _: Result<(), _> = tokio::task::spawn_blocking(move || kept.retain(&config)).await;
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
