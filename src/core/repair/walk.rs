//! A pass over the state in slices: where it is, what the next few things are, and what each invariant says of them.

use std::ops::Bound;

use super::{Find, INVARIANTS, Look, Proposal};
use crate::core::id::{JobId, TaskId};
use crate::core::state::State;

/// Jobs looked at in one slice: some tenths of a millisecond.
const JOBS_PER_SLICE: usize = 256;
/// Tasks looked at in one slice ...
const TASKS_PER_SLICE: usize = 128;
/// ... and schedules, each of which costs a few microseconds to evaluate.
const SCHEDULES_PER_SLICE: usize = 256;

/// Where a pass is. Things are looked at in the order of their numbers, so what comes or goes between two slices
/// neither stops nor confuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Interrupted { from: JobId },
    Tasks { from: TaskId },
    Whole,
    Attempts { from: JobId },
    Jobs { from: JobId },
}

impl Place {
    pub const FIRST: Place = Place::Interrupted { from: JobId(0) };

    /// Whether nothing may start before it has been looked at.
    pub fn is_urgent(self) -> bool {
        match self {
            Place::Interrupted { .. } | Place::Tasks { .. } | Place::Whole => true,
            Place::Attempts { .. } | Place::Jobs { .. } => false,
        }
    }
}

/// The tasks of the slice at `place`; none if it is not about tasks.
pub fn tasks_at(state: &State, place: Place) -> Vec<TaskId> {
    let Place::Tasks { from } = place else { return Vec::new() };
    let mut schedules = 0;
    let tasks = state.durable().tasks.from(from).take(TASKS_PER_SLICE);
    let few = tasks.take_while(|task| {
        let fits = schedules < SCHEDULES_PER_SLICE;
        schedules += task.schedules.len();
        fits
    });
    few.map(|task| task.id).collect()
}

/// What the slice at `place` shows, and where the next one is.
pub fn slice(look: &Look<'_>, place: Place) -> (Vec<Proposal>, Option<Place>) {
    match place {
        Place::Interrupted { from } => {
            let ids: Vec<JobId> = look.state.index().interrupted.range(from..).take(JOBS_PER_SLICE).copied().collect();
            let next = match ids.last() {
                Some(last) if ids.len() == JOBS_PER_SLICE => Place::Interrupted { from: JobId(last.0 + 1) },
                Some(_) | None => Place::Tasks { from: TaskId(0) },
            };
            (interrupted(look, &ids), Some(next))
        }
        Place::Tasks { .. } => {
            let ids = tasks_at(look.state, place);
            let next = ids.last().map_or(Place::Whole, |last| Place::Tasks { from: TaskId(last.0 + 1) });
            (tasks(look, &ids), Some(next))
        }
        Place::Whole => (whole(look), Some(Place::Attempts { from: JobId(0) })),
        Place::Attempts { from } => {
            let (proposals, last) = attempts(look, from);
            let next = last.map_or(Place::Jobs { from: JobId(0) }, |last| Place::Attempts { from: JobId(last.0 + 1) });
            (proposals, Some(next))
        }
        Place::Jobs { from } => {
            let (proposals, last) = jobs(look, from);
            (proposals, last.map(|last| Place::Jobs { from: JobId(last.0 + 1) }))
        }
    }
}

fn interrupted(look: &Look<'_>, ids: &[JobId]) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for job in ids.iter().filter_map(|id| look.state.job(*id)) {
        for (_, find) in INVARIANTS {
            if let Find::Interrupted(find) = find {
                proposals.extend(find(look, job));
            }
        }
    }
    proposals
}

fn tasks(look: &Look<'_>, ids: &[TaskId]) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for task in ids.iter().filter_map(|id| look.state.task(*id)) {
        for (_, find) in INVARIANTS {
            if let Find::Task(find) = find {
                proposals.extend(find(look, task));
            }
        }
    }
    proposals
}

fn whole(look: &Look<'_>) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    for (_, find) in INVARIANTS {
        if let Find::Whole(find) = find {
            proposals.extend(find(look));
        }
    }
    proposals
}

/// Also the last attempt that was looked at, if there may be more.
fn attempts(look: &Look<'_>, from: JobId) -> (Vec<Proposal>, Option<JobId>) {
    let (mut proposals, mut last, mut count) = (Vec::new(), None, 0);
    let running = look.state.durable().running.range((Bound::Included(from), Bound::Unbounded));
    for (id, running) in running.take(JOBS_PER_SLICE) {
        for (_, find) in INVARIANTS {
            if let Find::Attempt(find) = find {
                proposals.extend(find(look, *id, running));
            }
        }
        (last, count) = (Some(*id), count + 1);
    }
    (proposals, last.filter(|_| count == JOBS_PER_SLICE))
}

/// Also the last job that was looked at, if there may be more.
fn jobs(look: &Look<'_>, from: JobId) -> (Vec<Proposal>, Option<JobId>) {
    let (mut proposals, mut last, mut count) = (Vec::new(), None, 0);
    for job in look.state.jobs().from(from).take(JOBS_PER_SLICE) {
        for (_, find) in INVARIANTS {
            if let Find::Job(find) = find {
                proposals.extend(find(look, job));
            }
        }
        (last, count) = (Some(job.id), count + 1);
    }
    (proposals, last.filter(|_| count == JOBS_PER_SLICE))
}
