//! No timer of a job lies in the past for longer than it takes to notice.

use super::{Outside, Proposal, finding};
use crate::core::command::Command;
use crate::core::limits;
use crate::core::state::State;
use crate::core::time::Timestamp;

pub const NAME: &str = "past-timers";

pub fn find(state: &State, now: Timestamp, _outside: &Outside) -> Vec<Proposal> {
    let overdue = state.index().due.iter().take_while(|(at, _)| *at + limits::LATE_AFTER < now);
    let overdue: Vec<_> = overdue.take(limits::OCCURRENCES_PER_COMMAND_MAX).collect();
    let Some((since, first)) = overdue.first() else { return Vec::new() };
    let explanation = format!("{} jobs wait for an instant that has passed, the first since {since}", overdue.len());
    vec![Proposal {
        finding: finding(NAME, format!("job {first}"), explanation, "makes them available"),
        fix: Some(Command::Tick),
    }]
}
