//! No job is held for a person whom nobody asks for any more: its task's `on_interrupt` is no longer `hold`.
//!
//! A quarantined job stays held whatever the policy says, and so does one whose task has left the config.

use super::{Fix, Look, Proposal};
use crate::core::command::Command;
use crate::core::decide;
use crate::core::state::job::Job;

pub const NAME: &str = "held-jobs";

pub fn find(look: &Look<'_>, job: &Job) -> Option<Proposal> {
    if !job.cold.rare().held {
        return None;
    }
    let (_, action) = decide::after_interrupt(look.state, job)?;
    let explanation = "it was held for a person, and its task no longer asks for one".to_owned();
    let fix = Fix::Run(Command::ResolveInterrupted { job: job.id });
    Some(Proposal::new(NAME, format!("job {}", job.id), explanation, &action, fix))
}
