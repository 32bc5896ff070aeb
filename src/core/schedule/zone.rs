//! Time zones: offsets and their changes, in whole seconds since 1970. The one place that asks jiff.

use jiff::tz::TimeZone;

use super::error::ScheduleError;

/// The seconds that can be evaluated: the years 1 to 9998.
pub const EARLIEST: i64 = -62_135_596_800;
pub const LATEST: i64 = 253_370_764_799;

/// No two offsets of a zone are further apart: jiff's are within 26 hours of UTC.
pub const OFFSETS_APART_MAX: i64 = 2 * 26 * 3600;

/// Names in the hint of an error.
const NEAREST_MAX: usize = 3;

/// The rules of a time zone. Cheap to clone: zones of the same name share their data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone with this IANA name (`Europe/Berlin`, any case), from the system's zoneinfo.
    ///
    /// A zone keeps the rules that it was made with; get it again after an update of the data.
    pub fn get(name: &str) -> Result<Zone, ScheduleError> {
        match TimeZone::get(name) {
            Ok(zone) if !zone.is_unknown() => Ok(Zone(zone)),
            _ => Err(unknown(name)),
        }
    }

    /// UTC, which needs no data.
    pub fn utc() -> Zone {
        Zone(TimeZone::UTC)
    }

    /// The name of the system's own zone (by `TZ`, then `/etc/localtime`); `UTC` when it has none that can be told.
    pub fn system_name() -> String {
        match TimeZone::try_system() {
            Ok(zone) => zone.iana_name().unwrap_or("UTC").to_owned(),
            Err(_) => "UTC".to_owned(),
        }
    }

    /// The zone's name as the database spells it.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Seconds to add to UTC for the local time.
    pub(super) fn offset_at(&self, second: i64) -> i64 {
        self.0.to_offset(instant(second)).seconds().into()
    }

    /// The first change of the zone's rules after `second`. The offset need not differ.
    pub(super) fn change_after(&self, second: i64) -> Option<i64> {
        self.0.following(instant(second)).next().map(|change| change.timestamp().as_second())
    }

    /// The last change at or before `second`.
    pub(super) fn change_until(&self, second: i64) -> Option<i64> {
        self.0.preceding(instant(second + 1)).next().map(|change| change.timestamp().as_second())
    }
}

fn instant(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second.clamp(EARLIEST, LATEST)).expect("the years 1 to 9998 are within jiff's range")
}

fn unknown(name: &str) -> ScheduleError {
    let shown: String = name.chars().take(64).collect();
    let mut known: Vec<(f64, String)> =
        jiff::tz::db().available().map(|known| (likeness(&shown, known.as_str()), known.as_str().to_owned())).collect();
    if known.is_empty() {
        let hint = "; this system has no time zone data, only `UTC` works until the package `tzdata` is installed";
        return ScheduleError::UnknownZone { name: shown, hint: hint.into() };
    }
    known.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let nearest: Vec<String> = known.into_iter().take(NEAREST_MAX).map(|(_, name)| format!("`{name}`")).collect();
    ScheduleError::UnknownZone { name: shown, hint: format!("; the nearest known are {}", nearest.join(", ")) }
}

/// 0 to 1. People write the city alone, so the last part of a name counts as well as the whole.
fn likeness(written: &str, known: &str) -> f64 {
    let (written, known) = (written.to_lowercase().replace(' ', "_"), known.to_lowercase());
    let city = known.rsplit('/').next().unwrap_or(&known);
    let written_city = written.rsplit('/').next().unwrap_or(&written);
    strsim::jaro_winkler(&written, &known).max(strsim::jaro_winkler(written_city, city) * 0.99)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(Zone::get("europe/berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(Zone::get("UTC").unwrap(), Zone::utc());
        assert!(Zone::get(&Zone::system_name()).is_ok());
        for (name, nearest) in [
            ("Europe/Berln", "`Europe/Berlin`"),
            ("Berlin", "`Europe/Berlin`"),
            ("America/NewYork", "`America/New_York`"),
            ("new york", "`America/New_York`"),
        ] {
            let error = Zone::get(name).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("time zone `{name}` is not known; the nearest known are {nearest}")),
                "{error}"
            );
        }
        for name in ["", "Etc/Unknown", "../../etc/passwd", "\0", "Europe", "CET-1CEST,M3.5.0,M10.5.0/3", "é"] {
            assert!(Zone::get(name).is_err(), "{name:?}");
        }
        assert!(Zone::get(&"x".repeat(1_000_000)).unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn changes_and_offsets() {
        let paris = Zone::get("Europe/Paris").unwrap();
        let spring = 1_774_746_000; // 2026-03-29T01:00:00Z
        assert_eq!((paris.offset_at(spring - 1), paris.offset_at(spring)), (3600, 7200));
        assert_eq!(paris.change_after(spring - 1), Some(spring));
        assert!(paris.change_after(spring).is_some_and(|change| change > spring));
        assert_eq!(paris.change_until(spring), Some(spring));
        assert!(paris.change_until(spring - 1).is_some_and(|change| change < spring));
        assert_eq!((Zone::utc().change_after(0), Zone::utc().change_until(0)), (None, None));
        assert_eq!(paris.offset_at(i64::MAX), paris.offset_at(LATEST));
    }

    /// What `search.rs` builds on, checked for all zones of the system's data.
    #[test]
    fn no_zone_changes_twice_within_three_days() {
        for name in jiff::tz::db().available() {
            let zone = Zone::get(name.as_str()).unwrap();
            let mut second = i64::MIN / 2;
            while let Some(change) = zone.change_after(second).filter(|&change| change < 4_102_444_800) {
                assert!(change - second > 3 * 86_400, "{name}: {second} and {change}");
                second = change;
            }
        }
    }
}
