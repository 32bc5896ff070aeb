//! From local times to instants: what happens where the zone's offset changes.
//!
//! Between two changes of the offset, local time and UTC differ by a constant, so an instant is a
//! matching local time minus the offset. At a change, local times are either jumped over (a
//! **gap**) or shown a second time (an **overlap**). [`Changes`] says what then happens:
//!
//! | | in a gap | in an overlap |
//! |---|---|---|
//! | `vixie`, fixed time | once, at the end of the gap | the first time only |
//! | `vixie`, wildcard | none | both times |
//! | `wall-clock` | none | both times |
//! | `skip` | none | the first time only |
//!
//! An expression is a wildcard if its minute or hour field begins with `*`, as in Debian's cron;
//! all others, lists and ranges included, are fixed times. The seconds field has no say in it.
//!
//! All times of a schedule that fall into the same gap become one instant, at its end: a schedule
//! has at most one occurrence at an instant. Vixie's cron takes a jump of more than three hours for
//! a clock that was set, as it sees nothing but the clock; zone data leaves no such doubt, so here
//! the rule holds for a gap of any length (Samoa left out all of 2011-12-30: its noon job runs at
//! the midnight that ends it).
//!
//! No zone has ever changed its rules twice within three days (a test holds the data to it), so a
//! local time is shown twice at most, and of what was shown before only the last change can tell.

use crate::core::policy::Dst;

use super::cron::Cron;
use super::zone::{EARLIEST, LATEST, OFFSETS_APART_MAX, Zone};

/// How far a search goes: 160 years.
///
/// There are 14 kinds of years (leap or not, by the weekday of the first day), and each comes again
/// within 40 years; what a rule matches, and when a zone changes by a yearly rule, depends on the
/// kind alone. So a rule that matches any day matches one within 40 years, and one whose every
/// match has fallen into gaps for that long under a yearly rule will never get out of them.
/// The rest covers the changes that the zone data lists one by one: they end before 2100.
const SPAN_SECONDS: i64 = 160 * 31_556_952;

/// Instants further than this from each other come in the same order as their local times.
const FAR: i64 = OFFSETS_APART_MAX + 86_400;

/// What becomes of the local times around a change of the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Times in a gap run at its end; otherwise not at all.
    gap_runs: bool,
    /// Times in an overlap run again when they are shown again.
    overlap_repeats: bool,
}

impl Changes {
    pub fn of(cron: &Cron, dst: Dst) -> Changes {
        match dst {
            Dst::Vixie => Changes { gap_runs: !cron.wildcard, overlap_repeats: cron.wildcard },
            Dst::WallClock => Changes { gap_runs: false, overlap_repeats: true },
            Dst::Skip => Changes { gap_runs: false, overlap_repeats: false },
        }
    }
}

/// The first second at or after `from` at which `cron` is due.
pub fn next(cron: &Cron, zone: &Zone, changes: Changes, from: i64) -> Option<i64> {
    let mut from = from.max(EARLIEST);
    let horizon = LATEST.min(from.saturating_add(SPAN_SECONDS));
    while from <= horizon {
        let offset = zone.offset_at(from);
        let mut local = from + offset;
        if !changes.overlap_repeats
            && let Some(start) = zone.change_until(from)
        {
            let offset_before = zone.offset_at(start - 1);
            if start == from && changes.gap_runs && in_gap(cron, start, offset_before, offset) {
                return Some(start);
            }
            local = local.max(start + offset_before); // shown before
        }
        let found = cron.next_local(local)? - offset;
        let Some(end) = zone.change_after(from).filter(|&end| end <= found) else {
            return (found <= LATEST).then_some(found);
        };
        // Changes between here and shortly before `found` have no matching time near them, unless
        // one is so close that it shows again what is already past.
        from = if end - from > FAR { end.max(found - FAR) } else { end };
    }
    None
}

/// The last second at or before `until` at which `cron` is due.
pub fn last(cron: &Cron, zone: &Zone, changes: Changes, until: i64) -> Option<i64> {
    let mut until = until.min(LATEST);
    let horizon = EARLIEST.max(until.saturating_sub(SPAN_SECONDS));
    while until >= horizon {
        let offset = zone.offset_at(until);
        let found = cron.previous_local(until + offset)? - offset;
        let Some(start) = zone.change_until(until) else {
            return (found >= EARLIEST).then_some(found);
        };
        let offset_before = zone.offset_at(start - 1);
        let repeated = if changes.overlap_repeats { 0 } else { (offset_before - offset).max(0) };
        if found >= start + repeated {
            return (found >= EARLIEST).then_some(found);
        }
        if changes.gap_runs && in_gap(cron, start, offset_before, offset) {
            return Some(start);
        }
        until = if until - start > FAR { (start - 1).min(found + FAR) } else { start - 1 };
    }
    None
}

/// Whether a matching time lies in the gap that a change at `change` makes, if it makes one.
fn in_gap(cron: &Cron, change: i64, offset_before: i64, offset: i64) -> bool {
    offset_before < offset && cron.next_local(change + offset_before).is_some_and(|local| local < change + offset)
}
