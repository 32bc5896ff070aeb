//! No batch stays with failed items for longer than the distance between its repairs asks for.

use super::{Fix, Look, Proposal};
use crate::core::command::Command;
use crate::core::decide;

pub const NAME: &str = "failed-batches";

pub fn find(look: &Look<'_>) -> Vec<Proposal> {
    let jobs = look.state.index().repairable.iter().filter_map(|id| look.state.job(*id));
    let due = jobs.filter(|job| decide::is_repair_due(job, look.now));
    let propose = |job: &crate::core::state::job::Job| {
        let error = job.cold.rare().error.as_deref().unwrap_or("items failed");
        let explanation = format!("run {} ended in error: {error}", job.attempts);
        let fix = Fix::Run(Command::RepairBatch { job: job.id });
        Proposal::new(NAME, format!("batch {}", job.id), explanation, "repairs it", fix)
    };
    due.map(propose).collect()
}
