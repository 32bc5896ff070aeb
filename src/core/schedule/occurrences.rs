//! A rule read in its zone: runs of instants, and the newest of many without going through all.

use crate::core::policy::Dst;
use crate::core::time::Timestamp;

use super::rule::Rule;
use super::zone::Zone;

/// A rule with all that it needs to be evaluated. Under 200 bytes, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub rule: Rule,
    pub zone: Zone,
    pub dst: Dst,
    /// What the instants of `@every` are counted from.
    pub anchor: Timestamp,
}

/// The instants that are due in a span of time, and what comes after them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Strictly increasing.
    pub instants: Vec<Timestamp>,
    /// The first instant after those: within the span if it held more than was asked for, else after it.
    pub next: Option<Timestamp>,
}

impl Schedule {
    /// The first instant strictly after `after`. See [`Rule::next_after`].
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.rule.next_after(after, &self.zone, self.dst, self.anchor)
    }

    /// The last instant at or before `until`. See [`Rule::last_until`].
    pub fn last_until(&self, until: Timestamp) -> Option<Timestamp> {
        self.rule.last_until(until, &self.zone, self.dst, self.anchor)
    }

    /// All instants strictly after `after`, first to last, without end but that of [`Rule::next_after`].
    pub fn after(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        std::iter::successors(self.next_after(after), |&at| self.next_after(at))
    }

    /// The first instants in (`after`, `until`], at most `max`, and the one that follows them.
    pub fn due(&self, after: Timestamp, until: Timestamp, max: usize) -> Due {
        let mut due = Due { instants: Vec::new(), next: self.next_after(after) };
        while let Some(at) = due.next.filter(|&at| at <= until && due.instants.len() < max) {
            due.instants.push(at);
            due.next = self.next_after(at);
        }
        due
    }

    /// Where the newest `count` instants of (`after`, `until`] begin: an instant `start` such that
    /// (`start`, `until`] holds just these, or `after` if there are no more than `count`.
    ///
    /// Goes backward from `until`, so it costs `count` steps, however many instants there are.
    pub fn newest_start(&self, after: Timestamp, until: Timestamp, count: usize) -> Timestamp {
        let mut start = until;
        for _ in 0..count {
            match self.last_until(start) {
                Some(at) if at > after => start = at.shifted(-1),
                _ => return after,
            }
        }
        match self.last_until(start) {
            Some(at) if at > after => at,
            _ => after,
        }
    }
}
