//! No projection stays behind the journal.

use super::{Outside, Proposal, finding};
use crate::core::state::State;
use crate::core::time::Timestamp;

pub const NAME: &str = "projections-behind";

pub fn find(_state: &State, _now: Timestamp, outside: &Outside) -> Vec<Proposal> {
    let behind = outside.projections.iter().filter(|(_, applied)| *applied < outside.projected_by_now);
    behind
        .map(|(name, applied)| Proposal {
            finding: finding(
                NAME,
                (*name).to_owned(),
                format!(
                    "is at commit {applied}, the journal was at {} more than a minute ago",
                    outside.projected_by_now
                ),
                "none: a restart projects again what is missing",
            ),
            fix: None,
        })
        .collect()
}
