//! No job is of a task that is no longer in the config.
//!
//! Told and left alone: a person takes a task out of the config, so a person decides what becomes of its jobs.

use super::{Fix, Look, Proposal};
use crate::core::state::task::Task;

pub const NAME: &str = "orphaned-jobs";

pub fn find(look: &Look<'_>, task: &Task) -> Vec<Proposal> {
    let queue = look.state.index().queues.get(&task.id).filter(|_| task.removed);
    let orphaned = queue.map(|queue| {
        let running = queue.running.len();
        let (jobs, action) = match (queue.live as usize - running, running) {
            (0, 1) => ("a job of it runs".to_owned(), RUNS),
            (0, running) => (format!("{running} jobs of it run"), RUNS),
            (1, 0) => ("a job of it waits".to_owned(), WAITS),
            (waiting, 0) => (format!("{waiting} jobs of it wait"), WAITS),
            (waiting, running) => (format!("of its jobs {running} run and {waiting} wait"), BOTH),
        };
        let explanation = format!("it is no longer in the config, and {jobs}");
        Proposal::new(NAME, format!("task {}", task.name), explanation, action, Fix::None)
    });
    orphaned.into_iter().collect()
}

const WAITS: &str = "none: they go on when the task is back; `daybook cancel` ends them";
const RUNS: &str = "none: an attempt that runs goes on to its end; `daybook cancel` ends it";
const BOTH: &str =
    "none: an attempt that runs goes on to its end, the others when the task is back; `daybook cancel` ends them";
