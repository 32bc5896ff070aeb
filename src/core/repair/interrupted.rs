//! No job stays interrupted unless a person has to decide.

use super::{Fix, Look, Proposal};
use crate::core::command::Command;
use crate::core::decide;
use crate::core::state::job::Job;

pub const NAME: &str = "interrupted-jobs";

pub fn find(look: &Look<'_>, job: &Job) -> Option<Proposal> {
    let rare = job.cold.rare();
    if rare.held {
        return None;
    }
    let (_, action) = decide::after_interrupt(look.state, job)?;
    let reason = rare.error.as_deref().unwrap_or("unknown reason");
    let explanation = format!("attempt {} was interrupted: {reason}", job.attempts);
    let fix = Fix::Run(Command::ResolveInterrupted { job: job.id });
    Some(Proposal::new(NAME, format!("job {}", job.id), explanation, &action, fix))
}
