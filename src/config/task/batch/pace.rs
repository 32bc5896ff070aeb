//! What bounds a batch, as it is written: `"500/s"`, `"22:00-06:00"`, `"50%"`.

use std::fmt;
use std::time::Duration;

use toml::de::DeValue;

use crate::config::problem::quoted;
use crate::config::raw::{expected, integer};
use crate::config::value::Wrong;
use crate::core::limits;
use crate::core::policy::MaxFailures;

/// Items of a [`Rate`].
const RATE_MAX: u32 = 1_000_000;
const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
const MINUTES_OF_DAY: u16 = 24 * 60;

/// At most so many items in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// 1 to 1,000,000.
    pub items: u32,
    /// A second, a minute, an hour or a day.
    pub per: Duration,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, seconds)| *seconds == self.per.as_secs());
        write!(f, "{}/{}", self.items, unit.map_or("?", |(unit, _)| unit))
    }
}

/// Hours of the day, as minutes since midnight below 1440; they may go over midnight, and are never none or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// The first minute of them.
    pub from: u16,
    /// The first minute after them.
    pub to: u16,
}

impl Hours {
    /// Whether this minute of the day is one of them.
    pub fn includes(self, minute: u16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hours { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

pub(super) fn rate(value: &DeValue<'_>) -> Result<Rate, Wrong> {
    let hint = "write a number of items and a unit of time (s, m, h, d), as \"500/s\" or \"30/m\"";
    let text = match value {
        DeValue::String(text) => text,
        DeValue::Integer(number) => {
            return Err(Wrong::new("names no time", format!("write \"{number}/s\" for so many each second")));
        }
        other => return Err(expected("a rate", other, hint.into())),
    };
    let wrong = || Wrong::new(format!("{} is not a rate", quoted(text)), hint);
    let (items, unit) = text.split_once('/').ok_or_else(wrong)?;
    let (items, unit) = (items.trim(), unit.trim());
    let (_, seconds) = UNITS.iter().find(|(known, _)| *known == unit).ok_or_else(wrong)?;
    if items.is_empty() || !items.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    match items.parse() {
        Ok(items @ 1..=RATE_MAX) => Ok(Rate { items, per: Duration::from_secs(*seconds) }),
        Ok(0) => Err(Wrong::new(format!("{} would start nothing", quoted(text)), "make it larger")),
        Ok(_) | Err(_) => {
            let message = format!("{} is more than {RATE_MAX} items", quoted(text));
            Err(Wrong::new(message, "leave it out for no bound"))
        }
    }
}

pub(super) fn hours(value: &DeValue<'_>) -> Result<Hours, Wrong> {
    let hint = "write two times of the day, as \"22:00-06:00\"";
    let DeValue::String(text) = value else { return Err(expected("hours of the day", value, hint.into())) };
    let read = |text: &str| -> Option<Hours> {
        let (from, to) = text.split_once('-')?;
        Some(Hours { from: minute(from)?, to: minute(to)? })
    };
    let Hours { from, to } =
        read(text).ok_or_else(|| Wrong::new(format!("{} is not hours of the day", quoted(text)), hint))?;
    // The end of the day is the beginning of the next one.
    let hours = Hours { from: from % MINUTES_OF_DAY, to: to % MINUTES_OF_DAY };
    if hours.from == hours.to {
        let message = format!("{} begins when it ends", quoted(text));
        return Err(Wrong::new(message, "leave it out for the whole day"));
    }
    Ok(hours)
}

/// `22:00`, up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two =
        |text: &str| (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok());
    let (hour, minute): (u16, u16) = (two(hour).flatten()?, two(minute).flatten()?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= MINUTES_OF_DAY).then_some(all)
}

pub(super) fn max_failures(value: &DeValue<'_>) -> Result<MaxFailures, Wrong> {
    let hint = "write a number of items, as 100, or a part of all, as \"50%\"";
    let text = match value {
        DeValue::String(text) => text.trim(),
        DeValue::Integer(_) => {
            let items: u64 = integer(value, 0..=limits::ITEMS_PER_BATCH_MAX as u64)?;
            return u32::try_from(items).map(MaxFailures::Items).map_err(|_| Wrong::new("is too large", hint));
        }
        other => return Err(expected("a whole number or a part", other, hint.into())),
    };
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = format!("{} is neither a number nor a part", quoted(text));
        return Err(Wrong::new(message, format!("write {text} for so many items, or \"{text}%\"")));
    }
    let percent =
        text.strip_suffix('%').map(str::trim_end).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    match percent.map(str::parse::<u32>) {
        Some(Ok(percent @ 0..=100)) => Ok(MaxFailures::Percent(percent as u8)),
        Some(Ok(_)) => Err(Wrong::new(format!("{} is more than 100%", quoted(text)), "leave it out for no bound")),
        Some(Err(_)) | None => Err(Wrong::new(format!("{} is not a part", quoted(text)), hint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> DeValue<'_> {
        DeValue::String(text.into())
    }

    #[test]
    fn rates() {
        for (written, items, seconds) in
            [("500/s", 500, 1), ("30/m", 30, 60), ("1000/h", 1000, 3600), ("1/d", 1, 86_400)]
        {
            let read = rate(&text(written)).unwrap();
            assert_eq!(read, Rate { items, per: Duration::from_secs(seconds) });
            assert_eq!(read.to_string(), written);
        }
        for wrong in
            ["", "500", "/s", "s/500", "-1/s", "+1/s", "1.5/s", "500/week", "0/s", "1000001/s", "99999999999/s"]
        {
            assert!(rate(&text(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hours_may_go_over_midnight() {
        let night = hours(&text("22:00-06:30")).unwrap();
        assert_eq!(night, Hours { from: 1320, to: 390 });
        assert_eq!(
            [0, 389, 390, 1319, 1320, 1439].map(|minute| night.includes(minute)),
            [true, true, false, false, true, true]
        );
        let day = hours(&text("06:00 - 22:00")).unwrap();
        assert_eq!([359, 360, 1319, 1320].map(|minute| day.includes(minute)), [false, true, true, false]);
        let evening = hours(&text("20:00-24:00")).unwrap();
        assert!(evening.includes(1439) && !evening.includes(0));
        for hours_again in [night, day, evening] {
            assert_eq!(hours(&text(&hours_again.to_string())), Ok(hours_again));
        }
        for wrong in [
            "",
            "22:00",
            "22-6",
            "22:00-6:00",
            "25:00-06:00",
            "22:60-06:00",
            "22:00-24:01",
            "06:00-06:00",
            "00:00-24:00",
        ] {
            assert!(hours(&text(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts_of_all_items() {
        assert_eq!(max_failures(&text("50%")), Ok(MaxFailures::Percent(50)));
        assert_eq!(max_failures(&text("0 %")), Ok(MaxFailures::Percent(0)));
        for wrong in ["", "%", "50", "101%", "300%", "-1%", "+1%", "half", "1.5%"] {
            assert!(max_failures(&text(wrong)).is_err(), "{wrong}");
        }
    }
}
