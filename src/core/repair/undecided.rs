//! No occurrence stays undecided although it is due, and no schedule waits for a wrong instant.

use super::{Outside, Proposal, finding};
use crate::core::command::Command;
use crate::core::state::State;
use crate::core::time::Timestamp;

pub const NAME: &str = "undecided-occurrences";

pub fn find(state: &State, _now: Timestamp, outside: &Outside) -> Vec<Proposal> {
    let due = outside.schedules.iter().filter(|due| state.task(due.task).is_some_and(|task| task.is_active()));
    due.filter_map(|due| {
        let task = state.task(due.task)?;
        let text = task.policy.schedules.get(due.schedule as usize)?;
        let (explanation, action) = match (due.instants.first(), due.next) {
            (Some(first), _) => {
                (format!("{} or more occurrences are due since {first}", due.instants.len()), "decides them")
            }
            (None, Some(next)) => (format!("the next instant is {next}, not what was noted"), "notes the right one"),
            (None, None) => ("there is no next instant, although one was noted".to_owned(), "notes that"),
        };
        Some(Proposal {
            finding: finding(NAME, format!("schedule `{text}` of task {}", task.name), explanation, action),
            fix: Some(Command::DecideOccurrences(due.clone())),
        })
    })
    .collect()
}
