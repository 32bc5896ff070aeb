//! No occurrence stays undecided although it is due, and no schedule waits for a wrong instant.

use super::{Fix, Look, Proposal};
use crate::core::command::{Command, DueSchedule};
use crate::core::state::task::Task;

pub const NAME: &str = "undecided-occurrences";

pub fn find(look: &Look<'_>, task: &Task) -> Vec<Proposal> {
    let due = look.outside.schedules.iter().filter(|due| due.task == task.id && task.is_active());
    due.filter_map(|due| undecided(look, task, due)).collect()
}

fn undecided(look: &Look<'_>, task: &Task, due: &DueSchedule) -> Option<Proposal> {
    let text = task.policy.schedules.get(due.schedule as usize)?;
    let (explanation, action) = match (due.instants.first(), due.next) {
        // Just due: the next tick decides them.
        (Some(first), _) if *first + look.outside.late_after > look.now => return None,
        (Some(first), _) => {
            (format!("{} or more occurrences are due since {first}", due.instants.len()), "decides them")
        }
        (None, Some(next)) => (format!("the next instant is {next}, not what was noted"), "notes the right one"),
        (None, None) => ("there is no next instant, although one was noted".to_owned(), "notes that"),
    };
    let subject = format!("schedule `{text}` of task {}", task.name);
    Some(Proposal::new(NAME, subject, explanation, action, Fix::Run(Command::DecideOccurrences(due.clone()))))
}
