//! Batches: which handler their items have, and what looks after calls that belong to no run: of items handled ahead of
//! their turn, and of an earlier daemon. How a run goes is in `daemon::batch`.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::{oneshot, watch};

use super::attempts::{Attempts, Known};
use super::process::spec;
use super::worker::database;
use crate::clock::{Clock, SystemClock};
use crate::config::{Batch, Each as EachConfig, Handler, Task, WorkerConfig};
use crate::core::command::{Command, Ending, ItemOrder, ItemOutcome};
use crate::core::effect::{AdvanceItem, StartAttempt};
use crate::core::id::JobId;
use crate::core::limits;
use crate::core::policy::BatchPolicy;
use crate::core::state::State;
use crate::daemon::batch::{
    Call, Each, End, Finish, Orders, PANICKED, Pace, Run, Window, answers, not_understood, read, report,
};
use crate::exec::{Earlier, Ended, Lines, Outcome, Report, Spec, Start, Stop};
use crate::shim::Stdin;
use crate::workers::{self, Cancelled, Worker};

/// Bytes of what one item's process prints that go into the output of the batch.
const ITEM_OUTPUT_BYTES: usize = 2048;

/// Why items failed of whose process nobody knows how it ended.
const UNKNOWN: &str = "what looked after its process failed; this is a bug, and the daemon's log says where";

/// Where lines about items go: the output of the batch's attempt, where there is one.
type Log = Option<Arc<Lines>>;

impl Attempts {
    pub(super) fn start_batch(self: &Arc<Self>, attempt: StartAttempt, task: &Task, batch: &Batch) {
        let cancel = watch::Sender::new(false);
        let window = batch.hours.map(|hours| Window::new(hours, &task.policy.timezone));
        self.know(
            &attempt,
            Known { cancel: Some(cancel.clone()), is_batch: true, window: window.clone(), ..Known::default() },
        );
        let (this, task, batch) = (self.clone(), task.clone(), batch.clone());
        tokio::spawn(async move {
            let run =
                AssertUnwindSafe(this.run_batch(&attempt, &task, &batch, window, cancel.subscribe())).catch_unwind();
            tokio::pin!(run);
            let ending = match tokio::time::timeout(task.timeout.unwrap_or(limits::DURATION_MAX), &mut run).await {
                Ok(Ok(ending)) => ending,
                // What it had under way a sweep gives back.
                Ok(Err(_panic)) => {
                    let error = "its run panicked; this is a bug, and the daemon's log says where".into();
                    Some(Ending::Failed { error })
                }
                Err(_) => {
                    cancel.send_replace(true);
                    let timeout = humantime::format_duration(task.timeout.unwrap_or_default());
                    let error = format!("timed out after {timeout}").into();
                    run.await.unwrap_or_default().map(|_| Ending::Failed { error })
                }
            };
            let (outputs, job, number) = (this.outputs.clone(), attempt.job, attempt.attempt);
            let bytes = tokio::task::spawn_blocking(move || outputs.size(job, number)).await.unwrap_or(0);
            match ending {
                // The core has ended it, with what is known of its items.
                None => this.forget(job, number),
                Some(ending) => {
                    if bytes > 0 {
                        this.report(Command::ReportOutput { job, attempt: number, bytes });
                    }
                    this.report(Command::ReportEnded { job, attempt: number, ending });
                }
            }
        });
    }

    /// How a run ended; none if the core has ended it.
    async fn run_batch(
        self: &Arc<Self>,
        attempt: &StartAttempt,
        task: &Task,
        batch: &Batch,
        window: Option<Window>,
        cancel: watch::Receiver<bool>,
    ) -> Option<Ending> {
        let failed = |error: String| Some(Ending::Failed { error: limits::message(error).into() });
        let (job, number) = (attempt.job, attempt.attempt);
        let policy = policy(task);
        let orders = Arc::new(orders(job, &attempt.task, &attempt.args, &policy));
        let look = move |state: &State| {
            state.batch(job).map_or((false, 0, 0), |it| (it.loaded, it.flights.len() as u32, it.last_run))
        };
        let Ok((is_loaded, others, last_run)) = self.engine.read(look).await else { return None };
        self.known().get_mut(&(job, number)).into_iter().for_each(|known| known.calls_from = Some(last_run + 1));
        if !is_loaded {
            let mut stop = cancel.clone();
            let (config, args) = (self.config(), named(orders.args()));
            let read = tokio::select! {
                read = read(&self.engine, (job, number), &batch.source, &args, &config) => read,
                _ = stop.wait_for(|stop| *stop) => return Some(self.stopped(job, number)),
            };
            if let Err(error) = read {
                return failed(error.to_string());
            }
        }
        let log = match Lines::begin(&self.outputs, job, number, task.output_max) {
            Ok(lines) => Some(Arc::new(lines)),
            Err(error) => return failed(error.to_string()),
        };
        let each = match self.each(task, batch, log) {
            Ok(each) => each,
            Err(error) => return failed(error),
        };
        let clock = Arc::new(SystemClock);
        let run = Run {
            engine: self.engine.clone(),
            pace: Pace::new(batch.rate, window, policy.chunk, clock.now()),
            clock,
            orders,
            attempt: number,
            each,
            concurrency: batch.concurrency,
            chunk: policy.chunk,
            others,
            cancel,
        };
        match run.run(|| self.finish(job, number)).await {
            End::Over => None,
            End::Stopped => Some(self.stopped(job, number)),
        }
    }

    /// How the calls of a run end that is asked to end.
    fn finish(&self, job: JobId, attempt: u32) -> Finish {
        let by_itself = self.known().get(&(job, attempt)).is_some_and(|known| known.by_itself);
        match (self.daemon_ends.load(Ordering::Relaxed), by_itself) {
            (true, _) => Finish::WithDaemon,
            (false, true) => Finish::ByItself,
            (false, false) => Finish::Told,
        }
    }

    fn stopped(&self, job: JobId, attempt: u32) -> Ending {
        match self.told(job, attempt) {
            Some(why) => Ending::Interrupted { reason: why.into(), suspect: false },
            None => Ending::Stopped,
        }
    }

    fn each(self: &Arc<Self>, task: &Task, batch: &Batch, log: Log) -> Result<Arc<dyn Each>, String> {
        Ok(match &batch.each {
            EachConfig::Process(process) => {
                let spec = Spec { timeout: Some(batch.timeout), ..spec(task, process) };
                Arc::new(Processes { attempts: self.clone(), spec: Arc::new(spec), log })
            }
            EachConfig::Worker(config) => {
                let (worker, names) = match config {
                    WorkerConfig::Sql(sql) => {
                        let database = database(&sql.database, &self.config())?;
                        let names = sql.names(database.kind().map_err(|error| error.to_string())?);
                        (sql.clone().worker_of_items(database, batch.concurrency as usize), Some(names))
                    }
                    other => (self.worker(other)?, None),
                };
                let (timeout, state_dir) = (batch.timeout, self.config().state_dir.clone());
                Arc::new(Workers { worker, names, timeout, state_dir, stop: watch::Sender::new(false) })
            }
        })
    }

    /// Handles an item ahead of its turn.
    pub(super) fn advance(self: &Arc<Self>, advance: AdvanceItem) {
        let AdvanceItem { job, task: name, args, run, item } = advance;
        let config = self.config();
        let task = config.tasks.get(&*name);
        let each = match task.map(|task| (task, &task.handler)) {
            Some((task, Handler::Batch(batch))) => self.each(task, batch, None).map(|each| (each, policy(task))),
            Some(_) | None => Err(format!("task `{name}` handles no items any more")),
        };
        let (this, items) = (self.clone(), vec![item]);
        self.look_after(job, run);
        tokio::spawn(async move {
            let places = items.iter().map(|item| item.place).collect();
            match each {
                Ok((each, policy)) => {
                    let orders = Arc::new(orders(job, &name, &args, &policy));
                    let call = Call { orders, run, items, is_chunk: policy.chunk > 1 };
                    let panicked = call.failed(PANICKED);
                    let handled = AssertUnwindSafe(each.handle(call)).catch_unwind().await;
                    let outcomes = handled.unwrap_or(panicked);
                    if report(&this.engine, job, run, places, outcomes).await {
                        each.forget(job, run);
                    }
                }
                Err(error) => {
                    let outcomes = vec![ItemOutcome::Failed { error: limits::message(error).into() }];
                    report(&this.engine, job, run, places, outcomes).await;
                }
            }
            this.is_over(job, run);
        });
    }

    /// Takes over a call for items of an earlier daemon, which goes on or has ended.
    pub fn adopt_call(self: &Arc<Self>, earlier: Earlier, items: Vec<ItemOrder>) {
        let (this, job, run) = (self.clone(), earlier.job, earlier.attempt);
        let ended = self.await_call(job, run);
        self.look_after(job, run);
        self.processes.adopt(earlier);
        tokio::spawn(async move {
            let outcomes = match ended.await {
                Ok(ended) => this.came_to(&ended, &items, items.len() > 1, &None).await,
                Err(_) => vec![ItemOutcome::Failed { error: UNKNOWN.into() }; items.len()],
            };
            if report(&this.engine, job, run, items.iter().map(|item| item.place).collect(), outcomes).await {
                this.forget_call(job, run);
            }
            this.is_over(job, run);
        });
    }

    /// A handling of items begins that belongs to no run.
    fn look_after(&self, job: JobId, run: u32) {
        self.lone_calls.lock().unwrap_or_else(PoisonError::into_inner).insert((job, run));
    }

    fn is_over(&self, job: JobId, run: u32) {
        self.lone_calls.lock().unwrap_or_else(PoisonError::into_inner).remove(&(job, run));
    }

    /// Ends what handles items of a batch that is cancelled, also what its run knows nothing of: that of an earlier
    /// daemon, and what is ahead of its turn.
    pub(super) fn stop_calls(&self, batch: JobId) {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        for (job, run) in calls.keys().filter(|(job, _)| *job == batch) {
            self.processes.stop(*job, *run, Stop::Cancel);
        }
    }

    fn await_call(&self, job: JobId, run: u32) -> oneshot::Receiver<Ended> {
        let (tell, told) = oneshot::channel();
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).insert((job, run), tell);
        told
    }

    fn forget_call(&self, job: JobId, run: u32) {
        let processes = self.processes.clone();
        tokio::task::spawn_blocking(move || processes.forget(job, run));
    }

    /// Hands a report about a call for items to whoever waits for it; any other is given back.
    pub(super) fn take_call(&self, report: Report) -> Option<Report> {
        let (job, attempt) = match &report {
            Report::Spawned { job, attempt, .. } | Report::Lost { job, attempt } => (*job, *attempt),
            Report::Ended(ended) => (ended.job, ended.attempt),
        };
        if attempt < limits::FIRST_RUN {
            return Some(report);
        }
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        match report {
            Report::Spawned { .. } => {}
            // Whoever waits finds that nobody will tell.
            Report::Lost { .. } => drop(calls.remove(&(job, attempt))),
            Report::Ended(ended) => {
                if let Some(tell) = calls.remove(&(job, attempt)) {
                    // The run may have been told to leave it to the next daemon.
                    let _: Result<(), Ended> = tell.send(ended);
                }
            }
        }
        None
    }

    /// What became of the items of a call that was a process.
    async fn came_to(&self, ended: &Ended, items: &[ItemOrder], is_chunk: bool, log: &Log) -> Vec<ItemOutcome> {
        let printed = match ended.output.kept {
            0 => String::new(),
            _ => {
                let (outputs, job, run) = (self.outputs.clone(), ended.job, ended.attempt);
                let take = move || outputs.take(job, run, ITEM_OUTPUT_BYTES);
                tokio::task::spawn_blocking(take).await.unwrap_or_default()
            }
        };
        if let (Some(log), Some(first)) = (log, items.first()) {
            printed.lines().for_each(|line| log.write(&format!("{}: {line}", first.text)));
        }
        match &ended.outcome {
            Outcome::Succeeded { .. } => {
                let result = ended.result.as_deref().and_then(|result| serde_json::from_str::<Value>(result).ok());
                match ended.lost_result().filter(|_| is_chunk) {
                    Some(why) => vec![ItemOutcome::Failed { error: not_understood(why).into() }; items.len()],
                    None => answers(items, is_chunk, result.as_ref()),
                }
            }
            Outcome::Cancelled | Outcome::Interrupted => vec![ItemOutcome::Returned; items.len()],
            // A handler that kills its shim each time would otherwise be called without an end.
            Outcome::Lost { .. } | Outcome::Failed { .. } | Outcome::TimedOut { .. } | Outcome::NotStarted { .. } => {
                let error = ended.outcome.error().unwrap_or_default();
                let error = match printed.lines().rev().find(|line| !line.trim().is_empty()) {
                    Some(last) => format!("{error}: {last}"),
                    None => error,
                };
                vec![ItemOutcome::Failed { error: error.into() }; items.len()]
            }
        }
    }
}

fn policy(task: &Task) -> BatchPolicy {
    task.policy.batch.clone().unwrap_or_default()
}

fn orders(job: JobId, task: &str, args: &crate::core::json::Json, policy: &BatchPolicy) -> Orders {
    let only = if let [only] = &policy.ops[..] { Some(only.as_str()) } else { None };
    Orders::of(job, task, args, only)
}

/// Handles items by a process for each call, which goes on when the daemon ends.
struct Processes {
    attempts: Arc<Attempts>,
    spec: Arc<Spec>,
    log: Log,
}

impl Each for Processes {
    fn handle(&self, call: Call) -> BoxFuture<'static, Vec<ItemOutcome>> {
        let (attempts, log) = (self.attempts.clone(), self.log.clone());
        let start = start(&call, &self.spec);
        let handle = async move {
            let ended = attempts.await_call(call.orders.job, call.run);
            attempts.processes.start(start);
            match ended.await {
                Ok(ended) => attempts.came_to(&ended, &call.items, call.is_chunk, &log).await,
                Err(_) => call.failed(UNKNOWN),
            }
        };
        handle.boxed()
    }

    fn stop(&self, job: JobId, run: u32) {
        self.attempts.processes.stop(job, run, Stop::Cancel);
    }

    fn outlives(&self) -> bool {
        true
    }

    fn forget(&self, job: JobId, run: u32) {
        self.attempts.forget_call(job, run);
    }
}

/// A process for one call. A chunk stands on its standard input, one JSON value a line.
fn start(call: &Call, spec: &Arc<Spec>) -> Start {
    let mut args = call.args();
    let mut about = BTreeMap::new();
    let mut spec = spec.clone();
    if let Some(op) = &call.orders.op {
        about.insert("DAYBOOK_OP", op.to_string());
    }
    match args.as_object_mut().and_then(|args| args.remove("items")) {
        Some(Value::Array(items)) => {
            let lines = items.iter().map(|item| format!("{item}\n")).collect();
            Arc::make_mut(&mut spec).stdin = Stdin::Text(lines);
        }
        Some(_) | None => {
            about.insert("DAYBOOK_ITEM", call.items.iter().map(|item| item.text.to_string()).collect());
        }
    }
    let attempt = call.items.iter().map(|item| item.attempt).max().unwrap_or(1);
    about.insert("DAYBOOK_ATTEMPT", attempt.to_string());
    about.insert("DAYBOOK_RUN", call.run.to_string());
    Start {
        job: call.orders.job,
        attempt: call.run,
        task: call.orders.task.to_string(),
        args: args.to_string(),
        scheduled_at: None,
        spec,
        about,
    }
}

/// Handles items inside of the daemon: by statements, or requests.
struct Workers {
    worker: Arc<dyn Worker>,
    /// The arguments that statements name: a worker refuses any other, as a job's may be mistyped.
    names: Option<BTreeSet<String>>,
    timeout: Duration,
    state_dir: std::path::PathBuf,
    /// Ends all calls.
    stop: watch::Sender<bool>,
}

impl Each for Workers {
    fn handle(&self, call: Call) -> BoxFuture<'static, Vec<ItemOutcome>> {
        let (worker, timeout, mut stop) = (self.worker.clone(), self.timeout, self.stop.subscribe());
        let mut args = named(call.args());
        if let (Some(names), Some(args)) = (&self.names, args.as_object_mut()) {
            args.retain(|name, _| names.contains(name));
        }
        let context = workers::Context {
            job: call.orders.job,
            attempt: call.items.iter().map(|item| u32::from(item.attempt)).max().unwrap_or(1),
            args,
            now: SystemClock.now().wall,
            progress: Arc::new(|_, _, _| ()),
            // A line for each of a million items is none for a person.
            log: Arc::new(|_| ()),
            state_dir: self.state_dir.clone(),
            timeout: Some(timeout),
            cancelled: Cancelled::new(self.stop.subscribe()),
        };
        let handle = async move {
            let run = worker.run(context);
            let ended = tokio::select! {
                ended = tokio::time::timeout(timeout, run) => ended,
                // Dropped, it has done nothing, or nobody knows: it is handled again.
                _ = stop.wait_for(|stop| *stop) => return call.all(ItemOutcome::Returned),
            };
            match ended {
                Err(_) => call.failed(format!("timed out after {}", humantime::format_duration(timeout))),
                Ok(Ok(result)) => answers(&call.items, call.is_chunk, Some(&result)),
                Ok(Err(workers::Error::Cancelled { .. })) => call.all(ItemOutcome::Returned),
                Ok(Err(error)) => call.failed(error.to_string()),
            }
        };
        handle.boxed()
    }

    fn stop(&self, _job: JobId, _run: u32) {
        self.stop.send_replace(true);
    }
}

/// With the parameters, and the fields of an item that is JSON, also beside them: where statements and addresses look for
/// names. The parameters go first.
fn named(mut args: Value) -> Value {
    let fields = ["params", "item"].map(|of| args.get(of).and_then(Value::as_object).cloned().unwrap_or_default());
    if let Some(args) = args.as_object_mut() {
        for (name, value) in fields.into_iter().flatten() {
            args.entry(name).or_insert(value);
        }
    }
    args
}
