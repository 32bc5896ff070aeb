//! Tables of what happens where clocks change. The promises of Debian's cron(8): jobs in the hour
//! that is left out run right after the change, jobs in the hour that is repeated are not run
//! twice, and jobs with a `*` in hour or minute follow the clock.

use daybook::core::policy::Dst::{self, Skip, Vixie, WallClock};

use crate::{at, schedule};

/// The instants in (`after`, `until`], as day and time in UTC, with the seconds where they are not zero.
#[track_caller]
fn check(text: &str, zone: &str, dst: Dst, after: &str, until: &str, expected: &[&str]) {
    let schedule = schedule(text, zone, dst);
    let found = schedule.due(at(after), at(until), 10_000).instants;
    let found: Vec<String> = found.iter().map(|at| short(&at.to_string()[8..19]).to_owned()).collect();
    assert_eq!(found, expected, "`{text}` in {zone}, {dst:?}");
}

fn short(time: &str) -> &str {
    time.strip_suffix(":00").unwrap_or(time)
}

/// 2026-03-29 in Paris: at 02:00 (01:00Z) the clock goes to 03:00.
#[test]
fn gap_of_an_hour() {
    let day = |text: &str, dst: Dst, expected: &[&str]| {
        check(text, "Europe/Paris", dst, "2026-03-28T23:30:00Z", "2026-03-29T03:30:00Z", expected);
    };
    day("30 2 * * *", Vixie, &["29T01:00"]);
    day("30 2 * * *", WallClock, &[]);
    day("30 2 * * *", Skip, &[]);
    day("30 1,13 * * *", Vixie, &["29T00:30"]);
    day("15,45 2 * * *", Vixie, &["29T01:00"]);
    day("0-59/10 2 * * *", Vixie, &["29T01:00"]);
    day("0 2,3 * * *", Vixie, &["29T01:00"]);
    day("30 2,3 * * *", Vixie, &["29T01:00", "29T01:30"]);
    day("30 1-4 * * *", Vixie, &["29T00:30", "29T01:00", "29T01:30", "29T02:30"]);
    day("*/30 2 * * *", Vixie, &[]);
    day("30 * * * *", Vixie, &["29T00:30", "29T01:30", "29T02:30", "29T03:30"]);
    day("30 */2 * * *", Vixie, &["29T02:30"]);
    day(
        "*/30 * * * *",
        Skip,
        &["29T00:00", "29T00:30", "29T01:00", "29T01:30", "29T02:00", "29T02:30", "29T03:00", "29T03:30"],
    );
    day("0 3 * * *", Vixie, &["29T01:00"]);
    day("0 2 * * *", Vixie, &["29T01:00"]);
    day("59 1 * * *", Vixie, &["29T00:59"]);
}

/// 2026-10-25 in Paris: at 03:00 (01:00Z) the clock goes back to 02:00.
#[test]
fn overlap_of_an_hour() {
    let day = |text: &str, dst: Dst, expected: &[&str]| {
        check(text, "Europe/Paris", dst, "2026-10-24T22:30:00Z", "2026-10-25T02:30:00Z", expected);
    };
    day("30 2 * * *", Vixie, &["25T00:30"]);
    day("30 2 * * *", WallClock, &["25T00:30", "25T01:30"]);
    day("30 2 * * *", Skip, &["25T00:30"]);
    day("30 1,13 * * *", Vixie, &["24T23:30"]);
    day("15,45 2 * * *", Vixie, &["25T00:15", "25T00:45"]);
    day("15,45 2 * * *", WallClock, &["25T00:15", "25T00:45", "25T01:15", "25T01:45"]);
    day("0 2,3 * * *", Vixie, &["25T00:00", "25T02:00"]);
    day("*/30 2 * * *", Vixie, &["25T00:00", "25T00:30", "25T01:00", "25T01:30"]);
    day("*/30 2 * * *", Skip, &["25T00:00", "25T00:30"]);
    day("0 * * * *", Vixie, &["24T23:00", "25T00:00", "25T01:00", "25T02:00"]);
    day("@hourly", Skip, &["24T23:00", "25T00:00", "25T02:00"]);
    day("0 3 * * *", Vixie, &["25T02:00"]);
}

#[test]
fn seconds_have_no_say() {
    let spring = ("2026-03-28T23:30:00Z", "2026-03-29T03:30:00Z");
    check("*/20 30 2 * * *", "Europe/Paris", Vixie, spring.0, spring.1, &["29T01:00"]);
    check("10,50 30 2 * * *", "Europe/Paris", WallClock, spring.0, spring.1, &[]);
    let autumn = ("2026-10-24T22:30:00Z", "2026-10-25T02:30:00Z");
    check("*/30 30 2 * * *", "Europe/Paris", Vixie, autumn.0, autumn.1, &["25T00:30", "25T00:30:30"]);
    check(
        "*/30 30 * * * *",
        "Europe/Paris",
        Vixie,
        autumn.0,
        "2026-10-25T01:30:30Z",
        &["24T22:30:30", "24T23:30", "24T23:30:30", "25T00:30", "25T00:30:30", "25T01:30", "25T01:30:30"],
    );
}

/// Lord Howe moves by half an hour: 2026-10-04 02:00 (3rd, 15:30Z) to 02:30; 2026-04-05 02:00 (4th, 15:00Z) to 01:30.
#[test]
fn half_an_hour() {
    let spring = ("2026-10-03T13:00:00Z", "2026-10-03T17:00:00Z");
    check("15,45 2 * * *", "Australia/Lord_Howe", Vixie, spring.0, spring.1, &["03T15:30", "03T15:45"]);
    check("15 * * * *", "Australia/Lord_Howe", Vixie, spring.0, spring.1, &["03T13:45", "03T14:45", "03T16:15"]);
    let autumn = ("2026-04-04T13:30:00Z", "2026-04-04T16:30:00Z");
    check("45 1 * * *", "Australia/Lord_Howe", Vixie, autumn.0, autumn.1, &["04T14:45"]);
    check(
        "45 * * * *",
        "Australia/Lord_Howe",
        Vixie,
        autumn.0,
        autumn.1,
        &["04T13:45", "04T14:45", "04T15:15", "04T16:15"],
    );
}

/// Samoa went from 2011-12-29 24:00 (30th, 10:00Z) to the 31st, 00:00: a gap of a day, run once at its end.
#[test]
fn a_day_that_never_was() {
    let span = ("2011-12-29T12:00:00Z", "2011-12-31T12:00:00Z");
    check("0 12 * * *", "Pacific/Apia", Vixie, span.0, span.1, &["29T22:00", "30T10:00", "30T22:00"]);
    check("0 12 30 12 *", "Pacific/Apia", Vixie, span.0, span.1, &["30T10:00"]);
    check("0 0 * * *", "Pacific/Apia", Vixie, span.0, span.1, &["30T10:00", "31T10:00"]);
    check("0 12 * * *", "Pacific/Apia", Skip, span.0, span.1, &["29T22:00", "30T22:00"]);
    check("0 */12 * * *", "Pacific/Apia", Vixie, span.0, span.1, &["29T22:00", "30T10:00", "30T22:00", "31T10:00"]);
}

/// Cairo and Sao Paulo change at midnight, so a daily schedule meets the change itself.
#[test]
fn changes_at_midnight() {
    // 2026-04-24 00:00 to 01:00 (23rd, 22:00Z), and 2026-10-30 00:00 back to the 29th, 23:00 (21:00Z).
    check("@daily", "Africa/Cairo", Vixie, "2026-04-23T12:00:00Z", "2026-04-24T12:00:00Z", &["23T22:00"]);
    check("@daily", "Africa/Cairo", Skip, "2026-04-23T12:00:00Z", "2026-04-24T12:00:00Z", &[]);
    check("30 23 * * *", "Africa/Cairo", Vixie, "2026-10-29T12:00:00Z", "2026-10-30T12:00:00Z", &["29T20:30"]);
    check("@daily", "Africa/Cairo", Vixie, "2026-10-29T12:00:00Z", "2026-10-30T12:00:00Z", &["29T22:00"]);
    // 2018-11-04 00:00 to 01:00 (03:00Z); 2018-02-18 00:00 back to the 17th, 23:00 (02:00Z).
    check("0 0 4 11 *", "America/Sao_Paulo", Vixie, "2018-11-03T12:00:00Z", "2018-11-05T12:00:00Z", &["04T03:00"]);
    check(
        "* 23 17 2 *",
        "America/Sao_Paulo",
        Skip,
        "2018-02-18T01:57:00Z",
        "2018-02-18T04:00:00Z",
        &["18T01:58", "18T01:59"],
    );
}

/// From within the second pass of an overlap, a rare time of the first pass lies just behind, and
/// one of the second pass just ahead: neither may be jumped over on the way to last or next year's.
#[test]
fn a_rare_time_in_an_overlap() {
    let rare = |dst| schedule("15 2 25 10 *", "Europe/Paris", dst);
    let (first, second) = (at("2026-10-25T00:15:00Z"), at("2026-10-25T01:15:00Z"));
    let next_year = at("2027-10-25T00:15:00Z");
    for dst in [Vixie, Skip] {
        assert_eq!(rare(dst).last_until(at("2026-10-25T01:05:00Z")), Some(first), "{dst:?}");
        assert_eq!(rare(dst).last_until(at("2026-10-25T01:25:00Z")), Some(first), "{dst:?}");
        assert_eq!(rare(dst).next_after(at("2026-10-25T00:25:00Z")), Some(next_year), "{dst:?}");
    }
    assert_eq!(rare(WallClock).last_until(at("2026-10-25T01:05:00Z")), Some(first));
    assert_eq!(rare(WallClock).next_after(at("2026-10-25T00:25:00Z")), Some(second));
    assert_eq!(rare(WallClock).next_after(second), Some(next_year));
}

/// Each step of an overlap goes forward, also when asked from within the second pass.
#[test]
fn never_back_in_time() {
    for (text, dst) in
        [("15,45 2 * * *", WallClock), ("* * * * *", Vixie), ("15 2 25 * *", WallClock), ("0 0 1 1 *", Vixie)]
    {
        let schedule = schedule(text, "Europe/Paris", dst);
        let start = at("2026-10-25T00:00:00Z").0;
        for ms in (start..start + 3 * 3_600_000).step_by(7_777) {
            let after = daybook::core::time::Timestamp(ms);
            let next = schedule.next_after(after).unwrap();
            assert!(next > after, "`{text}` after {after}: {next}");
            assert!(schedule.last_until(next) == Some(next) && schedule.last_until(after) <= Some(after));
        }
    }
}
