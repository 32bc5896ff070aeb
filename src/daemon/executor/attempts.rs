//! The attempts under way, whichever handler runs them: what is known of each, and how all of them are told to end.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Now;
use crate::config::Config;
use crate::core::command::{Command, Ending};
use crate::core::effect::StartAttempt;
use crate::core::id::JobId;
use crate::core::limits;
use crate::core::time::Timestamp;
use crate::daemon::batch::Window;
use crate::daemon::retention::Retention;
use crate::engine::Handle;
use crate::engine::run::Seen;
use crate::exec::{Earlier, Ended, Outputs, Processes, Stop};
use crate::repair::attempts::OVERDUE_AFTER;
use crate::repair::items::Handling;

/// How often a stopping daemon looks whether a worker still runs.
const IDLE_LOOK: Duration = Duration::from_millis(20);

/// Until when an attempt may run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub started: Now,
    pub length: Duration,
}

/// An attempt under way.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// When it is to be over at the latest; none if that is not known here.
    pub lease: Option<Lease>,
    /// Asks it to end, if it runs on a task of the runtime. A process is asked by way of its shim.
    pub cancel: Option<watch::Sender<bool>>,
    /// It is the run of a batch, which can end between two items.
    pub is_batch: bool,
    /// Of the run of a batch: what it has under way may end by itself, if nobody asks otherwise.
    pub by_itself: bool,
    /// Why it was told to end with all others, if it was: when it ends early it is to be resumed.
    pub told: Option<&'static str>,
    /// Of the run of a batch: the hours in which it begins items, if it has any.
    pub window: Option<Window>,
    /// Of the run of a batch, once it has begun: handlings of items from this number on are its own.
    pub calls_from: Option<u32>,
}

impl Known {
    /// Asks it to end, if it is not a process.
    pub fn cancel(&mut self) {
        self.by_itself = false;
        self.ask();
    }

    fn ask(&self) {
        if let Some(cancel) = &self.cancel {
            cancel.send_replace(true);
        }
    }
}

/// Runs attempts as the config says.
pub struct Attempts {
    pub(super) processes: Processes,
    pub(super) outputs: Outputs,
    config: RwLock<Arc<Config>>,
    /// Of all tasks that this daemon has known: an attempt keeps the grace that it was started with.
    longest_grace: Mutex<Duration>,
    /// What workers have to tell the engine, in order.
    commands: mpsc::UnboundedSender<Command>,
    /// Every attempt that was started, until its end has been handed to the engine.
    known: Mutex<HashMap<(JobId, u32), Known>>,
    /// Calls for items that are processes, by the batch and their number: who waits for the end of each.
    pub(super) calls: Mutex<HashMap<(JobId, u32), oneshot::Sender<Ended>>>,
    /// Handlings of items that belong to no run, until their end is on disk.
    pub(super) lone_calls: Mutex<HashSet<(JobId, u32)>>,
    /// The daemon stops, and does not come back to what it has begun.
    pub(super) daemon_ends: AtomicBool,
    /// For what asks and waits for an answer.
    pub(super) engine: Handle,
    pub(in crate::daemon) retention: Arc<Retention>,
    /// Whether an attempt was interrupted, about which no sweep has decided yet.
    pub(in crate::daemon) interrupted: AtomicBool,
}

impl Attempts {
    pub fn new(
        config: Arc<Config>,
        processes: Processes,
        outputs: Outputs,
        retention: Arc<Retention>,
        commands: mpsc::UnboundedSender<Command>,
        engine: Handle,
    ) -> Arc<Attempts> {
        Arc::new(Attempts {
            processes,
            outputs,
            longest_grace: Mutex::new(longest_grace(&config)),
            config: RwLock::new(config),
            commands,
            known: Mutex::default(),
            calls: Mutex::default(),
            lone_calls: Mutex::default(),
            daemon_ends: AtomicBool::default(),
            engine,
            retention,
            interrupted: AtomicBool::default(),
        })
    }

    pub fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Attempts that start from now on are run as this config says.
    pub fn set_config(&self, config: Arc<Config>) {
        let mut longest = self.longest_grace.lock().unwrap_or_else(PoisonError::into_inner);
        *longest = longest_grace(&config).max(*longest);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// The longest time that an attempt under way may have between TERM and KILL.
    pub fn longest_grace(&self) -> Duration {
        *self.longest_grace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over an attempt of an earlier daemon.
    pub fn adopt(&self, earlier: Earlier) {
        // Its shim keeps its time-out, whatever the config says now.
        self.known().insert((earlier.job, earlier.attempt), Known::default());
        self.processes.adopt(earlier);
    }

    /// Ends all processes, to be resumed later. `at_once`: without asking.
    pub fn stop_processes(&self, why: &'static str, at_once: bool) {
        self.known().values_mut().filter(|known| known.cancel.is_none()).for_each(|known| known.told = Some(why));
        self.processes.stop_all(if at_once { Stop::Kill } else { Stop::Shutdown });
    }

    /// Asks all workers to end, to be resumed later.
    pub fn stop_workers(&self, why: &'static str) {
        for known in self.known().values_mut().filter(|known| known.cancel.is_some()) {
            known.told = Some(why);
            known.cancel();
        }
    }

    /// The daemon ends: asks all runs of batches to end, to be resumed later. Calls for items that are under way may end
    /// by themselves, and processes go on without the daemon.
    pub fn stop_batches(&self, why: &'static str) {
        self.daemon_ends.store(true, Ordering::Relaxed);
        for known in self.known().values_mut().filter(|known| known.is_batch) {
            known.told = Some(why);
            known.cancel();
        }
    }

    /// Asks all runs of batches to begin no more items, and to end, to be resumed later, when those under way have ended
    /// by themselves.
    pub fn finish_batches(&self, why: &'static str) {
        for known in self.known().values_mut().filter(|known| known.is_batch && known.told.is_none()) {
            known.told = Some(why);
            known.by_itself = true;
            known.ask();
        }
    }

    /// Why an attempt was told to end with all others, if it was.
    pub(super) fn told(&self, job: JobId, attempt: u32) -> Option<&'static str> {
        self.known().get(&(job, attempt))?.told
    }

    /// Whether the engine knows the end of every worker before `timeout` has passed.
    pub async fn workers_end_within(&self, timeout: Duration) -> bool {
        let idle = async {
            // Looking is cheap, and this is the end: no need for a notification of its own.
            while self.known().values().any(|known| known.cancel.is_some()) {
                tokio::time::sleep(IDLE_LOOK).await;
            }
        };
        tokio::time::timeout(timeout.min(limits::DURATION_MAX), idle).await.is_ok()
    }

    /// Removes the cgroups of attempts that are over, where processes had been left in them. It blocks.
    pub fn clear_cgroups(&self) {
        self.processes.clear_cgroups();
    }

    /// How many attempts run as processes.
    pub fn processes(&self) -> usize {
        self.processes.count()
    }

    pub(super) fn known(&self) -> MutexGuard<'_, HashMap<(JobId, u32), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn report(&self, command: Command) {
        // With the engine gone, what was running is found interrupted by the next one.
        let _: Result<(), _> = self.commands.send(command);
    }

    pub(super) fn fail(&self, attempt: &StartAttempt, error: String) {
        let ending = Ending::Failed { error: limits::message(error).into() };
        self.report(Command::ReportEnded { job: attempt.job, attempt: attempt.attempt, ending });
    }

    /// The attempt begins.
    pub(super) fn know(&self, attempt: &StartAttempt, known: Known) {
        self.known().insert((attempt.job, attempt.attempt), known);
    }

    /// What it knows of an attempt; `awake`: the time awake now.
    pub(super) fn seen(&self, job: JobId, attempt: u32, awake: Duration) -> Seen {
        let known = self.known();
        let Some(known) = known.get(&(job, attempt)) else { return Seen::Unknown };
        match known.lease {
            Some(lease) if awake.saturating_sub(lease.started.awake) > lease.length => {
                Seen::Overdue { since: lease.started.wall + lease.length.saturating_sub(OVERDUE_AFTER) }
            }
            Some(_) | None => Seen::Running,
        }
    }

    /// How many handlings of items are under way that belong to no run.
    pub fn advancing(&self) -> u64 {
        self.lone_calls.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// Why a run of a batch begins no items now, if it is because of its hours.
    pub fn rests(&self, job: JobId, attempt: u32, now: Timestamp) -> Option<String> {
        let known = self.known();
        let window = known.get(&(job, attempt))?.window.as_ref().filter(|window| !window.includes(now))?;
        Some(format!("it waits for its hours, {window}"))
    }

    /// Whether somebody will report how a handling of items ends.
    pub(in crate::daemon) fn looks_after(&self, handling: &Handling) -> bool {
        let Handling { job, run, .. } = *handling;
        let lone = self.lone_calls.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = handling.attempt.filter(|_| !handling.advance);
        let is_its_own = |attempt| {
            let known = self.known();
            // Before it has begun nothing is said: it does not know yet what is its own.
            known.get(&(job, attempt)).is_some_and(|known| known.calls_from.is_none_or(|from| run >= from))
        };
        lone.contains(&(job, run)) || attempt.is_some_and(is_its_own)
    }

    /// The engine has been told how the attempt ended, or nobody ever will tell it.
    pub(super) fn forget(&self, job: JobId, attempt: u32) {
        self.known().remove(&(job, attempt));
    }
}

fn longest_grace(config: &Config) -> Duration {
    config.tasks.values().map(|task| task.grace).max().unwrap_or_default()
}
