//! Reading durations and sizes in workers' settings: `"30d"`, `"2GB"`. Everything else about the
//! config file (places, nearest keys, includes) is not done here.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

use crate::core::limits;

/// Parses `"5m"` or `"1h 30m"`, at most [`limits::DURATION_MAX`].
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("`{text}` is not a duration such as \"30d\" or \"1h 30m\": {error}"))?;
    if duration > limits::DURATION_MAX {
        return Err(format!("`{text}` is more than 100 years"));
    }
    Ok(duration)
}

/// Parses `"2GB"` (10^9) or `"2GiB"` (2^30), in bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    text.parse::<bytesize::ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|error| format!("`{text}` is not a size such as \"500MB\" or \"2GiB\": {error}"))
}

/// `#[serde(with = "duration")]`: a duration written as text.
pub mod duration {
    use super::*;

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    /// The same where it may be absent.
    pub mod option {
        use super::*;

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            super::deserialize(deserializer).map(Some)
        }
    }
}

/// `#[serde(with = "size::option")]`: a size written as text, or as a plain number of bytes.
pub mod size {
    use super::*;

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a size such as \"500MB\", or a number of bytes")]
    enum Written {
        Bytes(u64),
        Text(String),
    }

    /// Where it may be absent.
    pub mod option {
        use super::*;

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
            match Written::deserialize(deserializer)? {
                Written::Bytes(bytes) => Ok(Some(bytes)),
                Written::Text(text) => parse_size(&text).map(Some).map_err(D::Error::custom),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_and_bounded() {
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert!(parse_duration("101y").unwrap_err().contains("more than 100 years"));
        assert!(parse_duration("30").unwrap_err().contains("not a duration"));
        assert_eq!(parse_size("2GB"), Ok(2_000_000_000));
        assert_eq!(parse_size("1KiB"), Ok(1024));
        assert!(parse_size("a lot").unwrap_err().contains("not a size"));
    }
}
