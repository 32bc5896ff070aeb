//! What the control socket asks for, answered from the engine, the history and the files of outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use tokio::sync::broadcast;

use super::app::{Daemon, NotReloaded};
use super::{begin, lists, verify};
use crate::clock::{Clock, SystemClock};
use crate::config::{Action, Config, Handler, WorkerConfig};
use crate::control::service::*;
use crate::control::{Refusal, Service};
use crate::core::codec;
use crate::core::command::{AddJob, Command};
use crate::core::id::{JobId, Seq, TaskId};
use crate::core::projection;
use crate::core::rejection::Rejection;
use crate::core::repair::{Door, Report};
use crate::core::state::State;
use crate::core::state::task::Task;
use crate::core::time::Timestamp;
use crate::core::view::{JobView, OccurrenceView, Progress};
use crate::core::why;
use crate::engine::calendar::Calendar;
use crate::engine::{self, Committed};

pub(super) fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Failed(error.to_string())
}

/// Does what blocks on a thread for that.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
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
}

fn task_view(state: &State, task: &Task, config: &Config) -> TaskView {
    let handler = match config.tasks.get(&*task.name).map(|task| &task.handler) {
        Some(Handler::Process(process)) => match process.action {
            Action::Command(_) => "command",
            Action::Shell(_) => "shell",
        },
        Some(Handler::Worker(WorkerConfig::PassivateUsers(_))) => "passivate-users",
        Some(Handler::Worker(WorkerConfig::CleanLogs(_))) => "clean-logs",
        Some(Handler::Worker(WorkerConfig::Sql(_))) => "sql",
        Some(Handler::Worker(WorkerConfig::Http(_))) => "http",
        Some(Handler::Batch(_)) => "batch",
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

    fn reload(&self, wait: bool) -> BoxFuture<'_, Result<Reloaded, Refusal>> {
        let reload = async move {
            let reloaded = match wait {
                true => self.reload_and_sweep().await,
                false => {
                    let reloaded = Daemon::reload(self).await;
                    self.ask_for_retention();
                    self.ask_for_sweep();
                    reloaded
                }
            };
            reloaded.map_err(|refused| match refused {
                NotReloaded::Config(errors) => Refusal::Config { errors: errors.lines() },
                NotReloaded::Gone => Refusal::Gone,
            })
        };
        reload.boxed()
    }

    fn drain(&self, kill: bool) -> BoxFuture<'_, Result<Drained, Refusal>> {
        async move { Ok(Drained { running: self.cordon(kill).await? }) }.boxed()
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

    fn live_jobs(&self, filter: JobFilter) -> BoxFuture<'_, Result<JobPage, Refusal>> {
        let list = async move {
            let picture = self.engine().picture().await?;
            blocking(move || Ok(lists::live(&picture, &filter))).await
        };
        list.boxed()
    }

    fn finished_jobs(&self, filter: JobFilter) -> BoxFuture<'_, Result<JobPage, Refusal>> {
        let archive = self.archive.clone();
        let list = move || {
            let ended = archive.jobs(filter.since).map(|one| one.map(|one| (one.job, one.at, move || one.view())));
            lists::highest(ended, &filter).map_err(failed)
        };
        blocking(list).boxed()
    }

    fn why(&self, job: JobId) -> BoxFuture<'_, Result<String, Refusal>> {
        let why = async move {
            let now = SystemClock.now().wall;
            let attempts = self.attempts().clone();
            let live = self.engine().act(move |machine, _| {
                let state = machine.state();
                state.job(job).map(|found| {
                    let rests = attempts.rests(job, found.attempts, now);
                    why::live(state, found, now, machine.begins(), rests.as_deref())
                })
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

    fn journal_begin(&self, job: JobId) -> BoxFuture<'_, Result<Seq, Refusal>> {
        let reader = self.journal.clone();
        blocking(move || begin::of(&*reader, job).map_err(failed)).boxed()
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
