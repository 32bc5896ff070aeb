//! The parsed schedule, of whatever kind. How text becomes one is in `expression.rs`.

use std::time::Duration;

use crate::core::policy::Dst;
use crate::core::time::Timestamp;

use super::cron::Cron;
use super::every::Every;
use super::search::{self, Changes};
use super::zone::Zone;

/// When a schedule is due, without the zone in which it is read. Made by [`Rule::parse`]; under 100 bytes, no heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule(pub(super) Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Cron(Cron),
    Every(Every),
    Reboot,
}

impl Rule {
    /// Whether this is `@reboot`: due once at each start of the daemon, at no instant that can be told before.
    pub fn is_reboot(&self) -> bool {
        matches!(self.0, Kind::Reboot)
    }

    /// The duration of an `@every` schedule.
    pub fn every(&self) -> Option<Duration> {
        match self.0 {
            Kind::Every(every) => Some(every.duration()),
            Kind::Cron(_) | Kind::Reboot => None,
        }
    }

    /// The first instant strictly after `after`; in the years 1 to 9998.
    ///
    /// `anchor` is for `@every` alone: its instants are whole numbers of durations from it, before and after.
    /// `None`: there is none any more. So it is for `@reboot`, always; and for a fixed time that only ever
    /// falls into gaps of the zone when `dst` drops those: the search gives up after 160 years.
    /// Takes less than a millisecond whatever the rule, and mostly less than one thousandth of that.
    pub fn next_after(&self, after: Timestamp, zone: &Zone, dst: Dst, anchor: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Kind::Cron(cron) => {
                let first = after.0.div_euclid(1000) + 1; // the first whole second after it
                search::next(cron, zone, Changes::of(cron, dst), first).map(seconds)
            }
            Kind::Every(every) => every.next_after(after, anchor),
            Kind::Reboot => None,
        }
    }

    /// The last instant at or before `until`: the counterpart of [`Rule::next_after`], with the same bounds.
    pub fn last_until(&self, until: Timestamp, zone: &Zone, dst: Dst, anchor: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Kind::Cron(cron) => search::last(cron, zone, Changes::of(cron, dst), until.0.div_euclid(1000)).map(seconds),
            Kind::Every(every) => every.last_until(until, anchor),
            Kind::Reboot => None,
        }
    }
}

/// `seconds` lies within the search's bounds, so this cannot overflow.
fn seconds(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1000)
}
