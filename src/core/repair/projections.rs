//! No projection stays behind the journal, and none is ahead of it.

use super::{Fix, Look, Proposal};
use crate::core::id::Seq;

pub const BEHIND: &str = "projections-behind";
pub const AHEAD: &str = "projections-ahead";

pub fn behind(look: &Look<'_>) -> Vec<Proposal> {
    let due = look.outside.projected_by_now;
    let explain =
        |applied: Seq| format!("it is at commit {applied}, and the journal was at commit {due} more than a minute ago");
    let behind = look.outside.projections.iter().filter(|(_, applied)| *applied < due);
    let action = "none: a restart projects again what is missing";
    behind.map(|(name, applied)| Proposal::new(BEHIND, *name, explain(*applied), action, Fix::None)).collect()
}

/// Ahead of the journal is one that belongs to another journal, or to this one before it was brought back from a
/// backup: it would take new commits for old ones.
pub fn ahead(look: &Look<'_>) -> Vec<Proposal> {
    let last = look.state.scalars().seq;
    let explain =
        |applied: Seq| format!("it is at commit {applied}, and the journal ends with {last}: it is of another journal");
    let ahead = look.outside.projections.iter().filter(|(_, applied)| *applied > last);
    let action = "none: stop the daemon and move its folder away; the start makes it anew from the journal";
    ahead.map(|(name, applied)| Proposal::new(AHEAD, *name, explain(*applied), action, Fix::None)).collect()
}
