//! A daemon in memory: a service on some tasks and jobs, with a clock that stands still. Its data are in `data`.

#[allow(dead_code, reason = "each target needs a part of it")]
mod batches;
mod data;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use daybook::control::service::*;
use daybook::control::{Refusal, Service};
use daybook::core::command::AddJob;
use daybook::core::event::{JobCancelled, TaskPaused};
use daybook::core::id::{JobId, Seq, TaskId};
use daybook::core::lifecycle::JobState;
use daybook::core::rejection::Rejection;
use daybook::core::repair::{Door, Finding, Report};
use daybook::core::time::Timestamp;
use daybook::core::view::{JobView, OccurrenceView, Progress};
use daybook::engine::Committed;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use tokio::sync::broadcast;

use data::Inner;
pub use data::{NOW, TASKS, at};

/// Jobs of one page.
const PAGE_ROWS: usize = 1000;

pub struct Fake(Mutex<Inner>);

impl Fake {
    pub fn new() -> Fake {
        Fake(Mutex::new(Inner::new()))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no test has panicked with it")
    }

    /// Ends all answers that follow.
    pub fn close_feed(&self) {
        self.lock().feed = None;
    }

    pub fn set_config_errors(&self, errors: &[&str]) {
        self.lock().config_errors = errors.iter().map(|error| (*error).to_owned()).collect();
    }

    /// The task of a job leaves the config.
    pub fn orphan(&self, job: u64) {
        self.lock().jobs.get_mut(&JobId(job)).expect("the job is there").orphaned = true;
    }

    /// Makes the journal damaged, the status bad, and the health worse.
    pub fn break_it(&self) {
        self.lock().broken = true;
    }

    /// Something happens.
    pub fn pause_backup(&self) {
        self.lock().commit(NOW, vec![TaskPaused { task: TaskId(0) }.into()]);
    }

    /// Another job runs, with a message.
    pub fn run_long(&self, message: &str) {
        self.lock().run_long(message);
    }

    pub fn jobs_len(&self) -> usize {
        self.lock().jobs.len()
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    std::future::ready(value).boxed()
}

impl Service for Fake {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn health(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        ready(if self.lock().broken { Err(Refusal::Gone) } else { Ok(()) })
    }

    fn status(&self) -> BoxFuture<'_, Result<Status, Refusal>> {
        ready(Ok(self.lock().status()))
    }

    fn repair(&self, door: Door, dry_run: bool) -> BoxFuture<'_, Result<Report, Refusal>> {
        let finding = Finding {
            invariant: "interrupted".into(),
            subject: "job 6".into(),
            explanation: "its attempt was cut off by the end of the daemon".into(),
            action: "runs again".into(),
        };
        let (findings, fixed) = (vec![finding], u32::from(!dry_run));
        ready(Ok(Report { at: NOW, door, findings, found: 1, fixed, dry_run, joined: false }))
    }

    fn last_repair(&self) -> BoxFuture<'_, Result<Swept, Refusal>> {
        let report = Report { at: at(-120), door: Door::Timer, ..Report::default() };
        ready(Ok(Swept { report, earlier: None }))
    }

    fn drain(&self, _kill: bool) -> BoxFuture<'_, Result<Drained, Refusal>> {
        let mut inner = self.lock();
        inner.drained = true;
        let ended = inner.jobs.values_mut().filter(|job| job.state == JobState::Running);
        let running = ended.map(|job| job.state = JobState::Interrupted).count() as u64;
        ready(Ok(Drained { running }))
    }

    fn reload(&self, wait: bool) -> BoxFuture<'_, Result<Reloaded, Refusal>> {
        let errors = self.lock().config_errors.clone();
        ready(match errors.is_empty() {
            true => Ok(Reloaded {
                changes: vec!["mail: attempts 5 → 10".into(), "task new added".into()],
                after_restart: vec!["socket /a → /b takes a restart".into()],
                warnings: vec!["daybook.toml:9:7: task.new.cwd: `/nowhere`: not there".into()],
                sweep: wait.then_some(LastSweep { at: NOW, door: Door::Signal, findings: 2, fixed: 1 }),
            }),
            false => Err(Refusal::Config { errors }),
        })
    }

    fn add_one(&self, job: AddJob) -> BoxFuture<'_, Result<Added, Refusal>> {
        ready(self.lock().add(job).map_err(Refusal::from))
    }

    fn add(&self, jobs: Vec<AddJob>) -> BoxFuture<'_, Result<Vec<Result<Added, Rejection>>, Refusal>> {
        let mut inner = self.lock();
        ready(Ok(jobs.into_iter().map(|job| inner.add(job)).collect()))
    }

    fn cancel(&self, job: JobId, reason: Box<str>) -> BoxFuture<'_, Result<(), Refusal>> {
        let mut inner = self.lock();
        let state = match inner.find(job) {
            Ok(view) => view.state,
            Err(refusal) => return ready(Err(refusal)),
        };
        if state.is_finished() {
            return ready(Err(Rejection::AlreadyFinished { job, state }.into()));
        }
        inner.change(job, JobCancelled { job, reason: reason.clone() }, |view| {
            if state != JobState::Running {
                view.state = JobState::Cancelled;
                view.finished_at = Some(NOW);
            }
            view.error = Some(reason);
        });
        ready(Ok(()))
    }

    fn retry(&self, job: JobId) -> BoxFuture<'_, Result<(), Refusal>> {
        let mut inner = self.lock();
        let outcome = match inner.find(job).map(|view| view.state) {
            Err(refusal) => Err(refusal),
            Ok(JobState::Running) => Err(Rejection::AlreadyRunning { job }.into()),
            Ok(_) => {
                inner.jobs.get_mut(&job).expect("was found").state = JobState::Available;
                Ok(())
            }
        };
        ready(outcome)
    }

    fn progress(&self, job: JobId, attempt: Option<u32>, progress: Progress) -> BoxFuture<'_, Result<(), Refusal>> {
        let mut inner = self.lock();
        let outcome = match inner.find(job).map(|view| (view.state, view.attempts)) {
            Err(refusal) => Err(refusal),
            Ok((JobState::Running, attempts)) if attempt.is_none_or(|attempt| attempt == attempts) => {
                inner.jobs.get_mut(&job).expect("was found").progress = progress;
                Ok(())
            }
            Ok((JobState::Running, _)) => Err(Rejection::StaleAttempt { job }.into()),
            Ok((state, _)) => Err(Rejection::NotRunning { job, state }.into()),
        };
        ready(outcome)
    }

    fn job(&self, job: JobId) -> BoxFuture<'_, Result<JobView, Refusal>> {
        ready(self.lock().find(job).cloned())
    }

    fn live_jobs(&self, filter: JobFilter) -> BoxFuture<'_, Result<JobPage, Refusal>> {
        ready(Ok(self.matching(filter, false)))
    }

    fn finished_jobs(&self, filter: JobFilter) -> BoxFuture<'_, Result<JobPage, Refusal>> {
        ready(Ok(self.matching(filter, true)))
    }

    fn why(&self, job: JobId) -> BoxFuture<'_, Result<String, Refusal>> {
        ready(self.lock().find(job).map(|view| format!("because it is {}", view.state)))
    }

    fn output(&self, job: JobId, attempt: Option<u32>, follow: bool) -> BoxFuture<'_, Result<Output, Refusal>> {
        let found = self.lock().find(job).map(|view| view.attempts);
        ready(match found {
            Err(refusal) => Err(refusal),
            Ok(attempts) if attempts == 0 || attempt.is_some_and(|attempt| attempt > attempts) => {
                Err(Refusal::NoOutput { job })
            }
            Ok(attempts) => {
                let first = format!("attempt {} of job {job}\n", attempt.unwrap_or(attempts));
                let second = if follow { "and then some\n" } else { "" };
                Ok(stream::iter([Ok(Bytes::from(first)), Ok(Bytes::from(second))]).boxed())
            }
        })
    }

    fn tasks(&self) -> BoxFuture<'_, Result<Vec<TaskView>, Refusal>> {
        ready(Ok(self.lock().tasks()))
    }

    fn pause(&self, task: Box<str>) -> BoxFuture<'_, Result<(), Refusal>> {
        let mut inner = self.lock();
        ready(match (TASKS.contains(&&*task), inner.paused) {
            (false, _) => Err(Rejection::UnknownTask { task }.into()),
            (true, Some(_)) => Err(Rejection::AlreadyPaused { task }.into()),
            (true, None) => {
                inner.paused = Some(NOW);
                Ok(())
            }
        })
    }

    fn resume(&self, task: Box<str>) -> BoxFuture<'_, Result<(), Refusal>> {
        let mut inner = self.lock();
        ready(match (TASKS.contains(&&*task), inner.paused.take()) {
            (false, _) => Err(Rejection::UnknownTask { task }.into()),
            (true, None) => Err(Rejection::NotPaused { task }.into()),
            (true, Some(_)) => Ok(()),
        })
    }

    fn next(&self, filter: NextFilter) -> BoxFuture<'_, Result<Vec<Coming>, Refusal>> {
        let task = filter.task.unwrap_or_else(|| "backup".into());
        if !TASKS.contains(&&*task) {
            return ready(Err(Rejection::UnknownTask { task }.into()));
        }
        let count = if &*task == "backup" { filter.count } else { 0 };
        let day = Duration::from_secs(86_400);
        let coming = (0..count as u32)
            .map(|n| Coming { task: task.clone(), at: filter.from + Duration::from_secs(52_200) + day * n });
        ready(Ok(coming.collect()))
    }

    fn occurrences(&self, filter: OccurrenceFilter) -> BoxFuture<'_, Result<Vec<OccurrenceView>, Refusal>> {
        if !TASKS.contains(&&*filter.task) {
            return ready(Err(Rejection::UnknownTask { task: filter.task }.into()));
        }
        let rows = data::occurrences(&filter.task);
        let rows = rows.into_iter().filter(|_| &*filter.task == "backup");
        let rows = rows.filter(|row| filter.since.is_none_or(|since| row.at >= since));
        ready(Ok(rows.take(filter.limit).collect()))
    }

    fn task_names(&self) -> BoxFuture<'_, Result<BTreeMap<TaskId, Box<str>>, Refusal>> {
        ready(Ok(TASKS.iter().enumerate().map(|(n, name)| (TaskId(n as u32), Box::from(*name))).collect()))
    }

    fn last_seq(&self) -> BoxFuture<'_, Result<Seq, Refusal>> {
        ready(Ok(Seq(self.lock().commits.len() as u64)))
    }

    fn journal(&self, from: Seq) -> BoxFuture<'_, Result<Commits, Refusal>> {
        let commits: Vec<_> = self.lock().commits.iter().filter(|commit| commit.seq >= from).cloned().map(Ok).collect();
        ready(Ok(stream::iter(commits).boxed()))
    }

    fn journal_begin(&self, job: JobId) -> BoxFuture<'_, Result<Seq, Refusal>> {
        let inner = self.lock();
        let begin = inner.commits.iter().find(|commit| commit.events.iter().any(|event| event.job() == Some(job)));
        ready(Ok(begin.map_or(Seq(1), |commit| commit.seq)))
    }

    fn feed(&self) -> broadcast::Receiver<Arc<Committed>> {
        let mut inner = self.lock();
        let receiver = match &inner.feed {
            Some(feed) => feed.subscribe(),
            None => broadcast::channel(1).1,
        };
        inner.work();
        receiver
    }

    fn verify(&self) -> BoxFuture<'_, Result<Verified, Refusal>> {
        let inner = self.lock();
        let last = inner.commits.len() as u64;
        let problems: Vec<Box<str>> =
            if inner.broken { vec!["commit 7 does not fit the one before".into()] } else { vec![] };
        ready(Ok(Verified {
            ok: problems.is_empty(),
            first: Seq(1),
            last: Seq(last),
            commits: last,
            events: last,
            problems,
        }))
    }
}

impl Fake {
    /// A page, as small as it may be that a list still takes several.
    fn matching(&self, filter: JobFilter, finished: bool) -> JobPage {
        let inner = self.lock();
        let found = inner.jobs.values().rev().filter(|job| job.state.is_finished() == finished);
        let found = found.filter(|job| !filter.orphaned || job.orphaned);
        let found = found.filter(|job| filter.takes(job.id, job.state, &job.task, job.created_at));
        let mut jobs: Vec<JobView> = found.cloned().collect();
        let page = filter.limit.min(PAGE_ROWS);
        let more = jobs.len() > page;
        jobs.truncate(page);
        JobPage { jobs, more }
    }
}
