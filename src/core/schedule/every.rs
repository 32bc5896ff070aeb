//! `@every`: instants a fixed duration apart, by arithmetic alone. Zones and DST do not touch it.

use std::time::Duration;

use crate::core::limits::DURATION_MAX;
use crate::core::time::Timestamp;

use super::error::ScheduleError;

/// Milliseconds between two instants of an `@every` schedule: at least 1,000, at most [`DURATION_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every(i64);

impl Every {
    /// Parses the duration after `@every`. `text` is the whole expression, for the error.
    pub fn parse(duration: &str, text: &str) -> Result<Every, ScheduleError> {
        let refuse = |problem: String| ScheduleError::Every { text: text.to_owned(), problem };
        if duration.is_empty() {
            return Err(refuse("is missing".into()));
        }
        let every = humantime::parse_duration(duration).map_err(|e| refuse(format!("cannot be read ({e})")))?;
        if every < Duration::from_secs(1) {
            return Err(refuse("is shorter than one second".into()));
        }
        if every > DURATION_MAX {
            return Err(refuse(format!("is longer than {} days", DURATION_MAX.as_secs() / 86_400)));
        }
        if every.subsec_nanos() % 1_000_000 != 0 {
            return Err(refuse("is finer than a millisecond".into()));
        }
        Ok(Every(every.as_millis() as i64))
    }

    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }

    /// The first instant after `after` that is a whole number of durations from `anchor`.
    pub fn next_after(self, after: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        let (after, anchor) = (i128::from(after.0), i128::from(anchor.0));
        instant(anchor + ((after - anchor).div_euclid(self.0.into()) + 1) * i128::from(self.0))
    }

    /// The last such instant at or before `until`.
    pub fn last_until(self, until: Timestamp, anchor: Timestamp) -> Option<Timestamp> {
        let (until, anchor) = (i128::from(until.0), i128::from(anchor.0));
        instant(anchor + (until - anchor).div_euclid(self.0.into()) * i128::from(self.0))
    }
}

fn instant(ms: i128) -> Option<Timestamp> {
    i64::try_from(ms).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_lie_on_the_anchor_s_grid() {
        let every = Every::parse("90s", "@every 90s").unwrap();
        let anchor = Timestamp(1_000_007);
        assert_eq!(every.next_after(anchor, anchor), Some(Timestamp(1_090_007)));
        assert_eq!(every.next_after(Timestamp(1_090_006), anchor), Some(Timestamp(1_090_007)));
        assert_eq!(every.next_after(Timestamp(1_000_006), anchor), Some(anchor));
        assert_eq!(every.last_until(Timestamp(1_090_006), anchor), Some(anchor));
        assert_eq!(every.last_until(anchor, anchor), Some(anchor));
    }

    #[test]
    fn the_ends_of_time_are_no_panic() {
        let every = Every::parse("1s", "@every 1s").unwrap();
        assert_eq!(every.next_after(Timestamp(i64::MAX), Timestamp(i64::MIN)), None);
        assert_eq!(every.last_until(Timestamp(i64::MIN), Timestamp(i64::MAX)), None);
        assert_eq!(every.last_until(Timestamp(i64::MAX), Timestamp(i64::MAX)), Some(Timestamp(i64::MAX)));
    }

    #[test]
    fn durations_out_of_bounds_are_refused() {
        for (duration, problem) in [
            ("", "is missing"),
            ("999ms", "is shorter than one second"),
            ("0s", "is shorter than one second"),
            ("101years", "is longer than 36600 days"),
            ("1s 1us", "is finer than a millisecond"),
        ] {
            match Every::parse(duration, "@every") {
                Err(ScheduleError::Every { problem: found, .. }) => assert_eq!(found, problem, "`{duration}`"),
                other => panic!("`{duration}`: {other:?}"),
            }
        }
        for text in ["90", "s", "-5s", "99999999999999999999y", "1e9s", "5 parsecs"] {
            assert!(matches!(Every::parse(text, text), Err(ScheduleError::Every { .. })), "`{text}`");
        }
    }
}
