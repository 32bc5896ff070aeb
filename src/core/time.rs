//! Instants as the core knows them: milliseconds since 1970 in UTC, handed in from outside.
//! No clock is read here; zones and calendars are `schedule`'s business.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant: milliseconds since 1970-01-01T00:00:00Z, negative before.
///
/// Arithmetic saturates, so no duration from a config file can make it wrap.
/// In JSON it is RFC 3339 in UTC with milliseconds; in the journal a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => serializer.serialize_i64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom),
            false => i64::deserialize(deserializer).map(Timestamp),
        }
    }
}

impl Timestamp {
    /// How long after `earlier` this is; zero when it is before it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    /// This instant moved by a signed number of milliseconds.
    pub fn shifted(self, ms: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(duration.as_millis().min(i64::MAX as u128) as i64))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(duration.as_millis().min(i64::MAX as u128) as i64))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-21T09:00:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match chrono::DateTime::from_timestamp_millis(self.0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
            None => write!(f, "{}ms", self.0), // beyond the year 262142
        }
    }
}

impl std::str::FromStr for Timestamp {
    type Err = String;
    /// Parses RFC 3339 with any offset.
    fn from_str(text: &str) -> Result<Self, String> {
        chrono::DateTime::parse_from_rfc3339(text)
            .map(|time| Timestamp(time.timestamp_millis()))
            .map_err(|e| format!("`{text}` is not a time like 2026-11-21T09:00:00Z: {e}"))
    }
}

/// `#[serde(with = "seconds")]`: a duration as seconds in JSON, as whole milliseconds in the journal.
pub mod seconds {
    use super::*;

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.serialize_f64(duration.as_secs_f64()),
            false => serializer.serialize_u64(duration.as_millis() as u64),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        match deserializer.is_human_readable() {
            true => Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom),
            false => u64::deserialize(deserializer).map(Duration::from_millis),
        }
    }

    /// The same for an optional duration.
    pub mod option {
        use super::*;

        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        struct Seconds(#[serde(with = "super")] Duration);

        pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            duration.map(Seconds).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            Ok(Option::<Seconds>::deserialize(deserializer)?.map(|seconds| seconds.0))
        }
    }
}
