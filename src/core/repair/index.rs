//! Every job is found where it is looked for: by its key, by its due instant, in the queue of its task.

use super::{Fix, Look, Proposal};
use crate::core::state::job::Job;

pub const NAME: &str = "index-entries";

pub fn find(look: &Look<'_>, job: &Job) -> Option<Proposal> {
    let missing = look.state.index().misses(job)?;
    let explanation = format!("it is {}, and not in {missing}", job.state);
    Some(Proposal::new(NAME, format!("job {}", job.id), explanation, "builds the index anew", Fix::Reindex))
}
