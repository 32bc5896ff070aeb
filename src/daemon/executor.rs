//! Which handler runs an attempt: processes by `exec`, workers on a task of the runtime. Reports go
//! to the engine as commands.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};

use super::retention::{Retention, WithOwn};
use crate::clock::{Clock, Now, SystemClock};
use crate::config::{Action, Config, Handler as TaskHandler, Process, Task, WorkerConfig};
use crate::core::command::{Command, Ending};
use crate::core::effect::StartAttempt;
use crate::core::event;
use crate::core::id::JobId;
use crate::core::json::Json;
use crate::core::limits;
use crate::core::view::Progress;
use crate::database::Database;
use crate::engine::Handle;
use crate::engine::run::{Executor, Seen};
use crate::exec::{Earlier, Lines, Outcome, Outputs, Processes, Program, Report, Spec, Start, Stop};
use crate::repair::attempts::OVERDUE_AFTER;
use crate::workers::{self, Cancelled, PassivateUsers, Worker};

/// The umask that the daemon runs with; a job with another one is started through a shell that sets it.
pub const UMASK: u32 = crate::config::UMASK_DEFAULT;

/// How often a stopping daemon looks whether a worker still runs.
const IDLE_LOOK: Duration = Duration::from_millis(20);

/// Until when an attempt may run.
#[derive(Clone, Copy, Debug)]
struct Lease {
    started: Now,
    length: Duration,
}

/// An attempt under way, and when it is to be over at the latest.
#[derive(Clone, Copy, Debug)]
enum Known {
    Process(Option<Lease>),
    Worker(Option<Lease>),
}

/// Runs attempts as the config says.
pub struct Attempts {
    processes: Processes,
    outputs: Outputs,
    config: RwLock<Arc<Config>>,
    /// Of all tasks that this daemon has known: an attempt keeps the grace that it was started with.
    longest_grace: Mutex<Duration>,
    /// What workers have to tell the engine, in order.
    commands: mpsc::UnboundedSender<Command>,
    workers: Mutex<HashMap<(JobId, u32), watch::Sender<bool>>>,
    /// Every attempt that was started, until its end has been handed to the engine.
    known: Mutex<HashMap<(JobId, u32), Known>>,
    pub(super) retention: Arc<Retention>,
    /// Why all that runs was told to end, if it was: what ends early is then to be resumed.
    stopping: Mutex<Option<&'static str>>,
    /// Whether an attempt was interrupted, about which no sweep has decided yet.
    pub(super) interrupted: AtomicBool,
}

impl Attempts {
    pub fn new(
        config: Arc<Config>,
        processes: Processes,
        outputs: Outputs,
        retention: Arc<Retention>,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Arc<Attempts> {
        Arc::new(Attempts {
            processes,
            outputs,
            longest_grace: Mutex::new(longest_grace(&config)),
            config: RwLock::new(config),
            commands,
            workers: Mutex::default(),
            known: Mutex::default(),
            retention,
            stopping: Mutex::default(),
            interrupted: AtomicBool::default(),
        })
    }

    pub fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Attempts that start from now on are run as this config says.
    pub fn set_config(&self, config: Arc<Config>) {
        self.set_stopping(None);
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
        self.known().insert((earlier.job, earlier.attempt), Known::Process(None));
        self.processes.adopt(earlier);
    }

    /// Ends all processes, to be resumed later. `at_once`: without asking.
    pub fn stop_processes(&self, why: &'static str, at_once: bool) {
        self.set_stopping(Some(why));
        self.processes.stop_all(if at_once { Stop::Kill } else { Stop::Shutdown });
    }

    /// Asks all workers to end, to be resumed later.
    pub fn stop_workers(&self, why: &'static str) {
        self.set_stopping(Some(why));
        for cancel in self.workers().values() {
            cancel.send_replace(true);
        }
    }

    fn set_stopping(&self, why: Option<&'static str>) {
        *self.stopping.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn stopping(&self) -> Option<&'static str> {
        *self.stopping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the engine knows the end of every worker before `timeout` has passed.
    pub async fn workers_end_within(&self, timeout: Duration) -> bool {
        let idle = async {
            // Looking is cheap, and this is the end: no need for a notification of its own.
            while self.known().values().any(|known| matches!(known, Known::Worker(_))) {
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

    fn workers(&self) -> std::sync::MutexGuard<'_, HashMap<(JobId, u32), watch::Sender<bool>>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<(JobId, u32), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, command: Command) {
        // With the engine gone, what was running is found interrupted by the next one.
        let _: Result<(), _> = self.commands.send(command);
    }

    fn fail(&self, attempt: &StartAttempt, error: String) {
        let ending = Ending::Failed { error: limits::message(error).into() };
        self.report(Command::ReportEnded { job: attempt.job, attempt: attempt.attempt, ending });
    }

    fn start_process(&self, attempt: StartAttempt, task: &Task, process: &Process) {
        self.processes.start(Start {
            job: attempt.job,
            attempt: attempt.attempt,
            task: attempt.task.into(),
            args: attempt.args.as_str().to_owned(),
            scheduled_at: attempt.occurrence.map(|occurrence| occurrence.at),
            spec: Arc::new(spec(task, process)),
        });
    }

    fn start_worker(self: &Arc<Self>, attempt: StartAttempt, task: &Task, config: &WorkerConfig) {
        let worker = match self.worker(config) {
            Ok(worker) => worker,
            Err(error) => return self.fail(&attempt, error),
        };
        let cancel = watch::Sender::new(false);
        let key = (attempt.job, attempt.attempt);
        self.workers().insert(key, cancel.clone());
        let (this, timeout, grace, output_max) = (self.clone(), task.timeout, task.grace, task.output_max);
        tokio::spawn(async move {
            let ending = match this.context(&attempt, &cancel, timeout, output_max) {
                Ok(context) => this.work(&*worker, context, &cancel, grace).await,
                Err(error) => Ending::Failed { error: limits::message(error).into() },
            };
            let (outputs, (job, number)) = (this.outputs.clone(), key);
            let bytes = tokio::task::spawn_blocking(move || outputs.size(job, number)).await.unwrap_or(0);
            if bytes > 0 {
                this.report(Command::ReportOutput { job, attempt: number, bytes });
            }
            this.workers().remove(&key);
            this.report(Command::ReportEnded { job: key.0, attempt: key.1, ending });
        });
    }

    fn worker(&self, config: &WorkerConfig) -> Result<Arc<dyn Worker>, String> {
        let all = self.config();
        let made = match config {
            WorkerConfig::PassivateUsers(users) => {
                PassivateUsers::clone(users).worker(database(&users.database, &all)?)
            }
            WorkerConfig::CleanLogs(logs) => {
                let retention = self.retention.clone();
                let with_own = |worker| Arc::new(WithOwn { worker, retention, config: all.clone() }) as Arc<dyn Worker>;
                logs.clone().worker().map(with_own)
            }
            WorkerConfig::Sql(sql) => Ok(sql.clone().worker(database(&sql.database, &all)?)),
            WorkerConfig::Http(http) => http.clone().worker(),
        };
        made.map_err(|error| error.to_string())
    }

    /// Runs a worker to its end. One that takes too long is asked to end, and gets `grace` for that.
    async fn work(
        &self,
        worker: &dyn Worker,
        context: workers::Context,
        cancel: &watch::Sender<bool>,
        grace: Duration,
    ) -> Ending {
        let failed = |error: String| Ending::Failed { error: limits::message(error).into() };
        let timeout = context.timeout;
        // A panic in a worker is a failed attempt and not the end of the daemon's bookkeeping.
        let run = std::panic::AssertUnwindSafe(worker.run(context)).catch_unwind();
        tokio::pin!(run);
        let outcome = match timeout {
            None => run.await,
            Some(timeout) => match tokio::time::timeout(timeout, &mut run).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    cancel.send_replace(true);
                    match tokio::time::timeout(grace, run).await {
                        // It got there after all, so that there is nothing to try again.
                        Ok(Ok(Ok(result))) => Ok(Ok(result)),
                        Ok(_) | Err(_) => {
                            return failed(format!("timed out after {}", humantime::format_duration(timeout)));
                        }
                    }
                }
            },
        };
        match outcome {
            Ok(Ok(result)) => Ending::Succeeded { result: Some(Json::trusted(result.to_string())), note: None },
            Ok(Err(workers::Error::Cancelled { .. })) => match self.stopping() {
                Some(why) => Ending::Interrupted { reason: why.into() },
                None => Ending::Stopped,
            },
            Ok(Err(error)) => failed(error.to_string()),
            Err(_panic) => failed("the worker panicked; this is a bug, and the daemon's log says where".to_owned()),
        }
    }

    /// What a worker may use; an error if its output cannot be opened, or its arguments not be read.
    fn context(
        self: &Arc<Self>,
        attempt: &StartAttempt,
        cancel: &watch::Sender<bool>,
        timeout: Option<Duration>,
        output_max: u64,
    ) -> Result<workers::Context, String> {
        let args = arguments(&attempt.args)?;
        let lines = Lines::begin(&self.outputs, attempt.job, attempt.attempt, output_max).map_err(|e| e.to_string())?;
        let (this, job, number) = (self.clone(), attempt.job, attempt.attempt);
        let progress = move |current, total, message: &str| {
            let progress = Progress { current, total, message: limits::message(message.to_owned()).into() };
            this.report(Command::ReportProgress { job, attempt: Some(number), progress });
        };
        Ok(workers::Context {
            job,
            attempt: number,
            args,
            now: SystemClock.now().wall,
            progress: Arc::new(progress),
            log: Arc::new(move |line| lines.write(line)),
            state_dir: self.config().state_dir.clone(),
            timeout,
            cancelled: Cancelled::new(cancel.subscribe()),
        })
    }
}

/// The arguments as a worker reads them. JSON may say more than that, as `1e999` or lists a thousand deep: a
/// worker that were given none instead would not know that it was asked for a dry run.
fn arguments(args: &Json) -> Result<serde_json::Value, String> {
    serde_json::from_str(args.as_str()).map_err(|error| format!("failed to read the job's arguments: {error}"))
}

fn longest_grace(config: &Config) -> Duration {
    config.tasks.values().map(|task| task.grace).max().unwrap_or_default()
}

/// The engine's side: starts and stops what the core has decided.
pub struct Door(pub Arc<Attempts>);

impl Executor for Door {
    fn start(&self, attempt: StartAttempt) {
        let config = self.0.config();
        tracing::debug!(job = attempt.job.0, task = &*attempt.task, attempt = attempt.attempt, "attempt starts");
        let lease = config.tasks.get(&*attempt.task).and_then(|task| {
            let length = task.timeout?.saturating_add(task.grace).saturating_add(OVERDUE_AFTER);
            Some(Lease { started: SystemClock.now(), length })
        });
        let known = match config.tasks.get(&*attempt.task).map(|task| &task.handler) {
            Some(TaskHandler::Worker(_) | TaskHandler::Batch(_)) => Known::Worker(lease),
            Some(TaskHandler::Process(_)) | None => Known::Process(lease),
        };
        self.0.known().insert((attempt.job, attempt.attempt), known);
        match config.tasks.get(&*attempt.task) {
            Some(task) => match &task.handler {
                TaskHandler::Process(process) => self.0.start_process(attempt, task, process),
                TaskHandler::Worker(worker) => self.0.start_worker(attempt, task, worker),
                TaskHandler::Batch(_) => self.0.fail(&attempt, "batches are not run by this version".into()),
            },
            None => {
                // It left while this attempt was on its way here: nothing has run, and the job waits for its return.
                let ending = Ending::Interrupted { reason: "its task is no longer in the config".into() };
                self.0.report(Command::ReportEnded { job: attempt.job, attempt: attempt.attempt, ending });
            }
        }
    }

    fn stop(&self, job: JobId, attempt: u32) {
        self.0.processes.stop(job, attempt, Stop::Cancel);
        if let Some(cancel) = self.0.workers().get(&(job, attempt)) {
            cancel.send_replace(true);
        }
    }

    fn look(&self, job: JobId, attempt: u32) -> Seen {
        self.0.seen(job, attempt, SystemClock.now().awake)
    }

    fn kill(&self, job: JobId, attempt: u32) {
        self.0.processes.stop(job, attempt, Stop::Kill);
        if let Some(cancel) = self.0.workers().get(&(job, attempt)) {
            cancel.send_replace(true);
        }
    }
}

impl Attempts {
    /// What it knows of an attempt; `awake`: the time awake now.
    fn seen(&self, job: JobId, attempt: u32, awake: Duration) -> Seen {
        let Some(Known::Process(lease) | Known::Worker(lease)) = self.known().get(&(job, attempt)).copied() else {
            return Seen::Unknown;
        };
        match lease {
            Some(lease) if awake.saturating_sub(lease.started.awake) > lease.length => {
                Seen::Overdue { since: lease.started.wall + lease.length.saturating_sub(OVERDUE_AFTER) }
            }
            Some(_) | None => Seen::Running,
        }
    }

    /// The engine has been told how the attempt ended, or nobody ever will tell it.
    fn forget(&self, job: JobId, attempt: u32) {
        self.known().remove(&(job, attempt));
    }
}

fn spec(task: &Task, process: &Process) -> Spec {
    Spec {
        program: match &process.action {
            Action::Command(argv) => Program::Command(argv.clone()),
            Action::Shell(text) => Program::Shell(text.clone()),
        },
        cwd: Some(process.cwd.clone()),
        env: process.env.0.clone(),
        umask: (process.umask != UMASK).then_some(process.umask),
        success_exit_codes: process.success_exit_codes.iter().map(|code| i32::from(*code)).collect(),
        timeout: task.timeout,
        grace: task.grace,
        output_max: task.output_max,
        leave_background: process.leave_background,
        stdin: process.stdin.clone(),
        env_file: process.env_file.clone(),
        run_as: process.run_as.clone(),
        user: None,
        nice: process.nice,
        io: process.io,
        limits: process.limits.clone(),
        memory_max: process.memory_max,
        tasks_max: process.tasks_max,
    }
}

fn database(name: &str, all: &Config) -> Result<Database, String> {
    let address = all.databases.get(name).ok_or_else(|| format!("there is no database `{name}` in the config"))?;
    Ok(Database { name: name.to_owned(), address: address.clone() })
}

/// Passes what workers say on to the engine, in order.
pub async fn forward_commands(mut commands: mpsc::UnboundedReceiver<Command>, engine: Handle, attempts: Arc<Attempts>) {
    while let Some(command) = commands.recv().await {
        let over = over(&command);
        if engine.tell(command).await.is_err() {
            break;
        }
        // After the engine has it, and not before: an attempt that is not known here is either over there, or lost.
        over.inspect(|(job, attempt)| attempts.forget(*job, *attempt));
    }
}

/// The attempt whose end a command reports.
fn over(command: &Command) -> Option<(JobId, u32)> {
    if let Command::ReportEnded { job, attempt, .. } = command { Some((*job, *attempt)) } else { None }
}

/// Passes the reports of processes on to the engine, in order.
pub async fn forward_reports(mut reports: mpsc::UnboundedReceiver<Report>, engine: Handle, attempts: Arc<Attempts>) {
    while let Some(report) = reports.recv().await {
        let command = match report {
            Report::Spawned { job, attempt, identity } => {
                let process =
                    event::Process { pid: identity.pid, start_time: identity.start_time, boot_id: identity.boot_id };
                Command::ReportSpawned { job, attempt, process }
            }
            Report::Lost { job, attempt } => {
                tracing::error!(job = job.0, attempt, "what looked after an attempt has panicked; a sweep sees to it");
                attempts.forget(job, attempt);
                continue;
            }
            Report::Ended(ended) => {
                let (job, attempt) = (ended.job.0, ended.attempt);
                tracing::debug!(job, attempt, outcome = ended.outcome.word(), "attempt has ended");
                for note in &ended.notes {
                    tracing::warn!(job, attempt, note, "attempt ended with a note");
                }
                let notes = ended.notes.join("; ");
                let ending = match ended.outcome {
                    Outcome::Succeeded { .. } => {
                        let note = (!notes.is_empty()).then(|| limits::message(notes).into());
                        Ending::Succeeded { result: ended.result.map(Json::trusted), note }
                    }
                    Outcome::Failed { .. } | Outcome::TimedOut { .. } | Outcome::NotStarted { .. } => {
                        let error = ended.outcome.error().unwrap_or_default();
                        let error = if notes.is_empty() { error } else { format!("{error}; {notes}") };
                        Ending::Failed { error: limits::message(error).into() }
                    }
                    Outcome::Cancelled => Ending::Stopped,
                    // Its shim was told so by us, or by an init that ends everybody.
                    Outcome::Interrupted => {
                        Ending::Interrupted { reason: attempts.stopping().unwrap_or("shutdown").into() }
                    }
                    Outcome::Lost { cause } => Ending::Interrupted { reason: limits::message(cause).into() },
                };
                let (job, attempt, bytes) = (ended.job, ended.attempt, ended.output.kept);
                if bytes > 0 && engine.tell(Command::ReportOutput { job, attempt, bytes }).await.is_err() {
                    break;
                }
                Command::ReportEnded { job, attempt, ending }
            }
        };
        let over = over(&command);
        let interrupted = matches!(command, Command::ReportEnded { ending: Ending::Interrupted { .. }, .. });
        let processes = attempts.processes.clone();
        let told = move || {
            // Its end is on disk, so that nobody needs its run file any more.
            if let Some((job, attempt)) = over {
                tokio::task::spawn_blocking(move || processes.forget(job, attempt));
            }
        };
        if engine.tell_then(command, told).await.is_err() {
            break;
        }
        attempts.interrupted.fetch_or(interrupted, Ordering::Relaxed);
        over.inspect(|(job, attempt)| attempts.forget(*job, *attempt));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_a_worker_cannot_read_are_an_error_and_not_left_out() {
        assert_eq!(arguments(&Json::null()), Ok(serde_json::Value::Null));
        let deep = format!("{{\"dry_run\":true,\"n\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for text in [r#"{"dry_run":true,"n":1e999}"#, r#"{"dry_run":true,"n":"\ud800"}"#, &deep] {
            let error = arguments(&Json::trusted(text)).unwrap_err();
            assert!(error.starts_with("failed to read the job's arguments: "), "{text}: {error}");
        }
    }
}
