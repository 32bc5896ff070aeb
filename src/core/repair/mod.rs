//! Repair: a list of named invariants. Each finds what breaks it, explains, and proposes a fix.
//!
//! Pure: what must be looked at outside comes in as [`Outside`], and those that need the file system or the processes
//! live in `crate`'s own `repair` module, in the same shape. The engine runs what is proposed through the same door as
//! any other command, so a fix is decided, journaled and applied like it. A pass goes in slices (`walk`), so that no
//! command waits for more than one of them.

mod attempts;
mod census;
mod failed;
mod held;
mod index;
mod interrupted;
mod orphaned;
mod projections;
mod report;
mod timers;
mod twice;
mod undecided;
mod walk;

#[cfg(test)]
mod tests;

pub use census::Census;
pub use orphaned::NAME as ORPHANED;
pub use report::{Door, Finding, Report, Sweeps};
pub use walk::{Place, slice, tasks_at};

use std::time::Duration;

use super::command::{Command, DueSchedule};
use super::id::{JobId, Seq};
use super::state::job::Job;
use super::state::task::Task;
use super::state::{Durable, Running, State};
use super::time::Timestamp;

/// What a sweep must know from outside the state.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Schedules of the tasks that are looked at whose instants are due and undecided, or whose next instant is
    /// another than noted.
    pub schedules: Vec<DueSchedule>,
    /// How long what is due may wait for a tick. Not at all when the daemon starts: no tick was there to decide it.
    pub late_after: Duration,
    /// How far each projection got on disk.
    pub projections: Vec<(&'static str, Seq)>,
    /// The commit that every projection must have reached by now.
    pub projected_by_now: Seq,
}

/// What an invariant looks at.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    pub state: &'a State,
    pub now: Timestamp,
    pub outside: &'a Outside,
}

/// What mends something.
#[derive(Clone, Debug)]
pub enum Fix {
    /// Nothing that a sweep could do: a person, or a restart.
    None,
    Run(Command),
    /// The index is built anew from the state. It is derived, so there is nothing to journal.
    Reindex,
}

/// A finding and what mends it.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub finding: Finding,
    pub fix: Fix,
}

impl Proposal {
    pub fn new(invariant: &str, subject: impl Into<Box<str>>, explanation: String, action: &str, fix: Fix) -> Proposal {
        Proposal { finding: Finding::new(invariant, subject, explanation, action), fix }
    }
}

/// How an invariant looks: at one thing of a kind, of which a slice has a few, or at what is few by itself.
pub enum Find {
    /// At an interrupted job. These come first: they are decided before anything starts.
    Interrupted(fn(&Look<'_>, &Job) -> Option<Proposal>),
    Task(fn(&Look<'_>, &Task) -> Vec<Proposal>),
    Whole(fn(&Look<'_>) -> Vec<Proposal>),
    /// At an attempt under way.
    Attempt(fn(&Look<'_>, JobId, &Running) -> Option<Proposal>),
    /// At a live job.
    Job(fn(&Look<'_>, &Job) -> Option<Proposal>),
    /// At a picture of the state, at leisure, beside the engine. What is proposed is decided anew when it is run.
    Picture(fn(&Durable, &Census) -> Vec<Proposal>),
}

/// Every invariant of the state, by its name.
pub const INVARIANTS: &[(&str, Find)] = &[
    (interrupted::NAME, Find::Interrupted(interrupted::find)),
    (held::NAME, Find::Interrupted(held::find)),
    (undecided::NAME, Find::Task(undecided::find)),
    (orphaned::NAME, Find::Task(orphaned::find)),
    (failed::NAME, Find::Whole(failed::find)),
    (timers::NAME, Find::Whole(timers::find)),
    (projections::BEHIND, Find::Whole(projections::behind)),
    (projections::AHEAD, Find::Whole(projections::ahead)),
    (attempts::WITHOUT_JOB, Find::Attempt(attempts::without_job)),
    (attempts::WITHOUT_ATTEMPT, Find::Job(attempts::without_attempt)),
    (index::NAME, Find::Job(index::find)),
    (census::NAME, Find::Picture(census::find)),
    (twice::NAME, Find::Picture(twice::find)),
];

/// What a picture of the state shows; `census`: what the index said in the same instant.
pub fn at_leisure(picture: &Durable, census: &Census) -> Vec<Proposal> {
    let finds = INVARIANTS.iter().filter_map(|(_, find)| match find {
        Find::Picture(find) => Some(find),
        Find::Interrupted(_) | Find::Task(_) | Find::Whole(_) | Find::Attempt(_) | Find::Job(_) => None,
    });
    finds.flat_map(|find| find(picture, census)).collect()
}
