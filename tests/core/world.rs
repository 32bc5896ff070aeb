//! One machine with a simulated clock and a history in memory: all that the tables and the properties touch of the API.
//!
//! Commits are on disk at once here; that they may not be is the simulator's business (`tests/sim`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daybook::clock::{Clock, SimulatedClock};
use daybook::core::codec;
use daybook::core::command::{Command, Found};
use daybook::core::event::Event;
use daybook::core::id::JobId;
use daybook::core::lifecycle::JobState;
use daybook::core::policy::TaskPolicy;
use daybook::core::projection::{self, Row};
use daybook::core::rejection::Rejection;
use daybook::core::repair::Report;
use daybook::core::state::index::Index;
use daybook::core::state::{State, picture};
use daybook::core::time::Timestamp;
use daybook::core::view::{JobView, OccurrenceView};
use daybook::engine::machine::{Lookup, Machine, Unreadable};

use crate::words::begin;

/// What is over.
#[derive(Default)]
pub struct Past {
    pub jobs: Vec<JobView>,
    pub ledger: Vec<OccurrenceView>,
    pub broken: bool,
}

impl Lookup for Past {
    fn key(&self, key: &str) -> Result<Option<(JobId, Box<str>)>, Unreadable> {
        let found = self.jobs.iter().rev().find(|job| job.key.as_deref() == Some(key));
        if self.broken { Err(Unreadable) } else { Ok(found.map(|job| (job.id, job.task.clone()))) }
    }

    fn finished(&self, id: JobId) -> Result<Option<JobView>, Unreadable> {
        let found = self.jobs.iter().rev().find(|job| job.id == id);
        if self.broken { Err(Unreadable) } else { Ok(found.cloned()) }
    }
}

pub struct World {
    pub machine: Machine,
    pub clock: SimulatedClock,
    pub past: Past,
    /// What the history does not know at the moment.
    pub forgotten: Vec<JobView>,
    pub tasks: BTreeMap<Box<str>, TaskPolicy>,
    /// The state as a replay of the commits has it.
    replayed: State,
    boot: u32,
    execution: bool,
    /// Occurrences are decided twice if the clock is set back far enough, by design.
    pub set_back: bool,
    /// No daemon is there.
    pub down: bool,
    /// What the next start finds of attempts.
    pub found: BTreeMap<JobId, Found>,
    /// What the next start finds of items.
    pub items_kept: BTreeSet<(JobId, u32)>,
    rows: BTreeSet<(Box<str>, u16, Timestamp)>,
}

impl World {
    /// A daemon just started for the first time, without tasks.
    pub fn new() -> World {
        let mut world = World {
            machine: Machine::new(State::default(), true),
            clock: SimulatedClock::at(begin()),
            past: Past::default(),
            forgotten: Vec::new(),
            tasks: BTreeMap::new(),
            replayed: State::default(),
            boot: 1,
            execution: true,
            set_back: false,
            down: false,
            found: BTreeMap::new(),
            items_kept: BTreeSet::new(),
            rows: BTreeSet::new(),
        };
        world.boot(false);
        world
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    pub fn state(&self) -> &State {
        self.machine.state()
    }

    pub fn pass(&mut self, duration: Duration) {
        self.clock.pass(duration);
    }

    /// Runs `act` in a commit of its own, and returns what it says with the events of the commit.
    pub fn act<T>(&mut self, act: impl FnOnce(&mut Machine, &Past) -> T) -> (T, Vec<Event>) {
        assert!(!self.down, "nobody is there to do it");
        self.machine.begin(self.clock.now());
        let said = act(&mut self.machine, &self.past);
        (said, self.seal())
    }

    pub fn run(&mut self, command: &Command) -> (Result<(), Rejection>, Vec<Event>) {
        self.act(|machine, _| machine.run(command).map(drop))
    }

    pub fn define(&mut self) -> Vec<Event> {
        let tasks = self.tasks.clone().into_iter().collect();
        if self.down { Vec::new() } else { self.act(|machine, _| machine.define(tasks)).1 }
    }

    pub fn set_execution(&mut self, execution: bool) {
        self.execution = execution;
        self.machine.set_execution(execution);
    }

    /// The machine as a daemon that starts now finds it; `reboot`: the computer has been started too.
    pub fn boot(&mut self, reboot: bool) -> (Report, Vec<Event>) {
        self.boot += u32::from(reboot);
        self.down = false;
        self.machine = Machine::new(self.restored(), self.execution);
        let start = Command::StartDaemon {
            version: "0".into(),
            pid: 1,
            boot_id: format!("boot-{}", self.boot).into(),
            found: std::mem::take(&mut self.found),
            items: std::mem::take(&mut self.items_kept),
        };
        let tasks = self.tasks.clone().into_iter().collect();
        let sweep = self.machine.boot(self.clock.now(), start, tasks);
        let report = sweep.rest(&mut self.machine);
        (report, self.seal())
    }

    /// The state by way of a checkpoint.
    fn restored(&self) -> State {
        let durable = self.replayed.picture();
        let mut loader = picture::Loader::new(&picture::head(&durable)).unwrap();
        picture::chunks(&durable).for_each(|chunk| loader.chunk(&chunk).unwrap());
        State::from_durable(loader.finish().unwrap())
    }

    fn seal(&mut self) -> Vec<Event> {
        let sealed = self.machine.seal().expect("a commit was begun");
        if sealed.events == 0 {
            assert!(sealed.payload.is_empty() && sealed.release.effects.is_empty());
            return Vec::new();
        }
        let events = codec::events(&sealed.payload).unwrap();
        assert_eq!(events, sealed.release.events, "what is stored is what has happened");
        assert_eq!(events.len() as u32, sealed.events);
        let mut rows = Vec::new();
        for event in &events {
            self.apply(event, sealed.at, &mut rows);
        }
        self.replayed.committed(sealed.seq, sealed.at);
        assert_eq!(rows, sealed.release.rows, "a replay has the same rows");
        self.machine.released(sealed.seq);
        rows.into_iter().for_each(|row| self.archive(row));
        self.check();
        events
    }

    fn archive(&mut self, row: Row) {
        match row {
            Row::Job(job) => self.past.jobs.push(*job),
            Row::Occurrence(row) => {
                let fresh = self.rows.insert((row.task.clone(), row.schedule, row.at));
                assert!(fresh || self.set_back, "an occurrence has one row: {row:?}");
                self.past.ledger.push(row);
            }
        }
    }

    /// Applies an event to the replayed state, and holds it to the lifecycle.
    fn apply(&mut self, event: &Event, at: Timestamp, rows: &mut Vec<Row>) {
        let job = event.job();
        let state = |state: &State| job.and_then(|job| state.job(job)).map(|job| job.state);
        let before = state(&self.replayed).or(match event {
            Event::JobRetried(retried) => retried.finished.as_ref().map(|finished| finished.view.state),
            _ => None,
        });
        projection::rows(&self.replayed, event, at, rows);
        self.replayed.apply(event, at);
        let end = match event {
            Event::JobCompleted(_) => Some(JobState::Completed),
            Event::JobDiscarded(_) => Some(JobState::Discarded),
            Event::JobCancelled(_) => Some(JobState::Cancelled),
            _ => None,
        };
        match (before, state(&self.replayed).or(end)) {
            (None, None) => {}
            (None, Some(first)) => {
                let is_new = matches!(event, Event::JobAdded(_));
                assert!(is_new, "{event:?} is about a job that is not there");
                assert!(matches!(first, JobState::Scheduled | JobState::Available), "a job begins as {first}");
            }
            (Some(before), Some(after)) if before == after => {}
            (Some(before), Some(after)) => {
                assert!(before.may_become(after), "{event:?} makes a {before} job {after}")
            }
            (Some(before), None) => panic!("{event:?} made a {before} job vanish"),
        }
    }

    /// What holds after every commit.
    fn check(&self) {
        let state = self.machine.state();
        assert_eq!(state.durable(), self.replayed.durable(), "a replay comes to the same state");
        assert_eq!(state.index(), &Index::of(state.durable()), "the index is what a restart would build");
        let restored = self.restored();
        assert_eq!(state, &restored, "a checkpoint brings back the same");
        assert_eq!(picture::head(restored.durable()), picture::head(state.durable()));
        assert!(picture::chunks(restored.durable()).eq(picture::chunks(state.durable())));
        for (id, running) in &state.durable().running {
            let job = state.job(*id).expect("what runs is live");
            assert_eq!((job.state, job.attempts), (JobState::Running, running.attempt));
        }
        for task in state.tasks() {
            let Some(queue) = state.index().queues.get(&task.id) else { continue };
            let more = queue.startable(task).is_some() && self.execution && !self.machine.is_draining();
            assert!(!more, "a job of `{}` could run and was not started", task.name);
        }
        let running = state.durable().running.len() as u64;
        assert_eq!(state.index().in_state(JobState::Running), running);
    }
}
