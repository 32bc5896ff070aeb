//! One field of a cron expression: text to bit sets. What the fields mean together is in `expression.rs`.

use super::days::{Days, LAST};
use super::error::ScheduleError;

/// What one of the six fields may hold.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    min: u32,
    max: u32,
    /// Values after which a range that wraps around begins again.
    cycle: u32,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
    allowed: &'static str,
}

pub const SECOND: Field =
    Field { name: "second", min: 0, max: 59, cycle: 60, names: &[], allowed: "0-59, `*`, lists, ranges and steps" };
pub const MINUTE: Field = Field { name: "minute", ..SECOND };
pub const HOUR: Field =
    Field { name: "hour", min: 0, max: 23, cycle: 24, names: &[], allowed: "0-23, `*`, lists, ranges and steps" };
pub const DAY_OF_MONTH: Field = Field {
    name: "day-of-month",
    min: 1,
    max: 31,
    cycle: 31,
    names: &[],
    allowed: "1-31, `*`, lists, ranges and steps, `L` (last day), `L-3` (third before it), \
              `15W` (nearest working day), `LW`",
};
pub const MONTH: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    cycle: 12,
    names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    allowed: "1-12, JAN-DEC, `*`, lists, ranges and steps",
};
pub const DAY_OF_WEEK: Field = Field {
    name: "day-of-week",
    min: 0,
    max: 7, // Sunday is both
    cycle: 7,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    allowed: "0-7 (0 and 7 are Sunday), SUN-SAT, `*`, lists, ranges and steps, \
              `FRI#3` (third Friday), `FRIL` (last Friday)",
};

/// What is wrong with an element of a field; made into a whole error by [`Field::refuse`].
type Problem = String;

impl Field {
    /// The values that a field without `L`, `W` and `#` holds, as bits.
    pub fn values(&self, text: &str, field: &str) -> Result<u64, ScheduleError> {
        let mut values = 0;
        for item in field.split(',') {
            values |= self.range(item).map_err(|problem| self.refuse(text, item, problem))?;
        }
        Ok(values)
    }

    /// The error that says what is wrong with `item` of this field in the expression `text`.
    fn refuse(&self, text: &str, item: &str, problem: Problem) -> ScheduleError {
        ScheduleError::Field {
            text: text.to_owned(),
            field: self.name,
            item: item.to_owned(),
            problem,
            allowed: self.allowed,
            hint: "",
        }
    }

    /// `*`, `5`, `1-5`, `22-2`, each with or without `/step`.
    fn range(&self, item: &str) -> Result<u64, Problem> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (item, None),
        };
        let (first, last) = if range == "*" || range == "?" {
            (self.min, self.min + self.cycle - 1)
        } else if let Some((first, last)) = range.split_once('-') {
            self.ends(first, last)?
        } else {
            let first = self.value(range)? % self.modulus();
            // `5/15` is from 5 to the end of the field.
            (first, if step.is_some() { self.min + self.cycle - 1 } else { first })
        };
        let steps = (first..=last).step_by(step.unwrap_or(1) as usize);
        Ok(steps.fold(0, |values, value| values | 1 << ((value - self.min) % self.cycle + self.min)))
    }

    /// The ends of a range; one that wraps around, as `FRI-MON` or `22-2`, ends beyond the field's last value.
    fn ends(&self, first: &str, last: &str) -> Result<(u32, u32), Problem> {
        let (first, last) = (self.value(first)?, self.value(last)?);
        if first == last {
            return Ok((first, last));
        }
        let first = first % self.modulus();
        Ok((first, if last < first { last + self.cycle } else { last }))
    }

    /// Makes Sunday as 7 the same as Sunday as 0, and leaves all else.
    fn modulus(&self) -> u32 {
        if self.max - self.min + 1 > self.cycle { self.cycle } else { u32::MAX }
    }

    fn step(&self, step: &str) -> Result<u32, Problem> {
        match number(step) {
            Some(0) => Err("has the step 0".into()),
            Some(value) if value > self.max => {
                Err(format!("has a step greater than {}, so it would match its first value only", self.max))
            }
            Some(value) => Ok(value),
            None => Err(format!("has the step `{step}`, which is not a number")),
        }
    }

    fn value(&self, value: &str) -> Result<u32, Problem> {
        if value.is_empty() {
            return Err("lacks a value".into());
        }
        if let Some(index) = self.names.iter().position(|name| name.eq_ignore_ascii_case(value)) {
            return Ok(self.min + index as u32);
        }
        match number(value) {
            Some(number) if (self.min..=self.max).contains(&number) => Ok(number),
            None if !value.bytes().all(|byte| byte.is_ascii_digit()) => Err("is not a value".into()),
            Some(_) | None => Err("is out of range".into()),
        }
    }
}

/// Fills in what the day-of-month field says.
pub fn day_of_month(text: &str, field: &str, days: &mut Days) -> Result<(), ScheduleError> {
    for item in field.split(',') {
        day_of_month_item(item, days).map_err(|problem| DAY_OF_MONTH.refuse(text, item, problem))?;
    }
    Ok(())
}

fn day_of_month_item(item: &str, days: &mut Days) -> Result<(), Problem> {
    let upper = item.to_ascii_uppercase();
    if upper == "L" {
        days.from_end |= 1;
    } else if upper == "LW" || upper == "WL" {
        days.nearest_working |= 1;
    } else if let Some(back) = upper.strip_prefix("L-") {
        match number(back) {
            Some(back @ 1..=30) => days.from_end |= 1 << back,
            _ => return Err("must count 1 to 30 days before the last".into()),
        }
    } else if let Some(day) = upper.strip_suffix('W') {
        days.nearest_working |= 1 << DAY_OF_MONTH.value(day)?;
    } else {
        days.from_start |= DAY_OF_MONTH.range(item)? as u32;
    }
    Ok(())
}

/// Fills in what the day-of-week field says.
pub fn day_of_week(text: &str, field: &str, days: &mut Days) -> Result<(), ScheduleError> {
    for item in field.split(',') {
        day_of_week_item(item, days).map_err(|problem| DAY_OF_WEEK.refuse(text, item, problem))?;
    }
    Ok(())
}

fn day_of_week_item(item: &str, days: &mut Days) -> Result<(), Problem> {
    if let Some((weekday, week)) = item.split_once('#') {
        let weekday = DAY_OF_WEEK.value(weekday)? % 7;
        match number(week) {
            Some(week @ 1..=5) => days.nth |= 1 << (weekday * 6 + week - 1),
            _ => return Err("must name the first to the fifth of its weekday, `#1` to `#5`".into()),
        }
    } else if let Some(weekday) = item.strip_suffix(['L', 'l']) {
        if weekday.is_empty() {
            return Err("does not say the last of which weekday".into());
        }
        days.nth |= 1 << (DAY_OF_WEEK.value(weekday)? % 7 * 6 + LAST);
    } else {
        days.weekdays |= DAY_OF_WEEK.range(item)? as u8;
    }
    Ok(())
}

/// Whether Vixie's star flag is set: the field begins with `*`, with or without a step.
pub fn begins_with_star(field: &str) -> bool {
    field.starts_with(['*', '?'])
}

/// A plain decimal number of at most nine digits: no sign, no spaces.
fn number(text: &str) -> Option<u32> {
    let plain = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}
