//! A daemon in memory: some tasks, some jobs, a clock that stands still.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use daybook::control::service::*;
use daybook::control::{Refusal, Service};
use daybook::core::command::{AddJob, When};
use daybook::core::event::{Event, JobAdded, JobCancelled, JobCompleted, JobProgressed, TaskDefined, TaskPaused};
use daybook::core::id::{JobId, Seq, TaskId};
use daybook::core::json::Json;
use daybook::core::lifecycle::JobState;
use daybook::core::rejection::Rejection;
use daybook::core::repair::{Door, Finding, Report};
use daybook::core::time::Timestamp;
use daybook::core::view::{JobView, OccurrenceView, Outcome, Progress};
use daybook::engine::Committed;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use tokio::sync::broadcast;

/// 2026-11-21T12:00:00Z, for ever.
pub const NOW: Timestamp = Timestamp(1_795_262_400_000);

pub const TASKS: [&str; 4] = ["backup", "full", "mail", "quick"];

pub struct Fake(Mutex<Inner>);

struct Inner {
    jobs: BTreeMap<JobId, JobView>,
    paused: Option<Timestamp>,
    commits: Vec<Arc<Committed>>,
    feed: Option<broadcast::Sender<Arc<Committed>>>,
    config_errors: Vec<String>,
    broken: bool,
}

/// An instant so many seconds from now.
pub fn at(seconds: i64) -> Timestamp {
    NOW.shifted(seconds * 1000)
}

fn job(id: u64, task: &str, state: JobState) -> JobView {
    JobView {
        id: JobId(id),
        task: task.into(),
        state,
        attempts: 1,
        priority: 5,
        key: None,
        args: Json::null(),
        progress: Progress::default(),
        result: None,
        error: None,
        output_bytes: 0,
        scheduled_at: None,
        created_at: at(-7200),
        due_at: at(-7200),
        started_at: Some(at(-600)),
        finished_at: None,
    }
}

fn jobs() -> Vec<JobView> {
    vec![
        JobView {
            scheduled_at: Some(at(-7200)),
            result: Some(Json::parse(r#"{"files":17}"#).expect("is JSON")),
            finished_at: Some(at(-480)),
            ..job(1, "backup", JobState::Completed)
        },
        JobView {
            attempts: 5,
            error: Some("exit code 3".into()),
            finished_at: Some(at(-300)),
            ..job(2, "mail", JobState::Discarded)
        },
        JobView {
            args: Json::parse(r#"{"to":"ada"}"#).expect("is JSON"),
            key: Some("ada-1".into()),
            progress: Progress { current: 3, total: 10, message: "sending".into() },
            ..job(3, "mail", JobState::Running)
        },
        JobView { attempts: 0, started_at: None, due_at: at(10_800), ..job(4, "mail", JobState::Scheduled) },
        JobView {
            attempts: 2,
            error: Some("timed out after 5m".into()),
            due_at: at(240),
            ..job(5, "mail", JobState::Retryable)
        },
        JobView { error: Some("the daemon died".into()), ..job(6, "backup", JobState::Interrupted) },
        JobView {
            attempts: 0,
            started_at: None,
            created_at: at(-30),
            due_at: at(-30),
            ..job(7, "mail", JobState::Available)
        },
    ]
}

fn added(view: &JobView) -> Event {
    let task = TASKS.iter().position(|name| **name == *view.task).unwrap_or(0) as u32;
    Event::from(JobAdded {
        job: view.id,
        task: TaskId(task),
        priority: view.priority,
        due: view.due_at,
        relative: false,
        key: view.key.clone(),
        args: view.args.clone(),
        occurrence: None,
    })
}

impl Inner {
    fn commit(&mut self, at: Timestamp, events: Vec<Event>) {
        let commit = Arc::new(Committed { seq: Seq(self.commits.len() as u64 + 1), at, events });
        self.commits.push(commit.clone());
        if let Some(feed) = &self.feed {
            feed.send(commit).ok();
        }
    }

    fn change(&mut self, id: JobId, event: impl Into<Event>, change: impl FnOnce(&mut JobView)) {
        change(self.jobs.get_mut(&id).expect("the job is there"));
        self.commit(NOW, vec![event.into()]);
    }

    fn find(&self, id: JobId) -> Result<&JobView, Refusal> {
        self.jobs.get(&id).ok_or(Rejection::NotFound { job: id }.into())
    }

    fn add(&mut self, add: AddJob) -> Result<Added, Rejection> {
        if !TASKS.contains(&&*add.task) {
            return Err(Rejection::UnknownTask { task: add.task });
        }
        if &*add.task == "full" {
            return Err(Rejection::QueueFull { task: add.task, size: 10 });
        }
        if add.key.is_some()
            && let Some(known) = self.jobs.values().find(|job| job.key == add.key)
        {
            if known.task != add.task {
                let key = add.key.unwrap_or_default();
                return Err(Rejection::KeyTaken { key, job: known.id, task: known.task.clone() });
            }
            return Ok(Added { id: known.id, created: false });
        }
        let id = JobId(self.jobs.keys().next_back().map_or(1, |last| last.0 + 1));
        let due = match add.when {
            When::Now => NOW,
            When::At(at) => at,
            When::In(wait) => NOW + wait,
        };
        let state = match (&*add.task, due > NOW) {
            ("quick", _) => JobState::Running,
            (_, true) => JobState::Scheduled,
            (_, false) => JobState::Available,
        };
        let view = JobView {
            attempts: 0,
            priority: add.priority.unwrap_or(5),
            key: add.key,
            args: add.args,
            created_at: NOW,
            due_at: due,
            started_at: None,
            ..job(id.0, &add.task, state)
        };
        self.commit(NOW, vec![added(&view)]);
        self.jobs.insert(id, view);
        Ok(Added { id, created: true })
    }

    /// Ends the jobs of task `quick`: those with `{"fail":true}` badly.
    fn work(&mut self) {
        let quick: Vec<JobId> = self
            .jobs
            .values()
            .filter(|job| &*job.task == "quick" && !job.state.is_finished())
            .map(|job| job.id)
            .collect();
        for job in quick {
            let progress = Progress { current: 1, total: 2, message: "half".into() };
            let event = JobProgressed { job, current: 1, total: 2, message: "half".into() };
            self.change(job, event, |view| view.progress = progress);
            let fail = self.jobs[&job].args.as_str().contains("true");
            let result = (!fail).then(|| Json::parse("42").expect("is JSON"));
            self.change(job, JobCompleted { job, result: result.clone() }, |view| {
                view.state = if fail { JobState::Discarded } else { JobState::Completed };
                view.error = fail.then(|| "exit code 1".into());
                view.result = result;
                view.attempts = 1;
                view.started_at = Some(NOW);
                view.finished_at = Some(NOW);
            });
        }
    }

    fn tasks(&self) -> Vec<TaskView> {
        let task = |name: &str, handler: &str| TaskView {
            task: name.into(),
            handler: handler.into(),
            schedule: vec![],
            timezone: "UTC".into(),
            next: None,
            paused_at: None,
            removed: false,
            running: self.count(name, true),
            waiting: self.count(name, false),
            concurrency: 1,
            queue_size: 1000,
            priority: 5,
            attempts: 100,
        };
        vec![
            TaskView { schedule: vec!["30 2 * * *".into()], next: Some(at(52_200)), ..task("backup", "command") },
            TaskView { removed: true, ..task("full", "shell") },
            TaskView { paused_at: self.paused, ..task("mail", "shell") },
            task("quick", "shell"),
        ]
    }

    fn count(&self, task: &str, running: bool) -> u64 {
        let live = self.jobs.values().filter(|job| &*job.task == task && !job.state.is_finished());
        live.filter(|job| (job.state == JobState::Running) == running).count() as u64
    }
}

impl Fake {
    pub fn new() -> Fake {
        let (feed, _) = broadcast::channel(64);
        let mut inner = Inner {
            jobs: BTreeMap::new(),
            paused: None,
            commits: Vec::new(),
            feed: Some(feed),
            config_errors: Vec::new(),
            broken: false,
        };
        for (number, name) in TASKS.iter().enumerate() {
            let task = TaskId(number as u32);
            let defined = TaskDefined { task, name: (*name).into(), policy: Default::default(), next: vec![] };
            inner.commit(at(-8000), vec![defined.into()]);
        }
        for job in jobs() {
            inner.commit(job.created_at, vec![added(&job)]);
            inner.jobs.insert(job.id, job);
        }
        Fake(Mutex::new(inner))
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

    /// Makes the journal damaged, the status bad, and the health worse.
    pub fn break_it(&self) {
        self.lock().broken = true;
    }

    /// Something happens.
    pub fn pause_backup(&self) {
        self.lock().commit(NOW, vec![TaskPaused { task: TaskId(0) }.into()]);
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
        let inner = self.lock();
        let count = |state| inner.jobs.values().filter(|job| job.state == state).count() as u64;
        ready(Ok(Status {
            version: "0.1.0".into(),
            pid: 4711,
            state: "running".into(),
            now: NOW,
            started_at: at(-11_000),
            uptime: Duration::from_secs(11_000),
            execution: !inner.broken,
            seq: Seq(inner.commits.len() as u64),
            jobs: JobCounts {
                scheduled: count(JobState::Scheduled),
                available: count(JobState::Available),
                running: count(JobState::Running),
                retryable: count(JobState::Retryable),
                interrupted: count(JobState::Interrupted),
            },
            tasks: TaskCounts { defined: 4, paused: u64::from(inner.paused.is_some()) },
            running: inner.jobs.values().filter(|job| job.state == JobState::Running).cloned().collect(),
            next: Some(Coming { task: "backup".into(), at: at(52_200) }),
            last_sweep: Some(LastSweep { at: at(-120), door: Door::Timer, findings: 1, fixed: 1 }),
            problems: if inner.broken { vec!["the last reload failed: daybook.toml:3: no".into()] } else { vec![] },
            state_dir: "/var/lib/daybook".into(),
        }))
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

    fn reload(&self) -> BoxFuture<'_, Result<Vec<String>, Refusal>> {
        let errors = self.lock().config_errors.clone();
        ready(match errors.is_empty() {
            true => Ok(vec!["task.mail.attempts: 5 -> 10".into(), "task.new is new".into()]),
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

    fn live_jobs(&self, filter: JobFilter) -> BoxFuture<'_, Result<Vec<JobView>, Refusal>> {
        ready(Ok(self.matching(filter, false)))
    }

    fn finished_jobs(&self, filter: JobFilter) -> BoxFuture<'_, Result<Vec<JobView>, Refusal>> {
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
        let row = |seconds, outcome, reason: &str, job: Option<u64>| OccurrenceView {
            task: filter.task.clone(),
            schedule: 0,
            at: at(seconds),
            outcome,
            reason: reason.into(),
            job: job.map(JobId),
        };
        let rows = vec![
            row(-34_200, Outcome::Ran, "on time", Some(1)),
            row(-120_600, Outcome::Merged, "made up for by the one of 2026-11-21T02:30:00Z", None),
            row(-207_000, Outcome::Missed, "the daemon was down", None),
            row(-293_400, Outcome::Skipped, "the one before was still running", None),
        ];
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
    fn matching(&self, filter: JobFilter, finished: bool) -> Vec<JobView> {
        let inner = self.lock();
        let found = inner.jobs.values().rev().filter(|job| job.state.is_finished() == finished);
        let found = found.filter(|job| filter.takes(job.id, job.state, &job.task, job.created_at));
        found.take(filter.limit).cloned().collect()
    }
}
