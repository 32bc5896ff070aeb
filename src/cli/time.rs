//! Times and durations as people read them. Ages are reckoned by the daemon's clock.

use std::time::Duration;

use crate::core::time::Timestamp;

/// `3m ago`, `in 12s`, `now`; further off than four weeks the date.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let (past, distance) = if at <= now { (true, now.since(at)) } else { (false, at.since(now)) };
    if distance < Duration::from_secs(1) {
        return "now".to_owned();
    }
    if distance > Duration::from_secs(28 * 86_400) {
        return iso(at)[..10].to_owned();
    }
    match past {
        true => format!("{} ago", rough(distance)),
        false => format!("in {}", rough(distance)),
    }
}

/// One unit, rounded down: `12s`, `3m`, `5h`, `2d`.
fn rough(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// Two units: `350ms`, `12s`, `3m 5s`, `5h 10m`, `2d 3h`.
pub fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let pair = |large: u64, unit: &str, small: u64, of: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit} {small}{of}"),
    };
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3600 => pair(seconds / 60, "m", seconds % 60, "s"),
        3600..86_400 => pair(seconds / 3600, "h", seconds % 3600 / 60, "m"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// RFC 3339 in UTC, without a fraction of zero.
pub fn iso(at: Timestamp) -> String {
    at.to_string().replace(".000Z", "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let now = Timestamp(1_800_000_000_000);
        for (seconds, text) in [
            (0, "now"),
            (-59, "59s ago"),
            (-60, "1m ago"),
            (-7200, "2h ago"),
            (-172_800, "2d ago"),
            (12, "in 12s"),
            (90_000, "in 25h"),
            (40 * 86_400, "2027-02-24"),
        ] {
            assert_eq!(relative(now.shifted(seconds * 1000), now), text);
        }
    }

    #[test]
    fn lengths() {
        for (milliseconds, text) in [
            (350, "350ms"),
            (12_000, "12s"),
            (185_000, "3m 5s"),
            (3_600_000, "1h"),
            (37_800_000, "10h 30m"),
            (180_000_000, "2d 2h"),
        ] {
            assert_eq!(length(Duration::from_millis(milliseconds)), text);
        }
    }
}
