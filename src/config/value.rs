//! Texts that stand for something: durations, sizes, instants, zones, file modes. Their errors say what to write
//! instead. Where the text stands, and under which key, is the caller's business.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::keys::nearest;
use super::problem::quoted;
use crate::core::limits;
use crate::core::time::Timestamp;
use crate::shim::Limit;
use crate::shim::limits::Unit;

/// Bytes: 1 EB, more than any disk has, and far from where arithmetic would saturate.
pub(super) const SIZE_MAX: u64 = 1_000_000_000_000_000_000;

/// What is wrong with a text, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wrong {
    pub message: String,
    pub hint: String,
}

impl Wrong {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Wrong {
        Wrong { message: message.into(), hint: hint.into() }
    }
}

/// `"5m"`, `"200ms"`, `"1h 30m"`: whole milliseconds, `least` to 100 years.
pub(super) fn duration(text: &str, least: Duration) -> Result<Duration, Wrong> {
    let hint = "write a number and a unit (ms, s, m, h, d, w), as \"5m\" or \"1h 30m\"";
    if text.trim().parse::<f64>().is_ok_and(|number| number != 0.0) {
        return Err(Wrong::new(
            format!("{} has no unit", quoted(text)),
            format!("write \"{}s\" for seconds", text.trim()),
        ));
    }
    let wrong = |_| Wrong::new(format!("{} is not a duration", quoted(text)), hint);
    let duration = humantime::parse_duration(text).map_err(wrong)?;
    let bound = |words: &str, bound: Duration, hint| {
        Err(Wrong::new(format!("{} {words} {}", quoted(text), in_words(bound)), hint))
    };
    if duration.subsec_nanos() % 1_000_000 != 0 {
        bound("is not in whole milliseconds, it is finer than", Duration::from_millis(1), "round it")
    } else if duration < least {
        bound("is less than", least, "make it longer")
    } else if duration > limits::DURATION_MAX {
        Err(Wrong::new(format!("{} is more than 100 years", quoted(text)), "make it shorter"))
    } else {
        Ok(duration)
    }
}

/// A duration as people write it: `1h 30m`.
pub(super) fn in_words(duration: Duration) -> String {
    if duration.as_secs().is_multiple_of(86_400) && duration.subsec_nanos() == 0 && duration.as_secs() > 0 {
        return format!("{}d", duration.as_secs() / 86_400); // 60d, not 1month 29days 13h
    }
    humantime::format_duration(duration).to_string()
}

/// `"2GB"`, `"512KiB"`: bytes, at most 1 EB.
pub(super) fn size(text: &str) -> Result<u64, Wrong> {
    let hint = "write a number and a unit (B, KB, MB, GB or KiB, MiB, GiB), as \"2GB\"";
    let size: bytesize::ByteSize =
        text.trim().parse().map_err(|_| Wrong::new(format!("{} is not a size", quoted(text)), hint))?;
    if size.as_u64() > SIZE_MAX {
        return Err(Wrong::new(format!("{} is more than 1 EB", quoted(text)), "make it smaller"));
    }
    Ok(size.as_u64())
}

/// What a limit is at most if it is a number: far from where the kernel takes it for none.
pub(super) const LIMIT_MAX: u64 = 1 << 62;

/// `"1024"`, `"2GiB"`, `"unlimited"`, or two of them as `"soft:hard"`.
pub(super) fn limit(text: &str, unit: Unit) -> Result<Limit, Wrong> {
    let end = |text: &str| match (text.trim(), unit) {
        ("unlimited" | "infinity", _) => Ok(None),
        (text, Unit::Bytes) if text.bytes().all(|byte| byte.is_ascii_digit()) && text != "0" && !text.is_empty() => {
            Err(Wrong::new(format!("{} has no unit", quoted(text)), format!("write \"{text}B\" for bytes")))
        }
        (text, Unit::Bytes) => size(text).map(Some),
        (text, Unit::Seconds | Unit::Pieces) => {
            let number = text.parse().ok().filter(|number| *number <= LIMIT_MAX);
            number.map(Some).ok_or_else(|| Wrong::new(format!("{} is not a limit", quoted(text)), limit_hint(unit)))
        }
    };
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    let (soft, hard) = (end(soft)?, end(hard)?);
    if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
        return Err(Wrong::new(
            format!("in {} the soft limit is above the hard one", quoted(text)),
            "make the second one at least as large",
        ));
    }
    Ok(Limit { soft, hard })
}

pub(super) fn limit_hint(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "write a size, as \"2GiB\", \"unlimited\", or two of them, as \"1GiB:2GiB\"",
        Unit::Seconds | Unit::Pieces => "write a whole number, \"unlimited\", or two of them, as \"1024:4096\"",
    }
}

/// A limit as it is written.
pub(super) fn limit_in_words(limit: Limit, unit: Unit) -> String {
    let end = |end: Option<u64>| match (end, unit) {
        (None, _) => "unlimited".to_owned(),
        (Some(bytes), Unit::Bytes) => size_in_words(bytes),
        (Some(number), Unit::Seconds | Unit::Pieces) => number.to_string(),
    };
    if limit.soft == limit.hard { end(limit.soft) } else { format!("{}:{}", end(limit.soft), end(limit.hard)) }
}

/// Bytes as people write them: in the unit in which they are a whole number, if there is one.
pub(super) fn size_in_words(bytes: u64) -> String {
    const UNITS: [(&str, u64); 6] =
        [("GiB", 1 << 30), ("GB", 1_000_000_000), ("MiB", 1 << 20), ("MB", 1_000_000), ("KiB", 1 << 10), ("KB", 1000)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

/// RFC 3339; without an offset it is read in `zone` (in a gap, at its end; in an overlap, the first time).
pub(super) fn instant(text: &str, zone: &TimeZone) -> Result<Timestamp, Wrong> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(time.as_millisecond()));
    }
    let wrong = || {
        let hint = "write it as 2026-12-01T08:00:00+01:00, or without an offset to have it read in the task's zone";
        Wrong::new(format!("{} is not a date and time", quoted(text)), hint)
    };
    let local: jiff::civil::DateTime = text.parse().map_err(|_| wrong())?;
    let time = local.to_zoned(zone.clone()).map_err(|_| wrong())?;
    Ok(Timestamp(time.timestamp().as_millisecond()))
}

/// File mode bits in octal, as `"0027"`.
pub(super) fn octal(text: &str) -> Result<u32, Wrong> {
    let plain = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    match u32::from_str_radix(text, 8) {
        Ok(bits) if plain && bits <= 0o777 => Ok(bits),
        _ => Err(Wrong::new(format!("{} is not a file mode", quoted(text)), "write three octal digits, as \"0027\"")),
    }
}

/// A zone by its name. Parsed once however many tasks name it.
#[derive(Clone)]
pub(super) struct Zone {
    /// The IANA name, as the data base spells it.
    pub name: String,
    pub rules: TimeZone,
}

/// The zones that were asked for.
pub(super) struct Zones {
    /// The zone of tasks that name none.
    pub system: Zone,
    known: RefCell<HashMap<String, Option<Zone>>>,
    names: std::cell::OnceCell<Vec<String>>,
}

impl Zones {
    /// `system` is the zone of tasks that name none.
    pub fn new(system: TimeZone) -> Zones {
        // A machine without a zone has `Etc/Unknown`; one with a file of its own has no name.
        let named = system.iana_name().filter(|_| !system.is_unknown()).map(str::to_owned);
        let system = match named {
            Some(name) => Zone { name, rules: system },
            None => Zone { name: "UTC".into(), rules: TimeZone::UTC },
        };
        Zones { system, known: RefCell::default(), names: std::cell::OnceCell::new() }
    }

    /// The zone of that name.
    pub fn get(&self, name: &str) -> Result<Zone, Wrong> {
        if let Some(known) = self.known.borrow().get(name) {
            return known.clone().ok_or_else(|| Wrong::new(format!("unknown time zone {}", quoted(name)), ""));
        }
        let found = TimeZone::get(name).ok().filter(|rules| !rules.is_unknown());
        let zone = found.map(|rules| Zone { name: rules.iana_name().unwrap_or(name).to_owned(), rules });
        self.known.borrow_mut().insert(name.to_owned(), zone.clone());
        zone.ok_or_else(|| Wrong::new(format!("unknown time zone {}", quoted(name)), self.hint(name)))
    }

    /// What may have been meant; searched once for each wrong name.
    fn hint(&self, name: &str) -> String {
        let names = self.names.get_or_init(|| jiff::tz::db().available().map(|name| name.to_string()).collect());
        // A city alone is often meant with its continent.
        let city =
            names.iter().find(|known| known.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name)));
        match city.map(String::as_str).or_else(|| nearest(name, names.iter().map(String::as_str))) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "write an IANA name, as \"Europe/Berlin\" or \"UTC\"".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        let parse = |text| {
            duration(text, Duration::from_millis(1)).map_err(|wrong| format!("{}; {}", wrong.message, wrong.hint))
        };
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(parse("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(parse("5").unwrap_err(), "`5` has no unit; write \"5s\" for seconds");
        assert_eq!(parse("0s").unwrap_err(), "`0s` is less than 1ms; make it longer");
        assert_eq!(parse("200y").unwrap_err(), "`200y` is more than 100 years; make it shorter");
        assert_eq!(
            parse("1500us").unwrap_err(),
            "`1500us` is not in whole milliseconds, it is finer than 1ms; round it"
        );
        for text in ["", "m", "5 parsecs", "-5m", "1h,30m", "99999999999999999999999d"] {
            let wrong = parse(text).unwrap_err();
            assert!(wrong.contains("is not a duration; write a number and a unit"), "{text}: {wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("2GB"), Ok(2_000_000_000));
        assert_eq!(size("512 KiB"), Ok(524_288));
        assert_eq!(size("1024"), Ok(1024));
        for text in ["", "GB", "-1GB", "2 parrots", "1.2.3MB"] {
            assert!(size(text).unwrap_err().message.ends_with("is not a size"), "{text}");
        }
        assert!(size("99999999999EB").unwrap_err().message.ends_with("is more than 1 EB"));
        for (bytes, text) in [(1 << 20, "1MiB"), (1_000_000_000, "1GB"), (1_536, "1536B"), (0, "0B"), (2048, "2KiB")] {
            assert_eq!(size_in_words(bytes), text);
        }
    }

    #[test]
    fn limits() {
        let read =
            |text, unit| limit(text, unit).map(|limit| limit_in_words(limit, unit)).map_err(|wrong| wrong.message);
        for text in ["1024", "1024:4096", "0:unlimited", "unlimited", "0"] {
            assert_eq!(read(text, Unit::Pieces).as_deref(), Ok(text));
        }
        for text in ["2GiB", "1KiB:2GiB", "1KiB:unlimited"] {
            assert_eq!(read(text, Unit::Bytes).as_deref(), Ok(text));
        }
        assert_eq!(read("0", Unit::Bytes).as_deref(), Ok("0B"));
        assert_eq!(read("5:4", Unit::Pieces).unwrap_err(), "in `5:4` the soft limit is above the hard one");
        assert_eq!(
            read("unlimited:4", Unit::Pieces).unwrap_err(),
            "in `unlimited:4` the soft limit is above the hard one"
        );
        assert_eq!(read("1024", Unit::Bytes).unwrap_err(), "`1024` has no unit");
        for text in ["", ":", "1:2:3", "-1", "18446744073709551615", "many"] {
            assert!(read(text, Unit::Pieces).unwrap_err().ends_with(" is not a limit"), "{text}");
        }
    }

    #[test]
    fn instants_without_an_offset_are_read_in_the_zone() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let read = |text| instant(text, &berlin).unwrap().to_string();
        assert_eq!(read("2026-12-01T08:00:00+01:00"), "2026-12-01T07:00:00.000Z");
        assert_eq!(read("2026-12-01T08:00:00Z"), "2026-12-01T08:00:00.000Z");
        assert_eq!(read("2026-12-01T08:00:00"), "2026-12-01T07:00:00.000Z");
        assert_eq!(read("2026-12-01 08:00"), "2026-12-01T07:00:00.000Z");
        assert_eq!(read("2026-07-01"), "2026-06-30T22:00:00.000Z");
        assert!(instant("tomorrow", &berlin).is_err());
        assert!(instant("08:00:00", &berlin).is_err());
    }

    #[test]
    fn zones_have_a_name_and_hints() {
        let zones = Zones::new(TimeZone::unknown());
        assert_eq!(zones.system.name, "UTC");
        assert_eq!(Zones::new(TimeZone::get("Asia/Tokyo").unwrap()).system.name, "Asia/Tokyo");
        assert_eq!(zones.get("europe/berlin").map(|zone| zone.name).ok().as_deref(), Some("Europe/Berlin"));
        let hint = |name| zones.get(name).err().unwrap().hint;
        assert_eq!(hint("Europe/Berlln"), "did you mean `Europe/Berlin`?");
        assert_eq!(hint("Tokyo"), "did you mean `Asia/Tokyo`?");
        assert_eq!(hint(""), "write an IANA name, as \"Europe/Berlin\" or \"UTC\"");
    }

    #[test]
    fn file_modes() {
        assert_eq!(octal("0027"), Ok(0o27));
        assert_eq!(octal("777"), Ok(0o777));
        for text in ["", "8", "1777", "00027", "+27", "0o27"] {
            assert!(octal(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,40}") {
            let _ = duration(&text, Duration::ZERO);
            let _ = size(&text);
            let _ = octal(&text);
            let _ = limit(&text, Unit::Bytes);
            let _ = limit(&text, Unit::Seconds);
            let _ = instant(&text, &TimeZone::UTC);
            let _ = Zones::new(TimeZone::UTC).get(&text);
        }

        #[test]
        fn numbers_with_units_are_answered(number in any::<u64>(), fraction in any::<u16>(), unit in "(ns|us|ms|s|m|h|d|w|M|y|B|KB|GiB|EB)") {
            for text in [format!("{number}{unit}"), format!("{number}.{fraction}{unit}")] {
                let _ = duration(&text, Duration::ZERO);
                let _ = size(&text);
            }
        }

        #[test]
        fn durations_in_words_read_back(ms in 0u64..3_000_000_000_000) {
            let value = Duration::from_millis(ms);
            prop_assert_eq!(duration(&in_words(value), Duration::ZERO), Ok(value));
        }

        #[test]
        fn sizes_in_words_read_back(bytes in 0..SIZE_MAX) {
            prop_assert_eq!(size(&size_in_words(bytes)), Ok(bytes));
        }
    }
}
