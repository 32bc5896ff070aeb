//! Which days of a month match the day-of-month and day-of-week fields, as one bit set a month,
//! and the proof that an expression matches any day at all.

use super::calendar::{Month, length};

/// Set of days of the month: bit 1 is the 1st. Bit 0 is never set.
pub type DaySet = u32;

/// The last week of the month, in [`Days::nth`]; 0 to 4 are the first to the fifth.
pub const LAST: u32 = 5;

/// What the day-of-month, month and day-of-week fields say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// Months: bit 1 is January.
    pub months: u16,
    /// Days counted from the start of the month: bit 1 is the 1st.
    pub from_start: DaySet,
    /// Days counted from the end (`L`, `L-3`): bit 0 is the last.
    pub from_end: u32,
    /// Working days nearest to a day (`15W`): bit 15. Bit 0 is `LW`, the last working day.
    pub nearest_working: u32,
    /// Weekdays: bit 0 is Sunday.
    pub weekdays: u8,
    /// Weekdays of one week of the month (`FRI#3`, `FRIL`): bit `weekday * 6 + week`.
    pub nth: u64,
    /// Whether the two day fields must both hold; otherwise one is enough. Vixie's rule: both,
    /// when one of them begins with `*`.
    pub both: bool,
}

impl Days {
    /// The days of `month` that match.
    pub fn of_month(&self, month: Month) -> DaySet {
        if self.months >> month.month & 1 == 0 {
            return 0;
        }
        self.matching(month.length, month.first_weekday())
    }

    fn matching(&self, length: u32, first_weekday: u32) -> DaySet {
        let by_date = self.by_date(length, first_weekday);
        let by_weekday = self.by_weekday(length, first_weekday);
        if self.both { by_date & by_weekday } else { by_date | by_weekday }
    }

    fn by_date(&self, length: u32, first_weekday: u32) -> DaySet {
        let mut days = self.from_start;
        for back in bits(self.from_end.into()).filter(|&back| back < length) {
            days |= 1 << (length - back);
        }
        for day in bits(self.nearest_working.into()) {
            days |= nearest_working_day(day, length, first_weekday).map_or(0, |day| 1 << day);
        }
        days & all(length)
    }

    fn by_weekday(&self, length: u32, first_weekday: u32) -> DaySet {
        // The week as it begins on the 1st, laid five times end to end.
        let weekdays = u32::from(self.weekdays);
        let week = (weekdays >> first_weekday | weekdays << (7 - first_weekday)) & 0x7f;
        let mut days = (u64::from(week) * 0x1020_4081) << 1;
        for bit in bits(self.nth) {
            let (weekday, nth) = (bit / 6, bit % 6);
            let first = 1 + (weekday + 7 - first_weekday) % 7;
            let day = if nth == LAST { first + (length - first) / 7 * 7 } else { first + nth * 7 };
            days |= 1 << day; // a fifth one may lie beyond the month, up to day 35
        }
        days as DaySet & all(length)
    }

    /// Whether any day of any year matches. The months of the Gregorian calendar begin on every
    /// weekday, February both in leap and in common years, so that these few cases are all there are.
    pub fn can_match(&self) -> bool {
        shapes(self.months).any(|(length, first_weekday)| self.matching(length, first_weekday) != 0)
    }

    /// The same for the day of the month alone.
    pub fn date_can_match(&self) -> bool {
        shapes(self.months).any(|(length, first_weekday)| self.by_date(length, first_weekday) != 0)
    }
}

/// All pairs of length and first weekday that the months of the set can have.
fn shapes(months: u16) -> impl Iterator<Item = (u32, u32)> {
    bits(months.into())
        .flat_map(|month| [length(2023, month), length(2024, month)])
        .flat_map(|length| (0..7).map(move |first_weekday| (length, first_weekday)))
}

/// The Monday to Friday nearest to `day` in the same month; `None` when the month has no such day. Day 0 is the last.
fn nearest_working_day(day: u32, length: u32, first_weekday: u32) -> Option<u32> {
    let weekday_of = |day: u32| (first_weekday + day - 1) % 7;
    if day == 0 {
        return Some(match weekday_of(length) {
            0 => length - 2,
            6 => length - 1,
            _ => length,
        });
    }
    match weekday_of(day) {
        _ if day > length => None,
        6 if day == 1 => Some(3),
        6 => Some(day - 1),
        0 if day == length => Some(day - 2),
        0 => Some(day + 1),
        _ => Some(day),
    }
}

fn all(length: u32) -> DaySet {
    ((1u64 << (length + 1)) - 2) as u32
}

/// The positions of the bits that are set, lowest first.
fn bits(mut set: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (set != 0).then(|| set.trailing_zeros())?;
        set &= set - 1;
        Some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(set: DaySet) -> Vec<u32> {
        bits(set.into()).collect()
    }

    #[test]
    fn weekdays_of_a_month_that_begins_on_a_friday() {
        let every_monday = Days { months: 2, weekdays: 1 << 1, ..Days::default() };
        assert_eq!(days(every_monday.matching(31, 5)), [4, 11, 18, 25]);
        let every_day = Days { months: 2, weekdays: 0x7f, ..Days::default() };
        assert_eq!(days(every_day.matching(28, 5)), (1..=28).collect::<Vec<_>>());
        assert_eq!(days(every_day.matching(31, 0)), (1..=31).collect::<Vec<_>>());
    }

    #[test]
    fn nearest_working_day_stays_in_its_month() {
        assert_eq!(nearest_working_day(1, 31, 6), Some(3)); // Saturday the 1st: Monday the 3rd
        assert_eq!(nearest_working_day(1, 31, 0), Some(2));
        assert_eq!(nearest_working_day(31, 31, 5), Some(29)); // Sunday the 31st: Friday
        assert_eq!(nearest_working_day(31, 31, 4), Some(30)); // Saturday the 31st: Friday
        assert_eq!(nearest_working_day(31, 30, 4), None);
        assert_eq!(nearest_working_day(0, 30, 6), Some(28)); // Sunday the 30th
    }

    #[test]
    fn fifth_and_last_weekday() {
        let fifth_sunday = Days { months: 2, nth: 1 << 4, ..Days::default() };
        assert_eq!(days(fifth_sunday.matching(31, 0)), [29]);
        assert!(days(fifth_sunday.matching(28, 0)).is_empty());
        let last_sunday = Days { months: 2, nth: 1 << LAST, ..Days::default() };
        assert_eq!(days(last_sunday.matching(28, 0)), [22]);
        assert_eq!(days(last_sunday.matching(31, 0)), [29]);
    }
}
