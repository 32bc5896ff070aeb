//! How fast a run may begin items: a rate, and hours of the day.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::clock::Now;
use crate::config::{Hours, Rate};
use crate::core::time::Timestamp;

/// How much of a second's worth of items may begin at once: enough that no timer limits the rate, and no load spike.
const BURST: f64 = 0.1;

/// Counts what may begin. Without bounds it is always as many as are wanted.
pub struct Pace {
    rate: Option<Bucket>,
    window: Option<Window>,
}

/// Hours of the day in a time zone.
#[derive(Clone, Debug)]
pub struct Window {
    hours: Hours,
    zone: TimeZone,
}

impl Window {
    /// `zone`: its name; UTC if it is not known.
    pub fn new(hours: Hours, zone: &str) -> Window {
        Window { hours, zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC) }
    }

    pub fn includes(&self, now: Timestamp) -> bool {
        let time = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default().to_zoned(self.zone.clone());
        self.hours.includes(time.hour() as u16 * 60 + time.minute() as u16)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.hours, self.zone.iana_name().unwrap_or("UTC"))
    }
}

/// Items that may begin at once, filled at an even rate by the time awake.
struct Bucket {
    per_second: f64,
    most: f64,
    level: f64,
    filled: Duration,
}

impl Pace {
    /// `least`: items that begin together.
    pub fn new(rate: Option<Rate>, window: Option<Window>, least: u32, now: Now) -> Pace {
        let bucket = |rate: Rate| {
            let per_second = f64::from(rate.items) / rate.per.as_secs_f64();
            let most = (per_second * BURST).max(f64::from(least.max(1)));
            Bucket { per_second, most, level: most, filled: now.awake }
        };
        Pace { rate: rate.map(bucket), window }
    }

    /// How many items may begin now, and else after how long it is worth asking again.
    pub fn allows(&mut self, now: Now) -> Result<u32, Duration> {
        if self.window.as_ref().is_some_and(|window| !window.includes(now.wall)) {
            return Err(Duration::from_secs(1));
        }
        let Some(bucket) = &mut self.rate else { return Ok(u32::MAX) };
        let passed = now.awake.saturating_sub(bucket.filled).as_secs_f64();
        bucket.level = (bucket.level + passed * bucket.per_second).min(bucket.most);
        bucket.filled = now.awake;
        match bucket.level as u32 {
            0 => {
                let wait = (1.0 - bucket.level) / bucket.per_second;
                Err(Duration::from_secs_f64(wait.clamp(0.001, 60.0)))
            }
            some => Ok(some),
        }
    }

    /// So many have begun.
    pub fn took(&mut self, items: usize) {
        if let Some(bucket) = &mut self.rate {
            bucket.level -= items as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SimulatedClock};

    fn begin() -> SimulatedClock {
        SimulatedClock::at("2026-06-01T20:30:00Z".parse::<Timestamp>().expect("is an instant"))
    }

    #[test]
    fn a_rate_is_kept_over_time_and_without_spikes() {
        let clock = begin();
        let rate = Rate { items: 500, per: Duration::from_secs(1) };
        let mut pace = Pace::new(Some(rate), None, 1, clock.now());
        let mut begun = 0;
        for _ in 0..1000 {
            if let Ok(items) = pace.allows(clock.now()) {
                assert!(items <= 50, "{items} at once");
                pace.took(items as usize);
                begun += items;
            }
            clock.pass(Duration::from_millis(10));
        }
        assert!((5000..=5050).contains(&begun), "{begun} in ten seconds");
        // An idle hour is not made up for.
        clock.pass(Duration::from_secs(3600));
        assert_eq!(pace.allows(clock.now()), Ok(50));
    }

    #[test]
    fn a_slow_rate_says_how_long_to_wait() {
        let clock = begin();
        let rate = Rate { items: 30, per: Duration::from_secs(60) };
        let mut pace = Pace::new(Some(rate), None, 1, clock.now());
        assert_eq!(pace.allows(clock.now()), Ok(1));
        pace.took(1);
        assert_eq!(pace.allows(clock.now()), Err(Duration::from_secs(2)));
        clock.pass(Duration::from_secs(2));
        assert_eq!(pace.allows(clock.now()), Ok(1));
    }

    #[test]
    fn hours_are_those_of_the_zone() {
        let clock = begin();
        let night = Hours { from: 22 * 60, to: 6 * 60 };
        let night = Window::new(night, "Europe/Berlin");
        assert_eq!(night.to_string(), "22:00-06:00 (Europe/Berlin)");
        let mut pace = Pace::new(None, Some(night), 1, clock.now());
        assert_eq!(pace.allows(clock.now()), Ok(u32::MAX), "it is 22:30 in Berlin");
        clock.pass(Duration::from_secs(7 * 3600 + 1800));
        assert!(pace.allows(clock.now()).is_err(), "it is 06:00 in Berlin");
    }
}
