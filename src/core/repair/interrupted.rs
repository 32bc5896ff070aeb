//! No job stays interrupted unless a person has to decide.

use super::{Outside, Proposal, finding};
use crate::core::command::Command;
use crate::core::decide;
use crate::core::state::State;
use crate::core::time::Timestamp;

pub const NAME: &str = "interrupted-jobs";

pub fn find(state: &State, _now: Timestamp, _outside: &Outside) -> Vec<Proposal> {
    let jobs = state.index().interrupted.iter().filter_map(|id| state.job(*id));
    jobs.filter_map(|job| {
        let (_, action) = decide::after_interrupt(state, job)?;
        let reason = job.cold.rare().error.as_deref().unwrap_or("unknown reason");
        let explanation = format!("attempt {} was interrupted: {reason}", job.attempts);
        Some(Proposal {
            finding: finding(NAME, format!("job {}", job.id), explanation, &action),
            fix: Some(Command::ResolveInterrupted { job: job.id }),
        })
    })
    .collect()
}
