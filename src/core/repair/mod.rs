//! Repair: a list of named invariants. Each finds what breaks it, explains, and proposes a command.
//!
//! Pure: what must be looked at outside comes in as [`Outside`]. The engine runs what is proposed
//! through the same door as any other command, so a fix is decided, journaled and applied like it.

mod interrupted;
mod past_timers;
mod projections;
mod undecided;

use serde::{Deserialize, Serialize};

use super::command::{Command, DueSchedule};
use super::id::Seq;
use super::state::State;
use super::time::Timestamp;

/// What a sweep must know from outside the state.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Schedules whose instants are due and undecided, or whose next instant is another than noted.
    pub schedules: Vec<DueSchedule>,
    /// How far each projection got on disk.
    pub projections: Vec<(&'static str, Seq)>,
    /// The commit that every projection must have reached by now.
    pub projected_by_now: Seq,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The name of the broken invariant.
    pub invariant: Box<str>,
    /// The job, task or part that it is about.
    pub subject: Box<str>,
    pub explanation: Box<str>,
    /// What the sweep does about it.
    pub action: Box<str>,
}

/// A finding and the command that mends it, where the core can.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub finding: Finding,
    pub fix: Option<Command>,
}

/// What a sweep found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// How many of the findings were mended.
    pub fixed: u32,
    pub dry_run: bool,
}

type Invariant = fn(&State, Timestamp, &Outside) -> Vec<Proposal>;

/// Every invariant, in the order in which a sweep looks at them.
pub const INVARIANTS: &[(&str, Invariant)] = &[
    (interrupted::NAME, interrupted::find),
    (undecided::NAME, undecided::find),
    (past_timers::NAME, past_timers::find),
    (projections::NAME, projections::find),
];

/// All that is not as it should be at the instant `now`.
pub fn find(state: &State, now: Timestamp, outside: &Outside) -> Vec<Proposal> {
    INVARIANTS.iter().flat_map(|(_, find)| find(state, now, outside)).collect()
}

fn finding(invariant: &str, subject: String, explanation: String, action: &str) -> Finding {
    Finding {
        invariant: invariant.into(),
        subject: subject.into(),
        explanation: explanation.into(),
        action: action.into(),
    }
}
