//! What becomes of the instants of a schedule: each ends as exactly one row, with its reason.
//!
//! Decided from (schedule, last decided instant, now) and never from "a timer fired", so late,
//! double and lost wake-ups cannot change which occurrences there are.

use crate::core::command::{Answer, DueSchedule};
use crate::core::event::*;
use crate::core::id::JobId;
use crate::core::json::Json;
use crate::core::lifecycle::JobState;
use crate::core::limits;
use crate::core::policy::{Missed, Overlap};
use crate::core::rejection::Rejection;
use crate::core::schedule;
use crate::core::state::State;
use crate::core::state::queue::Queue;
use crate::core::state::task::Task;
use crate::core::time::Timestamp;
use crate::core::view::Outcome;

pub fn decide(state: &State, due: &DueSchedule, now: Timestamp, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let Some(task) = state.task(due.task).filter(|task| task.is_active()) else { return Ok(Answer::Done) };
    let Some(place) = task.schedules.get(due.schedule as usize) else { return Ok(Answer::Done) };
    // What was decided since the instants were computed is not decided again.
    let instants: Vec<Timestamp> = due.instants.iter().copied().filter(|at| *at > place.decided).collect();
    if instants.is_empty() {
        if place.next != due.next {
            let moved = ScheduleMoved { task: task.id, schedule: due.schedule, decided: place.decided, next: due.next };
            events.push(Event::from(moved));
        }
        return Ok(Answer::Done);
    }
    let mut decision = Decision::new(state, task, due, now, events);
    for (i, at) in instants.iter().enumerate() {
        let following = instants.get(i + 1).copied().or(due.next);
        decision.one(*at, following);
    }
    decision.flush_row();
    Ok(Answer::Done)
}

/// What is due of a schedule that leaves the config is missed, with its rows like any other.
pub fn lapse(state: &State, due: &DueSchedule, now: Timestamp, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let Some(task) = state.task(due.task) else { return Ok(Answer::Done) };
    let Some(place) = task.schedules.get(due.schedule as usize) else { return Ok(Answer::Done) };
    let instants: Vec<Timestamp> = due.instants.iter().copied().filter(|at| *at > place.decided).collect();
    let mut decision = Decision::new(state, task, due, now, events);
    for (i, at) in instants.iter().enumerate() {
        let following = instants.get(i + 1).copied().or(due.next);
        let gap = match task.paused_at.is_some_and(|paused| *at >= paused) {
            true => "the task was paused",
            false => missed_by(state, task, *at, now).unwrap_or("it was just due"),
        };
        decision.pass(*at, following, Outcome::Missed, format!("{gap}; the schedule has changed or gone since"));
    }
    decision.flush_row();
    Ok(Answer::Done)
}

/// Why an instant could not be started in time, or `None` if it can be.
fn missed_by(state: &State, task: &Task, at: Timestamp, now: Timestamp) -> Option<&'static str> {
    let scalars = state.scalars();
    if task.resumed_at.is_some_and(|resumed| at < resumed) {
        Some("the task was paused")
    } else if at < scalars.up_since {
        Some(scalars.gap.reason())
    } else if now.since(at) > limits::LATE_AFTER {
        Some("the daemon was late")
    } else {
        None
    }
}

/// The decisions of one command, which see each other although nothing is applied yet.
struct Decision<'a> {
    state: &'a State,
    task: &'a Task,
    due: &'a DueSchedule,
    now: Timestamp,
    events: &'a mut Vec<Event>,
    /// Jobs created so far.
    created: u32,
    /// The jobs created by this decision and not replaced by it.
    live: Vec<JobId>,
    /// Jobs that waited and were replaced by this decision.
    replaced: u32,
    /// What was there of earlier occurrences has been replaced.
    has_replaced: bool,
    /// Occurrences in a row that end alike, not yet an event.
    row: Option<OccurrencesPassed>,
    last: Timestamp,
}

impl<'a> Decision<'a> {
    fn new(state: &'a State, task: &'a Task, due: &'a DueSchedule, now: Timestamp, events: &'a mut Vec<Event>) -> Self {
        Decision {
            state,
            task,
            due,
            now,
            events,
            created: 0,
            live: Vec::new(),
            replaced: 0,
            has_replaced: false,
            row: None,
            last: now,
        }
    }

    fn one(&mut self, at: Timestamp, following: Option<Timestamp>) {
        let policy = &self.task.policy;
        let Some(gap) = missed_by(self.state, self.task, at, self.now) else {
            return self.run(at, following, "due".to_owned(), false);
        };
        let too_old = policy.missed_within.is_some_and(|within| self.now.since(at) > within);
        let later_is_due = following.is_some_and(|following| following <= self.now);
        match policy.missed {
            Missed::Skip => self.pass(at, following, Outcome::Missed, gap.to_owned()),
            Missed::Last | Missed::All if too_old => {
                self.pass(at, following, Outcome::Missed, format!("{gap}; older than `missed_within`"))
            }
            Missed::Last if later_is_due => {
                self.pass(at, following, Outcome::Merged, format!("{gap}; merged into a later occurrence"))
            }
            Missed::All if self.due.make_up_from.is_some_and(|from| at < from) => {
                self.pass(at, following, Outcome::Missed, format!("{gap}; more than `missed_max`"))
            }
            Missed::Last => self.run(at, following, format!("made up for: {gap}"), false),
            Missed::All => self.run(at, following, format!("made up for: {gap}"), true),
        }
    }

    fn queue(&self) -> Option<&'a Queue> {
        self.state.index().queues.get(&self.task.id)
    }

    /// A job of this task that is not finished and stands in the way of an occurrence. A batch that ended with failed items
    /// does not: it may be repaired for days.
    fn blocker(&self) -> Option<JobId> {
        let queue = self.queue();
        self.live.last().copied().or_else(|| queue.and_then(|queue| queue.running.first().copied())).or_else(|| {
            queue.and_then(|queue| queue.occurrences.iter().copied().find(|id| !self.is_to_be_repaired(*id)))
        })
    }

    fn is_to_be_repaired(&self, id: JobId) -> bool {
        self.state.job(id).is_some_and(|job| job.is_batch && job.state == JobState::Retryable)
    }

    /// Creates the job of an occurrence, unless the overlap policy or a full queue says no.
    /// `in_line`: it is one of several that are made up for, and waits for those before it.
    fn run(&mut self, at: Timestamp, following: Option<Timestamp>, reason: String, in_line: bool) {
        match self.task.policy.overlap {
            Overlap::Forbid if !in_line => {
                if let Some(job) = self.blocker() {
                    let state = self.state.job(job).map_or(JobState::Available, |job| job.state);
                    let why = format!("job {job} is not finished: {state}");
                    return self.pass(at, following, Outcome::Skipped, why);
                }
            }
            Overlap::Forbid | Overlap::Queue | Overlap::Replace | Overlap::Allow => {}
        }
        let replaces = self.task.policy.overlap == Overlap::Replace && !in_line;
        let leaving = self.replaced + if replaces { self.replaceable() } else { 0 };
        if let Err(full) = super::job::room(self.state, self.task, self.created, leaving) {
            return self.pass(at, following, Outcome::Skipped, full.to_string());
        }
        let job = JobId(self.state.scalars().last_job.0 + 1 + u64::from(self.created));
        self.flush_row();
        if replaces {
            self.replace(job);
        }
        let jitter = schedule::jitter(&self.task.name, at, self.task.policy.jitter);
        self.events.push(Event::from(JobAdded {
            job,
            task: self.task.id,
            priority: self.task.policy.priority,
            due: (at + jitter).max(self.now),
            relative: false,
            key: None,
            args: Json::null(),
            occurrence: Some(Occurrence { schedule: self.due.schedule, at }),
        }));
        self.events.push(Event::from(OccurrenceDecided {
            task: self.task.id,
            schedule: self.due.schedule,
            instant: at,
            outcome: Outcome::Ran,
            reason: reason.into(),
            job: Some(job),
            next: following,
        }));
        self.created += 1;
        self.live.push(job);
    }

    /// How many jobs that wait would leave if they were replaced now.
    fn replaceable(&self) -> u32 {
        let earlier = self.queue().filter(|_| !self.has_replaced);
        let earlier = earlier.map_or(0, |queue| queue.occurrences.difference(&queue.running).count());
        (earlier + self.live.len()) as u32
    }

    /// Ends what is under way of earlier occurrences, in favour of `job`.
    fn replace(&mut self, job: JobId) {
        let reason: Box<str> = format!("replaced by job {job}").into();
        self.replaced += self.replaceable();
        let cancelled = |job| Event::from(JobCancelled { job, reason: reason.clone() });
        self.events.extend(self.live.drain(..).map(cancelled));
        let earlier = self.queue().filter(|_| !self.has_replaced);
        self.has_replaced = true;
        for earlier in earlier.iter().flat_map(|queue| &queue.occurrences) {
            match self.state.running(*earlier) {
                Some(running) if running.stopping.is_some() => {}
                Some(_) => self.events.push(Event::from(StopRequested { job: *earlier, reason: reason.clone() })),
                None => self.events.push(cancelled(*earlier)),
            }
        }
    }

    /// Ends an occurrence without a job.
    fn pass(&mut self, at: Timestamp, following: Option<Timestamp>, outcome: Outcome, reason: String) {
        match &mut self.row {
            Some(row) if row.outcome == outcome && *row.reason == *reason => {
                row.gaps.push((at.0 - self.last.0).max(0) as u64);
                row.next = following;
            }
            Some(_) | None => {
                self.flush_row();
                self.row = Some(OccurrencesPassed {
                    task: self.task.id,
                    schedule: self.due.schedule,
                    first: at,
                    gaps: Vec::new(),
                    outcome,
                    reason: reason.into(),
                    next: following,
                });
            }
        }
        self.last = at;
    }

    fn flush_row(&mut self) {
        self.events.extend(self.row.take().map(Event::from));
    }
}
