//! What comes once in decades is found, what comes never is refused, and nothing searches for ever.

use daybook::core::policy::Dst;
use daybook::core::schedule::{Rule, ScheduleError};
use daybook::core::time::Timestamp;

use crate::{at, schedule};

#[test]
fn rare_days_are_found() {
    for (text, after, expected) in [
        ("0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"),
        ("0 0 29 2 *", "1896-03-01T00:00:00Z", "1904-02-29T00:00:00Z"),
        // Both fields hold, as the first begins with a star: a 29 February that is a Monday.
        ("0 0 */28 2 MON#5", "2026-01-01T00:00:00Z", "2044-02-29T00:00:00Z"),
        ("0 0 */28 2 MON#5", "2072-03-01T00:00:00Z", "2112-02-29T00:00:00Z"),
        // Either is enough.
        ("0 0 29 2 MON", "2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z"),
        ("0 0 31 12 SUN#5", "2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z"),
        ("0 0 */30 12 SUN#5", "2026-01-01T00:00:00Z", "2028-12-31T00:00:00Z"),
        ("0 0 L-28 2 *", "2026-01-01T00:00:00Z", "2028-02-01T00:00:00Z"),
        ("0 0 31W 5 *", "2026-01-01T00:00:00Z", "2026-05-29T00:00:00Z"),
        ("59 59 23 31 12 *", "2026-12-31T23:59:59Z", "2027-12-31T23:59:59Z"),
    ] {
        let schedule = schedule(text, "UTC", Dst::Vixie);
        let expected = at(expected);
        assert_eq!(schedule.next_after(at(after)), Some(expected), "`{text}`");
        assert_eq!(schedule.last_until(expected), Some(expected), "`{text}`");
        assert_eq!(schedule.last_until(expected.shifted(86_400_000 - 1)), Some(expected), "`{text}`");
        assert!(schedule.last_until(expected.shifted(-1)) <= Some(at(after)), "`{text}`");
    }
}

#[test]
fn what_can_never_match_is_refused_with_the_reason() {
    for (text, reason) in [
        ("0 0 31 2 *", "month `2` never has a day `31`"),
        ("0 0 30,31 FEB ?", "month `FEB` never has a day `30,31`"),
        ("0 0 31 4,6,9,11 */2", "month `4,6,9,11` never has a day `31`"),
        ("0 0 0 L-30 4 *", "month `4` never has a day `L-30`"),
    ] {
        let error = Rule::parse(text).unwrap_err();
        assert!(matches!(error, ScheduleError::NeverMatches { .. }), "`{text}`: {error}");
        assert_eq!(error.to_string(), format!("`{text}` can never match: {reason}"));
    }
}

/// The clock of Paris never shows 02:30 on the last Sunday of March.
#[test]
fn a_time_that_is_always_in_the_gap() {
    let after = at("2026-01-01T00:00:00Z");
    let always_in_gap = |dst| schedule("30 2 * 3 SUNL", "Europe/Paris", dst);
    assert_eq!(always_in_gap(Dst::Vixie).next_after(after), Some(at("2026-03-29T01:00:00Z")));
    assert_eq!(always_in_gap(Dst::Skip).next_after(after), None);
    assert_eq!(always_in_gap(Dst::WallClock).next_after(after), None);
    // Before the European Union agreed on the last Sunday, and before there was DST at all, it did.
    assert!(always_in_gap(Dst::Skip).last_until(after).is_some());
}

#[test]
fn the_ends_of_time() {
    for zone in ["UTC", "Europe/Paris", "Pacific/Apia"] {
        for text in ["* * * * *", "30 2 * * *", "0 0 29 2 *", "*/7 * * * * *"] {
            for dst in [Dst::Vixie, Dst::WallClock, Dst::Skip] {
                let schedule = schedule(text, zone, dst);
                assert_eq!(schedule.next_after(Timestamp(i64::MAX)), None);
                assert_eq!(schedule.last_until(Timestamp(i64::MIN)), None);
                let first = schedule.next_after(Timestamp(i64::MIN)).unwrap();
                let last = schedule.last_until(Timestamp(i64::MAX)).unwrap();
                assert!(first >= at("0001-01-01T00:00:00Z") && first < at("0005-01-01T00:00:00Z"), "{first}");
                assert!(last < at("9999-01-01T00:00:00Z") && last > at("9995-01-01T00:00:00Z"), "{last}");
                assert_eq!(schedule.last_until(first.shifted(-1)), None);
                assert_eq!(schedule.next_after(last), None);
            }
        }
    }
    let reboot = schedule("@reboot", "UTC", Dst::Vixie);
    assert!(reboot.rule.is_reboot());
    assert_eq!((reboot.next_after(Timestamp(0)), reboot.last_until(Timestamp(0))), (None, None));
}
