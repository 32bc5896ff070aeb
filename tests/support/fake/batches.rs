//! The batches of the daemon in memory: a real machine without a disk, with some tasks that have items. Numbers begin at
//! 101. Nobody handles items but those who ask for it here.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook::clock::Now;
use daybook::control::Refusal;
use daybook::control::batches::*;
use daybook::control::service::Added;
use daybook::core::command::{AddJob, Answer, Command, ItemEnd, ItemOutcome};
use daybook::core::id::JobId;
use daybook::core::json::Json;
use daybook::core::policy::{Backoff, BatchPolicy, TaskPolicy, WhenBusy};
use daybook::core::projection::{self, Row};
use daybook::core::rejection::Rejection;
use daybook::core::state::{Durable, Scalars, State};
use daybook::core::texts::Texts;
use daybook::core::time::Timestamp;
use daybook::core::view::JobView;
use daybook::engine::machine::{Lookup, Machine, Unreadable};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::data::{Inner, NOW};
use super::{Fake, ready};

pub struct Known {
    machine: Machine,
    finished: BTreeMap<JobId, JobView>,
    now: Timestamp,
}

struct Finished<'a>(&'a BTreeMap<JobId, JobView>);

impl Lookup for Finished<'_> {
    fn key(&self, key: &str) -> Result<Option<(JobId, Box<str>)>, Unreadable> {
        let found = self.0.values().find(|job| job.key.as_deref() == Some(key));
        Ok(found.map(|job| (job.id, job.task.clone())))
    }

    fn finished(&self, job: JobId) -> Result<Option<JobView>, Unreadable> {
        Ok(self.0.get(&job).cloned())
    }
}

fn tasks() -> Vec<(Box<str>, TaskPolicy)> {
    let with = |lock: &str, batch: Option<BatchPolicy>| TaskPolicy {
        lock: Some(lock.to_owned()),
        batch,
        attempts: 3,
        concurrency: 8,
        ..TaskPolicy::default()
    };
    let backoff = Backoff { first: Duration::from_secs(60), ..Backoff::default() };
    let clients = BatchPolicy {
        ops: vec!["on".into(), "off".into()],
        exclusive: Some("clients".into()),
        when_busy: WhenBusy::Refuse,
        backoff,
        ..BatchPolicy::default()
    };
    let letters = BatchPolicy { ops: vec!["send".into()], ..BatchPolicy::default() };
    let players = BatchPolicy { given: false, ..BatchPolicy::default() };
    vec![
        ("clients".into(), with("client:{item}", Some(clients))),
        ("invoice".into(), with("client:{args.client}", None)),
        ("letters".into(), with("client:{item.client}", Some(letters))),
        ("players".into(), with("player:{item}", Some(players))),
    ]
}

impl Known {
    pub fn new() -> Known {
        let scalars = Scalars { last_job: JobId(100), ..Scalars::default() };
        let state = State::from_durable(Durable { scalars, ..Durable::default() });
        let mut known = Known { machine: Machine::new(state, true), finished: BTreeMap::new(), now: NOW };
        known.machine.begin(known.look());
        known.machine.define(tasks());
        known.machine.seal();
        known
    }

    fn look(&self) -> Now {
        let since = self.now.since(NOW);
        Now { wall: self.now, awake: since, elapsed: since }
    }

    fn job(&self, id: JobId) -> Option<JobView> {
        let state = self.machine.state();
        let live = state.job(id).and_then(|job| projection::live(state.durable(), job));
        live.or_else(|| self.finished.get(&id).cloned())
    }

    fn view(&self, id: JobId) -> Option<BatchView> {
        let (state, job) = (self.machine.state(), self.job(id)?);
        let task = state.task_named(&job.task).map(|task| &**task);
        Some(look::batch(state.batch(id), task, self.machine.begins(), &job, self.now))
    }
}

impl Inner {
    /// Does something with the machine, as one commit.
    fn act<T>(&mut self, act: impl FnOnce(&mut Machine, &dyn Lookup) -> T) -> T {
        let known = &mut self.batches;
        known.machine.begin(known.look());
        let outcome = act(&mut known.machine, &Finished(&known.finished));
        let sealed = known.machine.seal().expect("a commit was begun");
        let rows = sealed.release.rows.into_iter();
        let jobs = rows.filter_map(|row| if let Row::Job(job) = row { Some((job.id, *job)) } else { None });
        known.finished.extend(jobs);
        if !sealed.release.events.is_empty() {
            self.commit(NOW, sealed.release.events);
        }
        outcome
    }

    fn ask(&mut self, command: Command) -> Result<Answer, Refusal> {
        Ok(self.act(|machine, _| machine.run(&command))?)
    }
}

impl Fake {
    /// Handles up to so many items of a batch: those end as `failing` says.
    pub fn handle(&self, batch: u64, want: u32, failing: &[&str]) {
        let job = JobId(batch);
        let mut inner = self.lock();
        let attempt = inner.batches.machine.state().running(job).expect("the batch runs").attempt;
        let next = inner.act(|machine, _| machine.next_items(job, attempt, want, 1));
        let Ok(Answer::Items { runs, .. }) = next else {
            assert_eq!(next, Ok(Answer::Over));
            return;
        };
        let end = |run: u32, place: u32, text: &str| {
            let outcome = match failing.contains(&text) {
                true => ItemOutcome::Failed { error: "no such client".into() },
                false => ItemOutcome::Done,
            };
            ItemEnd { item: place, run, outcome }
        };
        let ends = runs.iter().flat_map(|run| run.items.iter().map(move |item| end(run.run, item.place, &item.text)));
        let ended: Vec<ItemEnd> = ends.collect();
        inner.ask(Command::ReportItems { job, ended }).expect("they are reported");
        inner.act(|machine, _| machine.next_items(job, attempt, 0, 1)).ok();
    }

    /// Begins to handle so many items, and leaves it at that.
    pub fn begin(&self, batch: u64, want: u32) {
        let job = JobId(batch);
        let mut inner = self.lock();
        let attempt = inner.batches.machine.state().running(job).expect("the batch runs").attempt;
        inner.act(|machine, _| machine.next_items(job, attempt, want, 1)).expect("they begin");
    }

    /// What is being handled of a batch ends.
    pub fn end(&self, batch: u64, outcome: ItemOutcome) {
        let job = JobId(batch);
        let mut inner = self.lock();
        let flights = inner.batches.machine.state().batch(job).expect("it is there").flights.clone();
        let end = |(item, flight): (&u32, &daybook::core::state::batch::Flight)| ItemEnd {
            item: *item,
            run: flight.run,
            outcome: outcome.clone(),
        };
        let ended = flights.iter().map(end).collect();
        inner.ask(Command::ReportItems { job, ended }).expect("they are reported");
    }

    /// The items of a batch that is over are forgotten.
    pub fn forget(&self, batch: u64) {
        let mut inner = self.lock();
        let known = &mut inner.batches;
        let mut durable = known.machine.state().picture();
        durable.batches.remove(&JobId(batch));
        known.machine = Machine::new(State::from_durable(durable), true);
    }

    /// No further item of this task is begun, or they are again.
    pub fn pause_items(&self, task: &str, paused: bool) {
        let task = task.into();
        let command = if paused { Command::PauseTask { task } } else { Command::ResumeTask { task } };
        self.lock().ask(command).expect("it is paused, or resumed");
    }

    /// The daemon begins nothing any more.
    pub fn cordon(&self) {
        self.lock().act(|machine, _| machine.set_execution(false));
    }

    /// Time passes, for batches.
    pub fn pass(&self, seconds: u64) {
        let inner = &mut self.lock().batches;
        inner.now = inner.now + Duration::from_secs(seconds);
    }

    /// Whether a batch still has to come, or to begin its run.
    pub fn is_waiting(&self) -> bool {
        let inner = self.lock();
        let state = inner.batches.machine.state();
        !state.batches().any(|(id, batch)| batch.loaded && state.running(id).is_some())
    }

    /// Batches that are there, with or without all of their items.
    pub fn batches_len(&self) -> usize {
        self.lock().batches.machine.state().batches().count()
    }

    /// A job that is about a client runs.
    pub fn invoice(&self, client: &str) {
        let args = Json::parse(&format!(r#"{{"client":"{client}"}}"#)).expect("is JSON");
        let add = AddJob { task: "invoice".into(), args, ..AddJob::default() };
        self.lock().act(|machine, lookup| machine.add(add, lookup)).expect("it is added");
    }
}

impl Batches for Fake {
    fn start(&self, add: AddJob) -> BoxFuture<'_, Result<Started, Refusal>> {
        let started = self.lock().act(|machine, lookup| {
            if let Some(task) = machine.state().task_named(&add.task).filter(|task| task.policy.batch.is_none()) {
                return Err(Rejection::NotABatch { task: task.name.clone() });
            }
            let (id, created) = machine.add(add, lookup)?;
            Ok(look::started(machine.state(), id, created))
        });
        ready(started.map_err(Refusal::from))
    }

    fn open(&self, add: AddJob) -> BoxFuture<'_, Result<Added, Refusal>> {
        let opened = self.lock().act(|machine, lookup| machine.open_batch(add, lookup));
        ready(opened.map(|(id, created)| Added { id, created }).map_err(Refusal::from))
    }

    fn give(&self, batch: JobId, items: Texts) -> BoxFuture<'_, Result<(), Refusal>> {
        ready(self.lock().ask(Command::AddItems { job: batch, attempt: None, items }).map(|_| ()))
    }

    fn load(&self, batch: JobId, add: AddJob) -> BoxFuture<'_, Result<Started, Refusal>> {
        let loaded = self.lock().act(|machine, lookup| {
            let (id, created) = machine.load_batch(batch, add, lookup)?;
            Ok::<_, Rejection>(look::started(machine.state(), id, created))
        });
        ready(loaded.map_err(Refusal::from))
    }

    fn abandon(&self, batch: JobId, reason: Box<str>) -> BoxFuture<'_, ()> {
        let _: Result<Answer, Refusal> = self.lock().ask(Command::DropBatch { job: batch, reason });
        ready(())
    }

    fn batch(&self, batch: JobId) -> BoxFuture<'_, Result<BatchView, Refusal>> {
        ready(self.lock().batches.view(batch).ok_or(Rejection::NoBatch { job: batch }.into()))
    }

    fn batches(&self, filter: BatchFilter) -> BoxFuture<'_, Result<Page<BatchView>, Refusal>> {
        let known = &self.lock().batches;
        let views = known.machine.state().batches().rev().filter_map(|(id, _)| known.view(id));
        let mut views = views.filter(|view| {
            (filter.states.is_empty() || filter.states.contains(&view.state))
                && filter.task.as_ref().is_none_or(|task| *task == view.task)
                && filter.before.is_none_or(|before| view.id < before)
        });
        let rows = views.by_ref().take(filter.limit).collect();
        ready(Ok(Page { rows, more: views.next().is_some() }))
    }

    fn items(&self, batch: JobId, filter: ItemFilter) -> BoxFuture<'_, Result<Page<ItemView>, Refusal>> {
        let found = look::find(self.lock().batches.machine.state(), batch, &filter);
        ready(found.map(|(batch, from)| look::items(&batch, from, &filter)).map_err(Refusal::from))
    }

    fn repair_batch(&self, batch: JobId) -> BoxFuture<'_, Result<(), Refusal>> {
        let repaired = self.lock().act(|machine, lookup| match machine.state().batch(batch) {
            Some(_) => machine.retry(batch, lookup).map(|_| ()),
            None => Err(Rejection::NoBatch { job: batch }),
        });
        ready(repaired.map_err(Refusal::from))
    }

    fn advance(&self, batch: JobId, item: Box<str>) -> BoxFuture<'_, Result<(), Refusal>> {
        ready(self.lock().ask(Command::AdvanceItem { job: batch, item }).map(|_| ()))
    }

    fn thing(&self, key: Box<str>) -> BoxFuture<'_, Result<ThingView, Refusal>> {
        ready(Ok(look::thing(self.lock().batches.machine.state(), &key)))
    }

    fn remove_thing(&self, key: Box<str>) -> BoxFuture<'_, Result<u32, Refusal>> {
        let removed = self.lock().ask(Command::RemoveItem { key });
        async move {
            match removed? {
                Answer::Removed { batches } => Ok(batches),
                other => panic!("removing was answered by {other:?}"),
            }
        }
        .boxed()
    }

    fn set_override(&self, key: Box<str>, params: Json) -> BoxFuture<'_, Result<(), Refusal>> {
        ready(self.lock().ask(Command::OverrideItem { key, params }).map(|_| ()))
    }

    fn restore(&self, key: Box<str>) -> BoxFuture<'_, Result<(), Refusal>> {
        ready(self.lock().ask(Command::RestoreItem { key }).map(|_| ()))
    }

    fn overrides(&self, filter: OverrideFilter) -> BoxFuture<'_, Result<Page<OverrideView>, Refusal>> {
        ready(Ok(look::overrides(self.lock().batches.machine.state().durable(), &filter)))
    }
}
