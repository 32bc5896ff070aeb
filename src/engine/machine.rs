//! The engine without threads: takes commands, gathers their events into one commit, and says what is
//! to be released once that is on disk. The same inputs in the same order give the same bytes.
//!
//! The daemon drives it from `run`, the simulator from its own loop.

use std::collections::BTreeMap;
use std::time::Duration;

use super::calendar::Calendar;
use super::release::{Release, Reply};
use super::sweep::Sweep;
use crate::clock::Now;
use crate::core::command::{AddJob, Answer, Command, DueSchedule, TaskDefinition};
use crate::core::event::{Event, Finished};
use crate::core::id::{JobId, Seq, TaskId};
use crate::core::policy::TaskPolicy;
use crate::core::projection::{self, Row};
use crate::core::rejection::Rejection;
use crate::core::repair::{Door, Report};
use crate::core::state::State;
use crate::core::time::Timestamp;
use crate::core::view::JobView;
use crate::core::{codec, decide, effect, limits};

/// Due schedules decided in one go, before commands get their turn again. With a thousand due at once the first need
/// not wait for the last: the next go is decided while the jobs of this one are on their way to the disk.
const SCHEDULES_PER_TICK: usize = 256;
/// Slices of undecided occurrences of a schedule that leaves the config; those of a second each for a day and more.
const SLICES_MAX: usize = 32;
/// Room kept for the next commit's payload: a thousand jobs that end take about half of it.
const ROOM_MAX: usize = 256 * 1024;
/// A difference between the clocks that is noticed, in milliseconds.
const CLOCK_TOLERANCE_MS: i64 = 1000;
/// How long a projection may take to get a commit to disk before a sweep finds it behind.
const PROJECTED_WITHIN: Duration = Duration::from_secs(60);

/// What the machine must look up outside its state.
pub trait Lookup {
    /// The finished job that has this idempotency key, and its task.
    fn key(&self, key: &str) -> Result<Option<(JobId, Box<str>)>, Unreadable>;
    /// A finished job.
    fn finished(&self, job: JobId) -> Result<Option<JobView>, Unreadable>;
}

/// The history could not be read; the reason is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl From<Unreadable> for Rejection {
    fn from(Unreadable: Unreadable) -> Rejection {
        Rejection::HistoryUnreadable
    }
}

/// A commit that is complete and not yet on disk.
pub struct Sealed {
    pub seq: Seq,
    pub at: Timestamp,
    pub events: u32,
    pub payload: Vec<u8>,
    pub release: Release,
}

/// A commit that is being gathered.
struct Gathering {
    at: Timestamp,
    payload: Vec<u8>,
    events: u32,
    release: Release,
}

/// The engine's state and the commit being gathered.
pub struct Machine {
    state: State,
    calendar: Calendar,
    /// Whether this daemon starts jobs.
    execution: bool,
    /// No more attempts are started: the daemon stops.
    draining: bool,
    closed: bool,
    gathering: Option<Gathering>,
    /// Keys of jobs that are finished but not yet in the history.
    leaving: BTreeMap<Box<str>, (Seq, JobId, Box<str>)>,
    /// Jobs that are finished but not yet in the history.
    leaving_jobs: BTreeMap<JobId, (Seq, Box<JobView>)>,
    last_look: Option<Now>,
    /// The commit that the projections must have reached by now.
    projected_by_now: Seq,
    /// The last commit at some sweep, and when that was by the time awake: the next one to be reached.
    mark: (Seq, Duration),
    /// Whether somebody wants the events of each commit.
    pub keep_events: bool,
    scratch: Vec<Event>,
    /// Room for a payload, from a commit that has been written: to grow anew costs a copy for each doubling.
    room: Vec<u8>,
}

impl Machine {
    pub fn new(state: State, execution: bool) -> Machine {
        // What a start hands in to the projections again is not on disk at once.
        let mark = (Seq(0), Duration::ZERO);
        Machine {
            state,
            calendar: Calendar::default(),
            execution,
            draining: false,
            closed: false,
            gathering: None,
            leaving: BTreeMap::new(),
            leaving_jobs: BTreeMap::new(),
            last_look: None,
            projected_by_now: Seq(0),
            mark,
            keep_events: true,
            scratch: Vec::new(),
            room: Vec::new(),
        }
    }

    /// The state with all that is decided, on disk or not.
    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn calendar(&mut self) -> &mut Calendar {
        &mut self.calendar
    }

    pub fn is_gathering(&self) -> bool {
        self.gathering.is_some()
    }

    /// Bytes of the commit being gathered.
    pub fn gathered_bytes(&self) -> usize {
        self.gathering.as_ref().map_or(0, |gathering| gathering.payload.len())
    }

    pub fn set_execution(&mut self, execution: bool) {
        self.execution = execution;
    }

    pub fn execution(&self) -> bool {
        self.execution
    }

    /// Whether anything is begun now, a job or an item of a batch.
    pub fn begins(&self) -> bool {
        self.execution && !self.draining
    }

    /// From now on no attempt is started and no job taken in.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// The last act: what still runs is interrupted, and once that is on disk the engine ends.
    pub fn close(&mut self) {
        self.draining = true;
        let _: Result<Answer, Rejection> = self.run(&Command::StopDaemon);
        self.closed = true;
    }

    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether the last act has been done.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Begins a commit, if none is being gathered: looks at the clocks, and decides what time alone has brought.
    pub fn begin(&mut self, now: Now) {
        if self.gathering.is_some() {
            return;
        }
        self.open(now);
        self.look_at_clocks(now);
        if self.state.next_due().is_some_and(|due| due <= now.wall) {
            self.tick(now.wall);
        }
    }

    fn open(&mut self, now: Now) {
        let release = Release { keep_events: self.keep_events, ..Release::default() };
        let payload = std::mem::take(&mut self.room);
        self.gathering = Some(Gathering { at: now.wall, payload, events: 0, release });
    }

    /// Takes back the room of a payload that has been written.
    pub(super) fn reuse(&mut self, mut payload: Vec<u8>) {
        if payload.capacity() <= ROOM_MAX {
            payload.clear();
            self.room = payload;
        }
    }

    /// Events of the commit being gathered.
    pub(super) fn gathered_events(&self) -> u32 {
        self.gathering.as_ref().map_or(0, |gathering| gathering.events)
    }

    /// The instant of the commit being gathered.
    pub(super) fn at(&self) -> Timestamp {
        self.gathering.as_ref().map_or(self.state.scalars().at, |gathering| gathering.at)
    }

    /// Decides and applies a command. Needs a commit to be begun.
    pub fn run(&mut self, command: &Command) -> Result<Answer, Rejection> {
        let at = self.at();
        let mut events = std::mem::take(&mut self.scratch);
        let answer = decide::decide(&self.state, command, at, &mut events);
        debug_assert!(answer.is_ok() || events.is_empty(), "a rejection changes nothing");
        for event in events.drain(..) {
            self.happen(event, at);
        }
        self.scratch = events;
        answer
    }

    /// Adds a job, once its key has been looked up.
    pub fn add(&mut self, add: AddJob, lookup: &dyn Lookup) -> Result<(JobId, bool), Rejection> {
        self.add_by(Command::AddJob, add, lookup)
    }

    /// Takes in a batch whose items are to come: its number, and whether it is new.
    pub fn open_batch(&mut self, add: AddJob, lookup: &dyn Lookup) -> Result<(JobId, bool), Rejection> {
        self.add_by(Command::OpenBatch, add, lookup)
    }

    /// All items of a batch that were to be given have come: it becomes a job.
    pub fn load_batch(&mut self, job: JobId, add: AddJob, lookup: &dyn Lookup) -> Result<(JobId, bool), Rejection> {
        self.add_by(|add| Command::LoadBatch { job, attempt: None, add: Some(add) }, add, lookup)
    }

    /// What the run of a batch begins next; nothing while nothing is to be started.
    pub fn next_items(&mut self, job: JobId, attempt: u32, want: u32, chunk: u32) -> Result<Answer, Rejection> {
        let want = if self.begins() { want } else { 0 };
        self.run(&Command::NextItems { job, attempt, want, chunk })
    }

    /// Handles an item ahead of its turn, unless nothing is to be started.
    pub fn advance(&mut self, job: JobId, item: Box<str>) -> Result<Answer, Rejection> {
        match self.begins() {
            true => self.run(&Command::AdvanceItem { job, item }),
            false => Err(Rejection::StartsNothing),
        }
    }

    fn add_by(
        &mut self,
        command: impl FnOnce(AddJob) -> Command,
        mut add: AddJob,
        lookup: &dyn Lookup,
    ) -> Result<(JobId, bool), Rejection> {
        if self.draining {
            return Err(Rejection::Stopping);
        }
        if let Some(key) = &add.key {
            let leaving = self.leaving.get(key).map(|(_, job, task)| (*job, task.clone()));
            add.known = match leaving {
                Some(leaving) => Some(leaving),
                None if self.state.job_with_key(key).is_some() => None,
                None => lookup.key(key)?,
            };
        }
        match self.run(&command(add))? {
            Answer::Added { job, created } => Ok((job, created)),
            other => unreachable!("adding is answered by a job, not by {other:?}"),
        }
    }

    /// Makes a job run again, live or finished.
    pub fn retry(&mut self, job: JobId, lookup: &dyn Lookup) -> Result<Answer, Rejection> {
        let finished = match self.state.job(job) {
            Some(_) => None,
            None => {
                let view = match self.leaving_jobs.get(&job) {
                    Some((_, view)) => Some((**view).clone()),
                    None => lookup.finished(job)?,
                };
                view.and_then(|view| {
                    let task = self.state.task_named(&view.task)?.id;
                    Some(Box::new(Finished { task, view }))
                })
            }
        };
        self.run(&Command::RetryJob { job, finished })
    }

    /// Takes over a config while the daemon runs, and notes what it changes, in words.
    pub fn reload(&mut self, tasks: Vec<(Box<str>, TaskPolicy)>, changes: Vec<Box<str>>) {
        let _: Result<Answer, Rejection> = self.run(&Command::NoteReload { changes });
        self.define(tasks);
    }

    /// Takes over the tasks of a config.
    pub fn define(&mut self, tasks: Vec<(Box<str>, TaskPolicy)>) -> Vec<Box<str>> {
        let at = self.at();
        self.settle_leaving(&tasks);
        let mut definition = |(name, policy): (Box<str>, TaskPolicy)| {
            // Of a task that stays as it is nobody asks, and to find the next instant of a rare schedule takes time.
            let known = self.state.task_named(&name).filter(|task| !task.removed);
            match known.is_some_and(|task| *task.policy == policy) {
                true => TaskDefinition { name, policy, next: Vec::new() },
                false => self.calendar.define(name, policy, at),
            }
        };
        let tasks: Vec<TaskDefinition> = tasks.into_iter().map(&mut definition).collect();
        match self.run(&Command::DefineTasks { tasks }) {
            Ok(Answer::Defined { changed }) => changed,
            other => unreachable!("defining tasks is never refused: {other:?}"),
        }
    }

    /// Decides what is due of schedules that are about to leave: it fell due while they were in force.
    fn settle_leaving(&mut self, tasks: &[(Box<str>, TaskPolicy)]) {
        let at = self.at();
        let tasks: BTreeMap<&str, &TaskPolicy> = tasks.iter().map(|(name, policy)| (&**name, policy)).collect();
        for _ in 0..SLICES_MAX {
            let leaving = self.calendar.leaving(&self.state, &tasks, at);
            if leaving.is_empty() {
                break;
            }
            for (due, stays) in leaving {
                let active = self.state.task(due.task).is_some_and(|task| task.is_active());
                let command = match stays && active {
                    true => Command::DecideOccurrences(due),
                    false => Command::LapseOccurrences(due),
                };
                let _: Result<Answer, Rejection> = self.run(&command);
            }
        }
    }

    /// Begins the first commit of a daemon: what was running is interrupted, the config's tasks are taken over,
    /// `@reboot` schedules run if the machine has booted, and a sweep begins, which decides the rest.
    pub fn boot(&mut self, now: Now, start: Command, tasks: Vec<(Box<str>, TaskPolicy)>) -> Sweep {
        // Not `begin`: what fell due while no daemon was there must be decided after the start is noted.
        self.open(now);
        self.last_look = Some(now);
        self.mark.1 = now.awake;
        // The last commit was before now, so a clock that says otherwise was set back at least that far.
        let ahead = if self.state.scalars().seq > Seq(0) { self.state.scalars().at.0 - now.wall.0 } else { 0 };
        let answer = self.run(&start);
        if ahead > CLOCK_TOLERANCE_MS {
            self.note_step(-ahead, now.wall);
        }
        self.define(tasks);
        if answer == Ok(Answer::Started { new_boot: true }) {
            for due in self.calendar.reboots(&self.state, now.wall) {
                let _: Result<Answer, Rejection> = self.run(&Command::DecideOccurrences(due));
            }
        }
        let mut sweep = Sweep::begin(self, Door::Start, false, Vec::new());
        sweep.urgent(self);
        sweep
    }

    /// One repair pass, all at once: for simulations, where nobody waits. The daemon goes in slices.
    pub fn sweep(&mut self, dry_run: bool, projections: Vec<(&'static str, Seq)>) -> Report {
        Sweep::begin(self, Door::Socket, dry_run, projections).rest(self)
    }

    /// The commit that the projections must have reached by now: the last one at some look a minute ago or more.
    pub(super) fn projected_by_now(&mut self) -> Seq {
        let awake = self.last_look.map_or(Duration::ZERO, |look| look.awake);
        if awake.saturating_sub(self.mark.1) >= PROJECTED_WITHIN {
            self.projected_by_now = self.mark.0;
            self.mark = (self.state.scalars().seq, awake);
        }
        self.projected_by_now
    }

    /// The schedules of these tasks that are due, or whose next instant is not the one noted.
    pub(super) fn audit(&mut self, tasks: &[TaskId]) -> Vec<DueSchedule> {
        let at = self.at();
        let tasks = tasks.iter().filter_map(|id| self.state.task(*id));
        tasks.flat_map(|task| self.calendar.audit(task, at)).collect()
    }

    /// Whether a command would change anything now.
    pub(super) fn would(&mut self, command: &Command) -> bool {
        let at = self.at();
        let mut events = std::mem::take(&mut self.scratch);
        let answer = decide::decide(&self.state, command, at, &mut events);
        let changes = answer.is_ok() && !events.is_empty();
        events.clear();
        self.scratch = events;
        changes
    }

    /// Builds the index of the state anew.
    pub(super) fn reindex(&mut self) {
        self.state.reindex();
    }

    /// Attaches what is to be told once the commit being gathered is on disk.
    pub fn reply(&mut self, reply: Reply) {
        if let Some(gathering) = &mut self.gathering {
            gathering.release.replies.push(reply);
        }
    }

    /// Starts what may start. After each act, so that the next one finds the queue as it would alone.
    pub fn start_ready(&mut self) {
        if !self.begins() || self.gathering.is_none() {
            return;
        }
        let at = self.at();
        while let Some(event) = decide::next_start(&self.state) {
            self.happen(event, at);
        }
    }

    /// Ends the gathering: starts what may start, and returns the commit. Without events the number is
    /// that of the last commit, and there is nothing to append.
    pub fn seal(&mut self) -> Option<Sealed> {
        self.start_ready();
        let gathering = self.gathering.take()?;
        let mut seq = self.state.scalars().seq;
        if gathering.events > 0 {
            seq = seq.next();
            self.state.committed(seq, gathering.at);
        }
        let Gathering { at, payload, events, mut release } = gathering;
        release.seq = seq;
        release.at = at;
        Some(Sealed { seq, at, events, payload, release })
    }

    /// Notes that the history has everything up to this commit.
    pub fn released(&mut self, seq: Seq) {
        if !self.leaving.is_empty() {
            self.leaving.retain(|_, (left_at, ..)| *left_at > seq);
        }
        if !self.leaving_jobs.is_empty() {
            self.leaving_jobs.retain(|_, (left_at, _)| *left_at > seq);
        }
    }

    fn happen(&mut self, event: Event, at: Timestamp) {
        let Some(gathering) = &mut self.gathering else { return };
        let rows = &mut gathering.release.rows;
        let known = rows.len();
        projection::rows(&self.state, &event, at, rows);
        for row in &rows[known..] {
            if let Row::Job(job) = row {
                let leaves_at = self.state.scalars().seq.next();
                if let Some(key) = &job.key {
                    self.leaving.insert(key.clone(), (leaves_at, job.id, job.task.clone()));
                }
                self.leaving_jobs.insert(job.id, (leaves_at, job.clone()));
            }
        }
        codec::put_event(&event, &mut gathering.payload);
        gathering.events += 1;
        self.state.apply(&event, at);
        gathering.release.effects.extend(effect::of(&self.state, &event));
        if gathering.release.keep_events {
            gathering.release.events.push(event);
        }
    }

    /// What time alone has brought: due jobs and due occurrences. What is left over makes the next tick due at once.
    fn tick(&mut self, now: Timestamp) {
        let _: Result<Answer, Rejection> = self.run(&Command::Tick);
        if self.draining {
            // No job could come of them: the next daemon decides, and knows that this one was stopping.
            return;
        }
        for due in self.calendar.due(&self.state, now, SCHEDULES_PER_TICK) {
            let _: Result<Answer, Rejection> = self.run(&Command::DecideOccurrences(due));
            if self.gathered_bytes() > limits::COMMIT_BYTES_MAX {
                break;
            }
        }
    }

    fn note_step(&mut self, milliseconds: i64, now: Timestamp) {
        let moved = self.calendar.step(&self.state, milliseconds, now);
        let _: Result<Answer, Rejection> = self.run(&Command::NoteStep { milliseconds, moved });
    }

    fn look_at_clocks(&mut self, now: Now) {
        let Some(last) = self.last_look.replace(now) else { return };
        let elapsed = now.elapsed.saturating_sub(last.elapsed);
        let asleep = elapsed.saturating_sub(now.awake.saturating_sub(last.awake));
        let step = now.wall.0 - last.wall.0 - elapsed.as_millis() as i64;
        if step.abs() > CLOCK_TOLERANCE_MS {
            self.note_step(step, now.wall);
        }
        if asleep.as_millis() as i64 > CLOCK_TOLERANCE_MS {
            let _: Result<Answer, Rejection> = self.run(&Command::NoteSuspend { duration: asleep });
        }
    }
}
