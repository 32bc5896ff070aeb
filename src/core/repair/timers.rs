//! No timer of a job lies in the past for longer than it takes to notice.

use super::{Fix, Look, Proposal};
use crate::core::command::Command;
use crate::core::limits;

pub const NAME: &str = "past-timers";

pub fn find(look: &Look<'_>) -> Vec<Proposal> {
    let due = look.state.index().due.iter();
    let overdue = due.take_while(|(at, _)| *at + limits::LATE_AFTER < look.now);
    let overdue: Vec<_> = overdue.take(limits::OCCURRENCES_PER_COMMAND_MAX).collect();
    let Some((since, first)) = overdue.first() else { return Vec::new() };
    let explanation = format!("{} jobs wait for an instant that has passed, the first since {since}", overdue.len());
    let fix = Fix::Run(Command::Tick);
    vec![Proposal::new(NAME, format!("job {first}"), explanation, "makes them available", fix)]
}
