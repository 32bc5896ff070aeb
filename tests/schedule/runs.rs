//! Runs of instants: the first of many, the newest of many, and that they meet.

use daybook::core::policy::Dst;
use daybook::core::schedule::Schedule;
use daybook::core::time::Timestamp;

use crate::{at, schedule};

#[test]
fn due_ends_at_the_span_or_at_the_bound() {
    let hourly = schedule("@hourly", "UTC", Dst::Vixie);
    let (after, until) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T03:00:00Z"));
    let due = hourly.due(after, until, 10);
    assert_eq!(due.instants, [1, 2, 3].map(|hour| after.shifted(hour * 3_600_000)));
    assert_eq!(due.next, Some(at("2026-01-01T04:00:00Z")));
    let due = hourly.due(after, until, 2);
    assert_eq!((due.instants.len(), due.next), (2, Some(until)));
    let due = hourly.due(after, until, 0);
    assert_eq!((due.instants.len(), due.next), (0, Some(at("2026-01-01T01:00:00Z"))));
    let due = hourly.due(until, after, 10);
    assert_eq!((due.instants.len(), due.next), (0, Some(at("2026-01-01T04:00:00Z"))));
    let none = schedule("@reboot", "UTC", Dst::Vixie).due(after, until, 10);
    assert_eq!((none.instants.len(), none.next), (0, None));
}

#[test]
fn slices_joined_are_the_whole() {
    let minutes = schedule("*/7 * * * *", "Europe/Paris", Dst::Vixie);
    let (after, until) = (at("2026-10-24T12:00:00Z"), at("2026-10-26T12:00:00Z"));
    let whole: Vec<Timestamp> = minutes.after(after).take_while(|&at| at <= until).collect();
    let mut joined = Vec::new();
    let mut position = after;
    while let slice @ [.., last] = &minutes.due(position, until, 13).instants[..] {
        joined.extend_from_slice(slice);
        position = *last;
    }
    assert_eq!(joined, whole);
}

#[test]
fn the_newest_of_many() {
    let outage = (at("2020-01-01T00:00:00Z"), at("2026-10-25T12:00:00Z"));
    for (text, count) in
        [("* * * * *", 1000), ("* * * * * *", 1), ("30 2 * * *", 100), ("@every 90s", 50), ("0 0 1 1 *", 3)]
    {
        for dst in [Dst::Vixie, Dst::WallClock, Dst::Skip] {
            let schedule = schedule(text, "Europe/Paris", dst);
            let start = schedule.newest_start(outage.0, outage.1, count);
            let due = schedule.due(start, outage.1, usize::MAX);
            assert_eq!(due.instants.len(), count, "`{text}`");
            assert!(due.next > Some(outage.1));
            assert!(
                start >= outage.0 && schedule.last_until(start) == Some(start),
                "`{text}` starts at one of its instants"
            );
        }
    }
    let few = schedule("@yearly", "UTC", Dst::Vixie);
    assert_eq!(few.newest_start(outage.0, outage.1, 6), outage.0);
    assert_eq!(few.newest_start(outage.0, outage.1, 7), outage.0);
    assert_eq!(few.newest_start(outage.0, outage.1, 5), at("2021-01-01T00:00:00Z"));
    assert_eq!(few.newest_start(outage.0, outage.1, 0), at("2026-01-01T00:00:00Z"));
    assert_eq!(few.newest_start(outage.1, outage.0, 3), outage.1);
}

#[test]
fn a_hundred_thousand_fit_in_memory() {
    assert!(size_of::<Schedule>() <= 120, "{} bytes", size_of::<Schedule>());
}
