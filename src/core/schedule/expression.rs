//! The text of a schedule. What the fields hold one by one is in `field.rs`.
//!
//! # The dialect
//! Five fields: minute, hour, day of month, month, day of week; with six, seconds come first. No year.
//! - `*` or `?` is every value; lists `1,15`; ranges `1-5`; steps `*/15`, `10-50/15`; `5/15` steps from 5 to the
//!   field's end.
//! - A range whose end comes before its start wraps around: `22-2` is 22, 23, 0, 1, 2; `FRI-MON` is the long weekend.
//! - Names of months and weekdays, three letters, any case. Sunday is 0 or 7.
//! - Days of the month: `L` the last, `L-3` the third before it, `15W` the Monday to Friday nearest to the 15th in the
//!   same month (none in a month without that day), `LW` the last of those.
//! - Weekdays: `FRI#3` the third Friday, `FRIL` the last. `L`, `W` and `#` may stand in lists.
//! - Day of month and day of week: if both are restricted, **either** is enough (`0 0 13 * FRI` is every 13th and every
//!   Friday). If one of the two **begins with `*`**, **both** must hold; that is Debian's rule to the letter, so that
//!   `0 0 */2 * MON` is the Mondays that fall on odd days.
//! - `@yearly` = `@annually`, `@monthly`, `@weekly`, `@daily` = `@midnight`, `@hourly`; `@every 90s`; `@reboot`.
//!
//! Words are separated by any number of spaces and tabs. An expression that can never match is refused.

use crate::core::limits::SCHEDULE_BYTES_MAX;

use super::cron::Cron;
use super::days::Days;
use super::error::ScheduleError;
use super::every::Every;
use super::field::{self, HOUR, MINUTE, MONTH, SECOND};
use super::rule::{Kind, Rule};

const YEAR_HINT: &str = "; a year field is not supported, use the task's `from` and `until`";
const SHIFT_HINT: &str = " (with six fields, the first is the second)";

impl Rule {
    /// Parses the text of a schedule; see the module for the dialect. Takes some microseconds at most.
    pub fn parse(text: &str) -> Result<Rule, ScheduleError> {
        if text.len() > SCHEDULE_BYTES_MAX {
            return Err(ScheduleError::TooLong { bytes: text.len() });
        }
        let printable = |c: char| c == '\t' || c == ' ' || c.is_ascii_graphic();
        if let Some((index, character)) = text.chars().enumerate().find(|&(_, c)| !printable(c)) {
            return Err(ScheduleError::Character { character, position: index + 1 });
        }
        let text = text.trim_ascii();
        if text.is_empty() {
            return Err(ScheduleError::Empty);
        }
        if text.starts_with('@') { shorthand(text) } else { cron(text, text).map(|cron| Rule(Kind::Cron(cron))) }
    }
}

fn shorthand(text: &str) -> Result<Rule, ScheduleError> {
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    let lower = word.to_ascii_lowercase();
    if lower == "@every" {
        return Every::parse(rest.trim_ascii(), text).map(|every| Rule(Kind::Every(every)));
    }
    let fields = match lower.as_str() {
        "@reboot" if rest.is_empty() => return Ok(Rule(Kind::Reboot)),
        "@yearly" | "@annually" if rest.is_empty() => "0 0 1 1 *",
        "@monthly" if rest.is_empty() => "0 0 1 * *",
        "@weekly" if rest.is_empty() => "0 0 * * 0",
        "@daily" | "@midnight" if rest.is_empty() => "0 0 * * *",
        "@hourly" if rest.is_empty() => "0 * * * *",
        _ => return Err(ScheduleError::UnknownShorthand { text: text.to_owned() }),
    };
    cron(text, fields).map(|cron| Rule(Kind::Cron(cron)))
}

/// `text` is what was written, for errors; `fields` is what it stands for.
fn cron(text: &str, fields: &str) -> Result<Cron, ScheduleError> {
    let words: Vec<&str> = fields.split_ascii_whitespace().collect();
    let (second, [minute, hour, day_of_month, month, day_of_week]) = match words[..] {
        [minute, hour, day, month, weekday] => ("0", [minute, hour, day, month, weekday]),
        [second, minute, hour, day, month, weekday] => (second, [minute, hour, day, month, weekday]),
        _ => {
            let hint = if words.len() == 7 { YEAR_HINT } else { "" };
            return Err(ScheduleError::FieldCount { text: text.to_owned(), count: words.len(), hint });
        }
    };
    let parse = || {
        let mut days = Days {
            both: field::begins_with_star(day_of_month) || field::begins_with_star(day_of_week),
            ..Days::default()
        };
        let seconds = SECOND.values(text, second)?;
        let minutes = MINUTE.values(text, minute)?;
        let hours = HOUR.values(text, hour)?;
        field::day_of_month(text, day_of_month, &mut days)?;
        days.months = MONTH.values(text, month)? as u16;
        field::day_of_week(text, day_of_week, &mut days)?;
        let wildcard = field::begins_with_star(minute) || field::begins_with_star(hour);
        Ok(Cron { seconds, minutes, hours, days, wildcard })
    };
    // Six words are most often a crontab line whose command came along, or a seconds field put last.
    let cron = parse().map_err(|error| match error {
        ScheduleError::Field { text, field, item, problem, allowed, .. } if words.len() == 6 => {
            ScheduleError::Field { text, field, item, problem, allowed, hint: SHIFT_HINT }
        }
        other => other,
    })?;
    if !cron.days.can_match() {
        let reason = never(&cron.days, day_of_month, month, day_of_week);
        return Err(ScheduleError::NeverMatches { text: text.to_owned(), reason });
    }
    Ok(cron)
}

/// Why no day of any year matches.
fn never(days: &Days, day_of_month: &str, month: &str, day_of_week: &str) -> String {
    if days.date_can_match() {
        return format!(
            "in month `{month}`, day of month `{day_of_month}` and day of week `{day_of_week}` never fall on the same \
             day, and as one of them begins with `*`, both must hold"
        );
    }
    format!("month `{month}` never has a day `{day_of_month}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Cron {
        match Rule::parse(text) {
            Ok(Rule(Kind::Cron(cron))) => cron,
            other => panic!("`{text}`: {other:?}"),
        }
    }

    fn values(set: u64) -> Vec<u32> {
        (0..64).filter(|bit| set >> bit & 1 == 1).collect()
    }

    #[test]
    fn lists_ranges_and_steps() {
        for (field, expected) in [
            ("5", vec![5]),
            ("05", vec![5]),
            ("5,10,15", vec![5, 10, 15]),
            ("1-4", vec![1, 2, 3, 4]),
            ("*/20", vec![0, 20, 40]),
            ("?/20", vec![0, 20, 40]),
            ("5-40/15", vec![5, 20, 35]),
            ("5/15", vec![5, 20, 35, 50]),
            ("57-2", vec![0, 1, 2, 57, 58, 59]),
            ("50-10/5", vec![0, 5, 10, 50, 55]),
            ("7-7", vec![7]),
            ("*/59", vec![0, 59]),
            ("3,1-2,*/30", vec![0, 1, 2, 3, 30]),
        ] {
            assert_eq!(values(parsed(&format!("{field} * * * *")).minutes), expected, "`{field}`");
            assert_eq!(values(parsed(&format!("{field} 0 0 * * *")).seconds), expected, "`{field}`");
        }
        assert_eq!(values(parsed("0 22-2 * * *").hours), [0, 1, 2, 22, 23]);
        assert_eq!(values(parsed("0 0 28-3 * *").days.from_start.into()), [1, 2, 3, 28, 29, 30, 31]);
        assert_eq!(values(parsed("0 0 1 nov-Feb *").days.months.into()), [1, 2, 11, 12]);
        assert_eq!(values(parsed("0 0 1 */5 *").days.months.into()), [1, 6, 11]);
        assert_eq!(values(parsed("* * * * *").minutes), (0..60).collect::<Vec<_>>());
        assert_eq!(values(parsed("* * * * *").seconds), [0]);
    }

    #[test]
    fn weekdays_with_sunday_at_both_ends() {
        for (field, expected) in [
            ("0", vec![0]),
            ("7", vec![0]),
            ("7-7", vec![0]),
            ("sun", vec![0]),
            ("MON-fri", vec![1, 2, 3, 4, 5]),
            ("FRI-MON", vec![0, 1, 5, 6]),
            ("FRI-MON/2", vec![0, 5]),
            ("5-7", vec![0, 5, 6]),
            ("7-2", vec![0, 1, 2]),
            ("SAT-SUN", vec![0, 6]),
            ("0-7", vec![0, 1, 2, 3, 4, 5, 6]),
            ("1/2", vec![1, 3, 5]),
            ("7/3", vec![0, 3, 6]),
            ("*/2", vec![0, 2, 4, 6]),
            ("*/7", vec![0]),
        ] {
            assert_eq!(values(parsed(&format!("0 0 * * {field}")).days.weekdays.into()), expected, "`{field}`");
        }
    }

    #[test]
    fn last_nearest_and_nth() {
        let days = parsed("0 0 L,l-3,15W,lw,7 * *").days;
        assert_eq!((values(days.from_end.into()), values(days.nearest_working.into())), (vec![0, 3], vec![0, 15]));
        assert_eq!(values(days.from_start.into()), [7]);
        let days = parsed("0 0 * * FRI#3,5L,7#1,2").days;
        assert_eq!(values(days.nth), [0, 5 * 6 + 2, 5 * 6 + 5]);
        assert_eq!(values(days.weekdays.into()), [2]);
    }

    #[test]
    fn shorthands_and_white_space() {
        for (short, long) in [
            ("@yearly", "0 0 1 1 *"),
            ("@annually", "0 0 1 1 *"),
            ("@monthly", "0 0 1 * *"),
            ("@weekly", "0 0 * * 0"),
            ("@daily", "0 0 * * *"),
            ("@midnight", "0 0 * * *"),
            (" @Hourly\t", "0 * * * *"),
            ("  \t1   2\t3 4  5 ", "1 2 3 4 5"),
            ("0 1 2 3 4 5", "1 2 3 4 5"),
            ("? ? ? ? ?", "* * * * *"),
        ] {
            assert_eq!(Rule::parse(short), Rule::parse(long), "`{short}`");
        }
        assert!(Rule::parse("@reboot").unwrap().is_reboot());
        let every = Rule::parse("@every  1h 30m").unwrap().every();
        assert_eq!(every, Some(std::time::Duration::from_secs(5400)));
    }

    #[test]
    fn stars_decide_wildcards_and_how_the_days_combine() {
        for (text, wildcard, both) in [
            ("30 2 * * *", false, true),
            ("30 1,13 * * *", false, true),
            ("0-59 0-23 1 * MON", false, false),
            ("*/5 2 1 * *", true, true),
            ("0 */2 1 * 1-5", true, false),
            ("30 2 */2 * MON", false, true),
            ("30 2 1,*/2 * MON", false, false),
            ("* 30 2 L * FRI", false, false),
            ("0 ? 2 ? * FRI", true, true),
        ] {
            let cron = parsed(text);
            assert_eq!((cron.wildcard, cron.days.both), (wildcard, both), "`{text}`");
        }
    }

    #[test]
    fn errors_say_what_where_and_what_is_allowed() {
        let mut errors = String::new();
        for text in [
            "",
            " \t",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "* * * FOO *",
            "* * * * 8",
            "* * * * MONDAY",
            "5,,6 * * * *",
            "-5 * * * *",
            "*/0 * * * *",
            "*/60 * * * *",
            "*/ * * * *",
            "*/+5 * * * *",
            "99999999999 * * * *",
            "* * L-31 * *",
            "* * 32W * *",
            "* * * * MON#6",
            "* * * * L",
            "* * *",
            "* * * * * * *",
            "30 2 * * * /usr/bin/backup",
            "@fortnightly",
            "@daily 5",
            "@every soon",
            "0 0 31 2 *",
            "0 0 */28 2 MON#3",
            "0 0 * * *\n",
            "0 0 \u{661} * *",
        ] {
            let error = Rule::parse(text).expect_err(text);
            errors.push_str(&format!("{text:?}: {error}\n"));
        }
        insta::assert_snapshot!(errors);
        let long = " ".repeat(SCHEDULE_BYTES_MAX + 1);
        assert_eq!(Rule::parse(&long), Err(ScheduleError::TooLong { bytes: SCHEDULE_BYTES_MAX + 1 }));
    }

    #[test]
    fn what_never_matches_is_refused_and_what_rarely_does_is_not() {
        for text in [
            "0 0 30 2 *",
            "0 0 31 4,6,9,11 *",
            "0 0 30-31 FEB *",
            "0 0 30W 2 *",
            "0 0 L-29 2 *",
            "0 0 */28 2 MON#3",
            "0 0 31 2,4 */2",
        ] {
            let refused = matches!(Rule::parse(text), Err(ScheduleError::NeverMatches { .. }));
            assert!(refused, "`{text}`");
        }
        for text in
            ["0 0 29 2 *", "0 0 */28 2 MON#5", "0 0 L-28 2 *", "0 0 30 2 MON", "0 0 31 2 FRIL", "0 0 */30 12 SUN#5"]
        {
            assert!(Rule::parse(text).is_ok(), "`{text}`");
        }
    }
}
