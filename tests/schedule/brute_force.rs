//! What a schedule means, by definition and without any cleverness: every instant of a span is
//! looked at, one after the other. Local times come from jiff, days from jiff's calendar.

use std::collections::HashSet;

use daybook::core::policy::Dst;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::generate::{Day, Expression};

impl Expression {
    pub fn matches(&self, local: DateTime) -> bool {
        self.seconds.contains(&local.second().into())
            && self.minutes.contains(&local.minute().into())
            && self.hours.contains(&local.hour().into())
            && self.matches_day(local.date())
    }

    pub fn matches_day(&self, date: Date) -> bool {
        let by_date = self.dates.iter().any(|day| day.is(date));
        let by_weekday = self.weekdays.iter().any(|day| day.is(date));
        let day = if self.both_day_fields { by_date && by_weekday } else { by_date || by_weekday };
        day && self.months.contains(&date.month().into())
    }

    /// The seconds in [`from`, `until`) at which the schedule is due, stepping by `step` seconds:
    /// one list for each of `modes`.
    pub fn due(&self, zone: &TimeZone, modes: [Dst; 3], from: i64, until: i64, step: i64) -> [Vec<i64>; 3] {
        let mut due = [const { Vec::new() }; 3];
        // Overlaps last a day at most, so what was shown before the span began is known from a day before.
        let mut shown = HashSet::new();
        let mut expected: Option<DateTime> = None;
        let mut second = from - 86_400;
        while second < until {
            let local = zone.to_datetime(Timestamp::from_second(second).unwrap());
            let first_time = shown.insert(local);
            if second >= from {
                let matches = self.matches(local);
                let in_gap = expected.is_some_and(|expected| self.matches_between(expected, local, step));
                for (mode, due) in modes.iter().zip(&mut due) {
                    let is_due = match mode {
                        Dst::WallClock => matches,
                        Dst::Skip => matches && first_time,
                        Dst::Vixie if self.wildcard => matches,
                        Dst::Vixie => matches && first_time || in_gap,
                    };
                    if is_due {
                        due.push(second);
                    }
                }
            }
            expected = Some(plus(local, step));
            second += step;
        }
        due
    }

    /// Whether a local time from `first` on matches that comes before `end`.
    fn matches_between(&self, mut first: DateTime, end: DateTime, step: i64) -> bool {
        while first < end {
            if self.matches(first) {
                return true;
            }
            first = plus(first, step);
        }
        false
    }

    /// The same for many days, by what jiff makes of each matching local time of each day: faster,
    /// and another way to see it.
    pub fn due_by_local_times(&self, zone: &TimeZone, dst: Dst, first: Date, days: i32) -> Vec<i64> {
        let mut due = Vec::new();
        for date in (0..days).map(|day| first.checked_add(day.days()).unwrap()).filter(|&date| self.matches_day(date)) {
            for &hour in &self.hours {
                for &minute in &self.minutes {
                    for &second in &self.seconds {
                        let local = date.at(hour as i8, minute as i8, second as i8, 0);
                        self.instants_of(zone, dst, local, &mut due);
                    }
                }
            }
        }
        due.sort();
        due.dedup();
        due
    }

    fn instants_of(&self, zone: &TimeZone, dst: Dst, local: DateTime, due: &mut Vec<i64>) {
        let ambiguous = zone.to_ambiguous_timestamp(local);
        let wall_clock = dst == Dst::WallClock || (dst == Dst::Vixie && self.wildcard);
        if !ambiguous.is_ambiguous() {
            due.push(ambiguous.compatible().unwrap().as_second());
        } else if ambiguous.earlier().unwrap() == zone.to_timestamp(local).unwrap() {
            due.push(ambiguous.earlier().unwrap().as_second()); // an overlap: "compatible" takes the earlier
            if wall_clock {
                due.push(ambiguous.later().unwrap().as_second());
            }
        } else if dst == Dst::Vixie && !wall_clock {
            let before = ambiguous.earlier().unwrap();
            due.push(zone.following(before).next().unwrap().timestamp().as_second());
        }
    }
}

fn plus(time: DateTime, seconds: i64) -> DateTime {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

impl Day {
    fn is(&self, date: Date) -> bool {
        let (day, last) = (i64::from(date.day()), i64::from(date.days_in_month()));
        let weekday = i64::from(date.weekday().to_sunday_zero_offset());
        match *self {
            Day::Date(wanted) => day == wanted,
            Day::BeforeLast(back) => day == last - back,
            Day::Weekday(wanted) => weekday == wanted,
            Day::Nth(wanted, nth) => weekday == wanted && (day + 6) / 7 == nth,
            Day::LastWeekday(wanted) => weekday == wanted && day + 7 > last,
            Day::LastWorking => nearest_working(date, last) == Some(day),
            Day::NearestWorking(wanted) => nearest_working(date, wanted) == Some(day),
        }
    }
}

/// Of the days of the month of `date` from Monday to Friday, the one nearest to day `wanted`.
/// On a Saturday or Sunday there never are two equally near.
fn nearest_working(date: Date, wanted: i64) -> Option<i64> {
    let last = i64::from(date.days_in_month());
    let works = |day: i64| {
        let weekday = Date::new(date.year(), date.month(), day as i8).unwrap().weekday();
        weekday.to_monday_zero_offset() < 5
    };
    (wanted <= last).then(|| (1..=last).filter(|&day| works(day)).min_by_key(|day| (day - wanted).abs()))?
}
