//! Gregorian arithmetic in integers: days since 1970-01-01 to year, month, day and back.
//! Nothing of zones, nothing of schedules.

/// Seconds of a civil day. Leap seconds do not exist in Unix time.
pub const DAY_SECONDS: i64 = 86_400;

/// Months after which the calendar, weekdays included, repeats: 400 years are 146,097 days, whole weeks.
pub const PERIOD_MONTHS: u32 = 400 * 12;

/// One month of one year, with what is needed to tell its days' weekdays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// Days since 1970-01-01 of the 1st.
    pub first_day: i64,
    /// 28 to 31.
    pub length: u32,
}

impl Month {
    /// The month in which `day` (days since 1970-01-01) lies, and the day of the month, from 1.
    pub fn of_day(day: i64) -> (Month, u32) {
        // Years are counted from March, so that the leap day is the last day of the year.
        let shifted = day + 719_468; // days from 0000-03-01 to 1970-01-01
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // 153 days are five months from March on: 31, 30, 31, 30, 31.
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day_of_month = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let first_day = day - i64::from(day_of_month) + 1;
        (Month { year, month, first_day, length: length(year, month) }, day_of_month)
    }

    /// The month after this one.
    pub fn next(self) -> Month {
        let (year, month) = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        Month { year, month, first_day: self.first_day + i64::from(self.length), length: length(year, month) }
    }

    /// The month before this one.
    pub fn previous(self) -> Month {
        let (year, month) = if self.month == 1 { (self.year - 1, 12) } else { (self.year, self.month - 1) };
        let length = length(year, month);
        Month { year, month, first_day: self.first_day - i64::from(length), length }
    }

    /// The weekday of the 1st: 0 is Sunday.
    pub fn first_weekday(self) -> u32 {
        (self.first_day + 4).rem_euclid(7) as u32 // 1970-01-01 was a Thursday
    }
}

/// Days of a month.
pub fn length(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        for (day, year, month, day_of_month, weekday_of_first) in [
            (0, 1970, 1, 1, 4),
            (-1, 1969, 12, 31, 1),
            (11_016, 2000, 2, 29, 2),
            (47_541, 2100, 3, 1, 1),
            (-719_468, 0, 3, 1, 3),
        ] {
            let (found, found_day) = Month::of_day(day);
            assert_eq!((found.year, found.month, found_day), (year, month, day_of_month), "day {day}");
            assert_eq!(found.first_weekday(), weekday_of_first, "day {day}");
        }
    }

    #[test]
    fn a_walk_over_all_days_of_a_period_agrees_with_stepping_by_months() {
        let (mut month, _) = Month::of_day(-719_468);
        let start = month;
        for _ in 0..PERIOD_MONTHS {
            for day_of_month in 1..=month.length {
                let day = month.first_day + i64::from(day_of_month) - 1;
                assert_eq!(Month::of_day(day), (month, day_of_month));
            }
            assert_eq!(month.next().previous(), month);
            month = month.next();
        }
        assert_eq!(month.first_day - start.first_day, 146_097);
        assert_eq!(month.first_weekday(), start.first_weekday());
    }
}
