//! Which local times a cron expression matches, and the next and previous of them.
//! Local times are seconds since 1970-01-01T00:00:00 on the wall clock, whatever the zone.

use super::calendar::{DAY_SECONDS, Month, PERIOD_MONTHS};
use super::days::Days;

/// A parsed cron expression: bit sets, and what Vixie's rules need of how it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cron {
    /// Bit 0 is second 0; just that in an expression of five fields.
    pub seconds: u64,
    pub minutes: u64,
    pub hours: u64,
    pub days: Days,
    /// Whether the minute or the hour field begins with `*`: it follows the wall clock through
    /// changes of the offset, where other expressions are fixed times.
    pub wildcard: bool,
}

impl Cron {
    /// The first matching local time at or after `local`. `None` only for an expression that never matches.
    pub fn next_local(&self, local: i64) -> Option<i64> {
        let day = local.div_euclid(DAY_SECONDS);
        let (mut month, day_of_month) = Month::of_day(day);
        let mut days = self.days.of_month(month);
        if days >> day_of_month & 1 == 1
            && let Some(time) = self.next_time(local.rem_euclid(DAY_SECONDS) as u32)
        {
            return Some(day * DAY_SECONDS + i64::from(time));
        }
        days &= u32::MAX.checked_shl(day_of_month + 1).unwrap_or(0);
        for _ in 0..=PERIOD_MONTHS {
            if days != 0 {
                let day = month.first_day + i64::from(days.trailing_zeros()) - 1;
                return Some(day * DAY_SECONDS + i64::from(self.next_time(0)?));
            }
            month = month.next();
            days = self.days.of_month(month);
        }
        None
    }

    /// The last matching local time at or before `local`. `None` only for an expression that never matches.
    pub fn previous_local(&self, local: i64) -> Option<i64> {
        let day = local.div_euclid(DAY_SECONDS);
        let (mut month, day_of_month) = Month::of_day(day);
        let mut days = self.days.of_month(month);
        if days >> day_of_month & 1 == 1
            && let Some(time) = self.previous_time(local.rem_euclid(DAY_SECONDS) as u32)
        {
            return Some(day * DAY_SECONDS + i64::from(time));
        }
        days &= (1 << day_of_month) - 1;
        for _ in 0..=PERIOD_MONTHS {
            if days != 0 {
                let day = month.first_day + i64::from(days.ilog2()) - 1;
                return Some(day * DAY_SECONDS + i64::from(self.previous_time(DAY_SECONDS as u32 - 1)?));
            }
            month = month.previous();
            days = self.days.of_month(month);
        }
        None
    }

    /// The first matching second of the day at or after `time`.
    fn next_time(&self, time: u32) -> Option<u32> {
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = at_or_after(self.seconds, second)
            {
                return Some(hour * 3600 + minute * 60 + second);
            }
            if let Some(minute) = at_or_after(self.minutes, minute + 1) {
                return Some(hour * 3600 + minute * 60 + at_or_after(self.seconds, 0)?);
            }
        }
        let hour = at_or_after(self.hours, hour + 1)?;
        Some(hour * 3600 + at_or_after(self.minutes, 0)? * 60 + at_or_after(self.seconds, 0)?)
    }

    /// The last matching second of the day at or before `time`.
    fn previous_time(&self, time: u32) -> Option<u32> {
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = before(self.seconds, second + 1)
            {
                return Some(hour * 3600 + minute * 60 + second);
            }
            if let Some(minute) = before(self.minutes, minute) {
                return Some(hour * 3600 + minute * 60 + before(self.seconds, 60)?);
            }
        }
        let hour = before(self.hours, hour)?;
        Some(hour * 3600 + before(self.minutes, 60)? * 60 + before(self.seconds, 60)?)
    }
}

fn has(set: u64, value: u32) -> bool {
    set >> value & 1 == 1
}

/// The lowest value of `set` that is at least `from`, which is at most 60.
fn at_or_after(set: u64, from: u32) -> Option<u32> {
    let rest = set >> from << from;
    (rest != 0).then(|| rest.trailing_zeros())
}

/// The highest value of `set` below `end`, which is at most 60.
fn before(set: u64, end: u32) -> Option<u32> {
    (set & ((1 << end) - 1)).checked_ilog2()
}
