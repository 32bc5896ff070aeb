//! What the control socket asks for, answered from the engine, the history and the files of outputs.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use tokio::sync::broadcast;

use super::app::Daemon;
use super::verify;
use crate::clock::{Clock, SystemClock};
use crate::config::{Action, Config, Handler, WorkerConfig};
use crate::control::service::*;
use crate::control::{Refusal, Service};
use crate::core::codec;
use crate::core::command::{AddJob, Command};
use crate::core::id::{JobId, Seq, TaskId};
use crate::core::lifecycle::JobState;
use crate::core::projection;
use crate::core::rejection::Rejection;
use crate::core::repair::{self, Door, Report};
use crate::core::state::State;
use crate::core::state::task::Task;
use crate::core::time::Timestamp;
use crate::core::view::{JobView, OccurrenceView, Progress};
use crate::core::why;
use crate::engine::calendar::Calendar;
use crate::engine::{self, Committed};

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Failed(error.to_string())
}

/// Does what blocks on a thread for that.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Refusal> + Send + 'static) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(failed(error)))
}

impl Daemon {
    async fn live_or_finished(&self, id: JobId) -> Result<JobView, Refusal> {
        let look = move |state: &State| state.job(id).and_then(|job| projection::live(state.durable(), job));
        if let Some(view) = self.engine().read(look).await? {
            return Ok(view);
        }
        let archive = self.archive.clone();
        let found = blocking(move || archive.job(id).map_err(failed)).await?;
        found.ok_or(Refusal::Rejected(Rejection::NotFound { job: id }))
    }

    async fn status_now(&self) -> Result<Status, Refusal> {
        let (config, started_at) = (self.config(), self.started_at);
        let mut seen = self.engine().act(move |machine, _| overview(machine.state(), machine.is_draining())).await?;
        if let Some(error) = self.refused() {
            seen.problems.push(format!("the config was refused and the last good one stays: {error}").into());
        }
        let now = SystemClock.now().wall;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            state: if seen.stopping { "stopping" } else { "running" }.into(),
            now,
            started_at,
            uptime: now.since(started_at),
            execution: config.execution,
            seq: seen.seq,
            jobs: seen.jobs,
            tasks: seen.tasks,
            running: seen.running,
            next: seen.next,
            last_sweep: seen.last_sweep,
            problems: seen.problems,
            state_dir: config.state_dir.to_string_lossy().into(),
        })
    }
}

struct Overview {
    seq: Seq,
    stopping: bool,
    jobs: JobCounts,
    tasks: TaskCounts,
    running: Vec<JobView>,
    next: Option<Coming>,
    last_sweep: Option<LastSweep>,
    problems: Vec<Box<str>>,
}

fn overview(state: &State, stopping: bool) -> Overview {
    let index = state.index();
    let mut running: Vec<_> = state.durable().running.iter().collect();
    running.sort_by_key(|(_, running)| running.started);
    let running = running.into_iter().take(RUNNING_SHOWN_MAX).filter_map(|(id, _)| state.job(*id));
    let next = index
        .schedules
        .first()
        .and_then(|(at, task, _)| state.task(*task).map(|task| Coming { task: task.name.clone(), at: *at }));
    let held = index.interrupted.iter().filter_map(|id| state.job(*id)).filter(|job| job.cold.rare().held);
    let mut problems: Vec<Box<str>> = held
        .take(10)
        .map(|job| {
            let why = job.cold.rare().error.as_deref().unwrap_or("held");
            format!("job {0} waits for a person: {why} (`daybook retry {0}` or `daybook cancel {0}`)", job.id).into()
        })
        .collect();
    let orphans = state.tasks().filter(|task| task.removed && index.queues.contains_key(&task.id));
    problems.extend(orphans.take(10).map(|task| {
        format!("task `{}` is no longer in the config, and jobs of it wait for its return", task.name).into()
    }));
    let sweeps = &state.scalars().sweeps;
    let left = sweeps.left.iter().filter(|finding| !told_otherwise(&finding.invariant)).take(10);
    problems.extend(left.map(|it| format!("{}: {} ({})", it.subject, it.explanation, it.action).into()));
    let last_sweep =
        sweeps.last.as_ref().map(|it| LastSweep { at: it.at, door: it.door, findings: it.found, fixed: it.fixed });
    Overview {
        last_sweep,
        seq: state.scalars().seq,
        stopping,
        jobs: JobCounts {
            scheduled: index.in_state(JobState::Scheduled),
            available: index.in_state(JobState::Available),
            running: index.in_state(JobState::Running),
            retryable: index.in_state(JobState::Retryable),
            interrupted: index.in_state(JobState::Interrupted),
        },
        tasks: TaskCounts {
            defined: state.tasks().filter(|task| !task.removed).count() as u64,
            paused: state.tasks().filter(|task| !task.removed && task.paused_at.is_some()).count() as u64,
        },
        running: running.filter_map(|job| projection::live(state.durable(), job)).collect(),
        next,
        problems,
    }
}

/// Whether `status` tells of what breaks this invariant in words of its own, or nobody can do anything about it.
fn told_otherwise(invariant: &str) -> bool {
    [repair::ORPHANED, crate::repair::outputs::LOST].contains(&invariant)
}

fn task_view(state: &State, task: &Task, config: &Config) -> TaskView {
    let handler = match config.tasks.get(&*task.name).map(|task| &task.handler) {
        Some(Handler::Process(process)) => match process.action {
            Action::Command(_) => "command",
            Action::Shell(_) => "shell",
        },
        Some(Handler::Worker(WorkerConfig::PassivateUsers(_))) => "passivate-users",
        Some(Handler::Worker(WorkerConfig::CleanLogs(_))) => "clean-logs",
        None => "none",
    };
    let queue = state.index().queues.get(&task.id);
    TaskView {
        task: task.name.clone(),
        handler: handler.into(),
        schedule: task.policy.schedules.iter().map(|text| text.as_str().into()).collect(),
        timezone: task.policy.timezone.as_str().into(),
        next: task.schedules.iter().filter_map(|place| place.next).min(),
        paused_at: task.paused_at,
        removed: task.removed,
        running: queue.map_or(0, |queue| queue.running.len() as u64),
        waiting: queue.map_or(0, |queue| u64::from(queue.waiting())),
        concurrency: task.policy.concurrency,
        queue_size: task.policy.queue_size,
        priority: task.policy.priority,
        attempts: task.policy.attempts,
    }
}

/// Coming instants of some tasks, soonest first. Only the schedules that are next can have them.
fn coming<'a>(tasks: impl Iterator<Item = &'a Task>, from: Timestamp, count: usize) -> Vec<Coming> {
    let mut calendar = Calendar::default();
    let mut first: Vec<(Timestamp, &Task)> =
        tasks.filter_map(|task| calendar.coming(task, from, 1).first().map(|at| (*at, task))).collect();
    first.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    first.truncate(count);
    let of_task = |(_, task): (Timestamp, &Task)| {
        let name = task.name.clone();
        calendar.coming(task, from, count).into_iter().map(move |at| Coming { task: name.clone(), at })
    };
    let mut all: Vec<Coming> = first.into_iter().flat_map(of_task).collect();
    all.sort_by(|a, b| (a.at, &a.task).cmp(&(b.at, &b.task)));
    all.truncate(count);
    all
}

/// The `limit` matching jobs with the highest numbers, of jobs that come by their end, newest first. Numbers are given
/// in the order of creation, so once all ends lie before the creation of the lowest one taken, none can be higher.
fn highest<E>(jobs: impl Iterator<Item = Result<JobView, E>>, filter: &JobFilter) -> Result<Vec<JobView>, E> {
    let mut seen = BTreeSet::new();
    let mut lowest = BinaryHeap::new();
    let mut taken: BTreeMap<JobId, JobView> = BTreeMap::new();
    for job in jobs {
        let job = job?;
        if taken.len() >= filter.limit
            && let Some((_, first)) = taken.first_key_value()
            && job.finished_at.is_some_and(|end| end < first.created_at)
        {
            break;
        }
        // A job that was retried by hand has ended more than once; its last end counts.
        if !filter.takes(job.id, job.state, &job.task, job.created_at) || !seen.insert(job.id) {
            continue;
        }
        lowest.push(std::cmp::Reverse(job.id));
        taken.insert(job.id, job);
        if taken.len() > filter.limit
            && let Some(std::cmp::Reverse(low)) = lowest.pop()
        {
            taken.remove(&low);
        }
    }
    Ok(taken.into_values().rev().collect())
}

impl Service for Daemon {
    fn now(&self) -> Timestamp {
        SystemClock.now().wall
    }

    fn health(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        async { Ok(self.engine().read(|_| ()).await?) }.boxed()
    }

    fn status(&self) -> BoxFuture<'_, Result<Status, Refusal>> {
        self.status_now().boxed()
    }

    fn repair(&self, door: Door, dry_run: bool) -> BoxFuture<'_, Result<Report, Refusal>> {
        let repair = async move {
            let report = self.sweeper().sweep(door, dry_run).await?;
            if !dry_run {
                self.ask_for_retention();
            }
            Ok(report)
        };
        repair.boxed()
    }

    fn last_repair(&self) -> BoxFuture<'_, Result<Swept, Refusal>> {
        let last = async {
            self.sweeper().wait().await;
            let sweeps = self.engine().read(|state| state.scalars().sweeps.clone()).await?;
            let report = sweeps.last.clone().unwrap_or_default();
            let earlier = sweeps.earlier.clone().filter(|_| report.found == 0);
            Ok(Swept { report, earlier })
        };
        last.boxed()
    }

    fn reload(&self) -> BoxFuture<'_, Result<Vec<String>, Refusal>> {
        let reload = async {
            let lines = |errors: crate::config::Errors| errors.to_string().lines().map(str::to_owned).collect();
            Daemon::reload(self).await.map_err(|errors| Refusal::Config { errors: lines(errors) })
        };
        reload.boxed()
    }

    fn add_one(&self, job: AddJob) -> BoxFuture<'_, Result<Added, Refusal>> {
        let add = async {
            let (id, created) = self.engine().act(move |machine, lookup| machine.add(job, lookup)).await??;
            Ok(Added { id, created })
        };
        add.boxed()
    }

    fn add(&self, jobs: Vec<AddJob>) -> BoxFuture<'_, Result<Vec<Result<Added, Rejection>>, Refusal>> {
        let add = async {
            let added = self.engine().add(jobs).await?;
            Ok(added.into_iter().map(|one| one.map(|(id, created)| Added { id, created })).collect())
        };
        add.boxed()
    }

    fn cancel(&self, job: JobId, reason: Box<str>) -> BoxFuture<'_, Result<(), Refusal>> {
        let cancel = async move {
            match self.engine().ask(Command::CancelJob { job, reason }).await {
                Ok(_) => Ok(()),
                Err(engine::Refusal::Rejected(Rejection::NotFound { .. })) => {
                    let view = self.live_or_finished(job).await?;
                    Err(Rejection::AlreadyFinished { job, state: view.state }.into())
                }
                Err(refusal) => Err(refusal.into()),
            }
        };
        cancel.boxed()
    }

    fn retry(&self, job: JobId) -> BoxFuture<'_, Result<(), Refusal>> {
        async move { Ok(self.engine().retry(job).await.map(|_| ())?) }.boxed()
    }

    fn progress(&self, job: JobId, attempt: Option<u32>, progress: Progress) -> BoxFuture<'_, Result<(), Refusal>> {
        let command = Command::ReportProgress { job, attempt, progress };
        let report = async move {
            match self.engine().ask(command).await {
                Ok(_) => Ok(()),
                Err(engine::Refusal::Rejected(Rejection::NotFound { .. })) => {
                    let view = self.live_or_finished(job).await?;
                    Err(Rejection::NotRunning { job, state: view.state }.into())
                }
                Err(refusal) => Err(refusal.into()),
            }
        };
        report.boxed()
    }

    fn job(&self, job: JobId) -> BoxFuture<'_, Result<JobView, Refusal>> {
        self.live_or_finished(job).boxed()
    }

    fn live_jobs(&self, filter: JobFilter) -> BoxFuture<'_, Result<Vec<JobView>, Refusal>> {
        let list = async move {
            let picture = self.engine().picture().await?;
            let scan = move || {
                let task = |id| picture.tasks.get(&id).map_or("", |task| &*task.name);
                let before = filter.before.unwrap_or(JobId(u64::MAX));
                let jobs = picture.jobs.before(before);
                let jobs = jobs.filter(|job| filter.takes(job.id, job.state, task(job.task), job.cold.created));
                Ok(jobs.take(filter.limit).filter_map(|job| projection::live(&picture, job)).collect())
            };
            blocking(scan).await
        };
        list.boxed()
    }

    fn finished_jobs(&self, filter: JobFilter) -> BoxFuture<'_, Result<Vec<JobView>, Refusal>> {
        let archive = self.archive.clone();
        blocking(move || highest(archive.jobs(filter.since), &filter).map_err(failed)).boxed()
    }

    fn why(&self, job: JobId) -> BoxFuture<'_, Result<String, Refusal>> {
        let why = async move {
            let now = SystemClock.now().wall;
            let live = self.engine().act(move |machine, _| {
                let state = machine.state();
                state.job(job).map(|found| why::live(state, found, now, machine.execution()))
            });
            match live.await? {
                Some(why) => Ok(why),
                None => Ok(why::finished(&self.live_or_finished(job).await?)),
            }
        };
        why.boxed()
    }

    fn output(&self, job: JobId, attempt: Option<u32>, follow: bool) -> BoxFuture<'_, Result<Output, Refusal>> {
        let output = async move {
            let outputs = self.outputs.clone();
            let newest = blocking(move || outputs.latest(job).map_err(failed)).await?;
            // The output of a job may outlive it in the history; and an attempt that has printed nothing has no file.
            let started = match self.live_or_finished(job).await {
                Ok(view) => view.attempts,
                Err(unknown) => newest.ok_or(unknown)?,
            };
            let last = started.max(newest.unwrap_or(0));
            let attempt = attempt.unwrap_or(last);
            if !(1..=last).contains(&attempt) {
                return Err(Refusal::NoOutput { job });
            }
            let mut pieces = self.outputs.follow(job, attempt, 0);
            if !follow {
                pieces = pieces.only_what_is_there();
            }
            let pieces = stream::try_unfold(pieces, |mut pieces| async move {
                let piece = pieces.next().await.map_err(std::io::Error::other)?;
                Ok(piece.map(|piece| (Bytes::from(piece), pieces)))
            });
            Ok(pieces.boxed())
        };
        output.boxed()
    }

    fn tasks(&self) -> BoxFuture<'_, Result<Vec<TaskView>, Refusal>> {
        let config = self.config();
        let tasks = async move {
            let look = move |state: &State| {
                let shown = state.index().names.values().filter_map(|id| state.task(*id));
                let shown = shown.filter(|task| !task.removed || state.index().queues.contains_key(&task.id));
                shown.map(|task| task_view(state, task, &config)).collect()
            };
            Ok(self.engine().read(look).await?)
        };
        tasks.boxed()
    }

    fn pause(&self, task: Box<str>) -> BoxFuture<'_, Result<(), Refusal>> {
        async { Ok(self.engine().ask(Command::PauseTask { task }).await.map(|_| ())?) }.boxed()
    }

    fn resume(&self, task: Box<str>) -> BoxFuture<'_, Result<(), Refusal>> {
        async { Ok(self.engine().ask(Command::ResumeTask { task }).await.map(|_| ())?) }.boxed()
    }

    fn next(&self, filter: NextFilter) -> BoxFuture<'_, Result<Vec<Coming>, Refusal>> {
        let next = async move {
            let picture = self.engine().picture().await?;
            let look = move || {
                let NextFilter { task: name, from, count } = filter;
                let active = picture.tasks.values().filter(|task| !task.removed);
                match name {
                    None => Ok(coming(active.map(|task| &**task).filter(|task| task.is_active()), from, count)),
                    Some(name) => match active.map(|task| &**task).find(|task| task.name == name) {
                        Some(task) => Ok(coming(std::iter::once(task), from, count)),
                        None => Err(Rejection::UnknownTask { task: name }.into()),
                    },
                }
            };
            blocking(look).await
        };
        next.boxed()
    }

    fn occurrences(&self, filter: OccurrenceFilter) -> BoxFuture<'_, Result<Vec<OccurrenceView>, Refusal>> {
        let list = async move {
            let name = filter.task.clone();
            if !self.engine().read(move |state| state.task_named(&name).is_some()).await? {
                return Err(Rejection::UnknownTask { task: filter.task }.into());
            }
            let archive = self.archive.clone();
            let scan = move || {
                let rows = archive.occurrences(&filter.task, filter.since);
                let wanted = rows
                    .filter(|row| row.as_ref().map_or(true, |row| filter.since.is_none_or(|since| row.at >= since)));
                wanted.take(filter.limit).collect::<Result<_, _>>().map_err(failed)
            };
            blocking(scan).await
        };
        list.boxed()
    }

    fn task_names(&self) -> BoxFuture<'_, Result<BTreeMap<TaskId, Box<str>>, Refusal>> {
        let names = |state: &State| state.tasks().map(|task| (task.id, task.name.clone())).collect();
        async move { Ok(self.engine().read(names).await?) }.boxed()
    }

    fn last_seq(&self) -> BoxFuture<'_, Result<Seq, Refusal>> {
        async { Ok(self.engine().read(|state| state.scalars().seq).await?) }.boxed()
    }

    fn journal(&self, from: Seq) -> BoxFuture<'_, Result<Commits, Refusal>> {
        let reader = self.journal.clone();
        let (sender, receiver) = tokio::sync::mpsc::channel(64);
        // The reader ends when the one who asked has gone.
        tokio::task::spawn_blocking(move || {
            for commit in reader.read(from.max(reader.first())) {
                let commit = commit.map_err(failed).and_then(|commit| {
                    let events = codec::events(&commit.payload).map_err(failed)?;
                    Ok(Arc::new(Committed { seq: commit.seq, at: commit.at, events }))
                });
                if sender.blocking_send(commit).is_err() {
                    break;
                }
            }
        });
        async { Ok(tokio_stream::wrappers::ReceiverStream::new(receiver).boxed()) }.boxed()
    }

    fn feed(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.engine().feed()
    }

    fn verify(&self) -> BoxFuture<'_, Result<Verified, Refusal>> {
        let verify = async move {
            let last = self.last_seq().await?;
            let (reader, upkeep, archive) = (self.journal.clone(), self.upkeep(), self.archive.clone());
            blocking(move || verify::verify(&*reader, &*upkeep, &archive, last).map_err(failed)).await
        };
        verify.boxed()
    }
}
