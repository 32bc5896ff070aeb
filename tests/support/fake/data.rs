//! What the daemon in memory knows: some tasks, some jobs, how it is. What is done to them is here too, as events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daybook::control::Refusal;
use daybook::control::service::*;
use daybook::core::command::{AddJob, When};
use daybook::core::event::{Event, JobAdded, JobCompleted, JobProgressed, TaskDefined};
use daybook::core::id::{JobId, Seq, TaskId};
use daybook::core::json::Json;
use daybook::core::lifecycle::JobState;
use daybook::core::rejection::Rejection;
use daybook::core::repair::Door;
use daybook::core::time::Timestamp;
use daybook::core::view::{JobView, OccurrenceView, Outcome, Progress};
use daybook::engine::Committed;
use tokio::sync::broadcast;

use super::batches::Known;

/// 2026-11-21T12:00:00Z, for ever.
pub const NOW: Timestamp = Timestamp(1_795_262_400_000);

pub const TASKS: [&str; 4] = ["backup", "full", "mail", "quick"];

pub struct Inner {
    pub jobs: BTreeMap<JobId, JobView>,
    pub paused: Option<Timestamp>,
    pub commits: Vec<Arc<Committed>>,
    pub feed: Option<broadcast::Sender<Arc<Committed>>>,
    pub config_errors: Vec<String>,
    pub broken: bool,
    pub drained: bool,
    pub batches: Known,
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
        orphaned: false,
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
    pub fn new() -> Inner {
        let (feed, _) = broadcast::channel(64);
        let mut inner = Inner {
            jobs: BTreeMap::new(),
            paused: None,
            commits: Vec::new(),
            feed: Some(feed),
            config_errors: Vec::new(),
            broken: false,
            drained: false,
            batches: Known::new(),
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
        inner
    }

    pub fn commit(&mut self, at: Timestamp, events: Vec<Event>) {
        let commit = Arc::new(Committed { seq: Seq(self.commits.len() as u64 + 1), at, events });
        self.commits.push(commit.clone());
        if let Some(feed) = &self.feed {
            feed.send(commit).ok();
        }
    }

    pub fn change(&mut self, id: JobId, event: impl Into<Event>, change: impl FnOnce(&mut JobView)) {
        change(self.jobs.get_mut(&id).expect("the job is there"));
        self.commit(NOW, vec![event.into()]);
    }

    pub fn find(&self, id: JobId) -> Result<&JobView, Refusal> {
        self.jobs.get(&id).ok_or(Rejection::NotFound { job: id }.into())
    }

    pub fn add(&mut self, add: AddJob) -> Result<Added, Rejection> {
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

    pub fn run_long(&mut self, message: &str) {
        let id = self.jobs.keys().next_back().map_or(1, |last| last.0 + 1);
        let progress = Progress { current: 1, total: 3, message: message.into() };
        self.jobs.insert(JobId(id), JobView { progress, ..job(id, "mail", JobState::Running) });
    }

    /// Ends the jobs of task `quick`: those with `{"fail":true}` badly, and those with `{"quiet":true}` without output.
    pub fn work(&mut self) {
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
            let says = |word: &str| self.jobs[&job].args.as_str().contains(word);
            let (fail, quiet) = (says(r#""fail":true"#), says(r#""quiet":true"#));
            let result = (!fail).then(|| Json::parse("42").expect("is JSON"));
            self.change(job, JobCompleted { job, result: result.clone(), note: None }, |view| {
                view.state = if fail { JobState::Discarded } else { JobState::Completed };
                view.error = fail.then(|| "exit code 1".into());
                view.result = result;
                view.output_bytes = if quiet { 0 } else { 7 };
                view.attempts = 1;
                view.started_at = Some(NOW);
                view.finished_at = Some(NOW);
            });
        }
    }

    pub fn tasks(&self) -> Vec<TaskView> {
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

    pub fn count(&self, task: &str, running: bool) -> u64 {
        let live = self.jobs.values().filter(|job| &*job.task == task && !job.state.is_finished());
        live.filter(|job| (job.state == JobState::Running) == running).count() as u64
    }

    pub fn status(&self) -> Status {
        let count = |state| self.jobs.values().filter(|job| job.state == state).count() as u64;
        Status {
            version: "0.1.0".into(),
            pid: 4711,
            health: if self.broken { Health::Degraded } else { Health::Healthy },
            state: "running".into(),
            now: NOW,
            started_at: at(-11_000),
            uptime: Duration::from_secs(11_000),
            execution: !self.broken && !self.drained,
            drained: self.drained,
            advancing: 0,
            seq: Seq(self.commits.len() as u64),
            jobs: JobCounts {
                scheduled: count(JobState::Scheduled),
                available: count(JobState::Available),
                running: count(JobState::Running),
                retryable: count(JobState::Retryable),
                interrupted: count(JobState::Interrupted),
                orphaned: self.jobs.values().filter(|job| job.orphaned).count() as u64,
            },
            tasks: TaskCounts { defined: 4, paused: u64::from(self.paused.is_some()) },
            running: self.jobs.values().filter(|job| job.state == JobState::Running).cloned().collect(),
            waiting: if self.broken { waiting() } else { Vec::new() },
            waiting_jobs: if self.broken { 4 } else { 0 },
            missed: if self.broken { missed() } else { Vec::new() },
            next: Some(Coming { task: "backup".into(), at: at(52_200) }),
            coming: vec![Coming { task: "backup".into(), at: at(52_200) }],
            last_sweep: Some(LastSweep { at: at(-120), door: Door::Timer, findings: 1, fixed: 1 }),
            problems: if self.broken { problems() } else { vec![] },
            state_dir: "/var/lib/daybook".into(),
            disk: Disk { journal: 12_345_678, history: 1_048_576, free: Some(34_000_000_000) },
        }
    }
}

/// What became of the occurrences of a task.
pub fn occurrences(task: &str) -> Vec<OccurrenceView> {
    let row = |seconds, outcome, reason: &str, job: Option<u64>| OccurrenceView {
        task: task.into(),
        schedule: 0,
        at: at(seconds),
        outcome,
        reason: reason.into(),
        job: job.map(JobId),
    };
    vec![
        row(-34_200, Outcome::Ran, "on time", Some(1)),
        row(-120_600, Outcome::Merged, "made up for by the one of 2026-11-21T02:30:00Z", None),
        row(-207_000, Outcome::Missed, "the daemon was down", None),
        row(-293_400, Outcome::Skipped, "the one before was still running", None),
    ]
}

/// What waits for a person in a daemon that is not well.
fn waiting() -> Vec<Waiting> {
    let one = |kind, task: &str, jobs, job: Option<u64>, reason: &str, commands: &[&str]| Waiting {
        kind,
        task: task.into(),
        jobs,
        job: job.map(JobId),
        reason: reason.into(),
        commands: commands.iter().map(|command| Box::from(*command)).collect(),
    };
    let held = "quarantined: it has taken down the daemon or its shim 3 times in a row";
    vec![
        one(WaitingKind::Quarantined, "backup", 1, Some(6), held, &["daybook retry 6", "daybook cancel 6"]),
        one(WaitingKind::Orphaned, "full", 2, None, "is no longer in the config", &["daybook jobs --task full"]),
        one(WaitingKind::Discarded, "mail", 1, Some(2), "exit code 3", &["daybook retry 2"]),
    ]
}

/// Occurrences for which no job ran in a daemon that is not well.
fn missed() -> Vec<Missed> {
    let reason = "the daemon was down".into();
    vec![Missed { task: "backup".into(), missed: 3, skipped: 1, last: at(-34_200), reason }]
}

fn problems() -> Vec<Box<str>> {
    let waiting = waiting().into_iter().filter(|one| one.kind.degrades());
    let of_waiting = waiting.map(|one| one.sentence().into());
    std::iter::once("the last reload failed: daybook.toml:3: no".into()).chain(of_waiting).collect()
}
