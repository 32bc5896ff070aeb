//! No job waits for a task that is no longer in the config.
//!
//! Told and left alone: a person takes a task out of the config, so a person decides what becomes of its jobs.

use super::{Fix, Look, Proposal};
use crate::core::state::task::Task;

pub const NAME: &str = "orphaned-jobs";

pub fn find(look: &Look<'_>, task: &Task) -> Vec<Proposal> {
    let queue = look.state.index().queues.get(&task.id).filter(|_| task.removed);
    let orphaned = queue.map(|queue| {
        let explanation = match queue.live {
            1 => "it is no longer in the config, and a job of it waits".to_owned(),
            jobs => format!("it is no longer in the config, and {jobs} jobs of it wait"),
        };
        let action = "none: they go on when the task is back; `daybook cancel` ends them";
        Proposal::new(NAME, format!("task {}", task.name), explanation, action, Fix::None)
    });
    orphaned.into_iter().collect()
}
