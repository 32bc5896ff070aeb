//! Random expressions in zones with odd rules, 1990 to 2100, against the definitions.

use daybook::core::policy::Dst;
use daybook::core::schedule::{Rule, Schedule, Zone};
use daybook::core::time::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;

use crate::cases;
use crate::generate::{Expression, Random};

/// Half-hour and two-hour changes, changes at midnight, lost days, DST below zero, Ramadan, and plain ones.
const ZONES: [&str; 24] = [
    "Australia/Lord_Howe",
    "Asia/Hebron",
    "Asia/Gaza",
    "Europe/Dublin",
    "America/Sao_Paulo",
    "America/Asuncion",
    "America/Santiago",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "Pacific/Fakaofo",
    "Africa/Casablanca",
    "America/Havana",
    "Europe/London",
    "Europe/Paris",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Pyongyang",
    "Antarctica/Troll",
    "Antarctica/Casey",
    "Africa/Cairo",
    "America/Nuuk",
    "UTC",
];

const MODES: [Dst; 3] = [Dst::Vixie, Dst::WallClock, Dst::Skip];

/// The middle of a span worth looking at: mostly a change of the offset, else any instant.
fn interesting(random: &mut Random, zone: &TimeZone) -> i64 {
    let year_1990 = 631_152_000;
    let any = random.within(year_1990, year_1990 + 110 * 31_556_952);
    if random.chance(15) {
        return any;
    }
    let after = jiff::Timestamp::from_second(any).unwrap();
    zone.following(after)
        .next()
        .or_else(|| zone.preceding(after).next())
        .map_or(any, |change| change.timestamp().as_second())
}

fn build(expression: &Expression, zone: &str, dst: Dst) -> Option<Schedule> {
    // Random day fields can exclude each other; that refusal is tested in `rare.rs`.
    let rule = Rule::parse(&expression.text).ok()?;
    Some(Schedule { rule, zone: Zone::get(zone).unwrap(), dst, anchor: Timestamp(0) })
}

/// Compares all instants of [`from`, `until`), forward, backward, and from random instants within.
fn compare(random: &mut Random, schedule: &Schedule, expected: &[i64], from: i64, until: i64, what: &str) {
    let end = Timestamp(until * 1000 - 1);
    let due = schedule.due(Timestamp(from * 1000 - 1), end, usize::MAX);
    let found: Vec<i64> = due.instants.iter().map(|at| at.0 / 1000).collect();
    assert_eq!(found, expected, "forward: {what}");
    assert!(due.instants.iter().all(|at| at.0 % 1000 == 0));

    let mut backward = Vec::new();
    let mut position = end;
    while let Some(at) = schedule.last_until(position).filter(|at| at.0 >= from * 1000) {
        backward.push(at.0 / 1000);
        position = at.shifted(-1);
    }
    backward.reverse();
    assert_eq!(backward, expected, "backward: {what}");

    for _ in 0..20 {
        let instant = random.within(from * 1000, until * 1000 - 1);
        let next = expected.iter().map(|at| at * 1000).find(|&at| at > instant);
        let found = schedule.next_after(Timestamp(instant)).map(|at| at.0);
        assert!(found > Some(instant) || found.is_none(), "not after {instant}: {what}");
        assert_eq!(found.filter(|&at| at < until * 1000), next, "after {instant}: {what}");
        let last = expected.iter().map(|at| at * 1000).rfind(|&at| at <= instant);
        let found = schedule.last_until(Timestamp(instant)).map(|at| at.0);
        assert_eq!(found.filter(|&at| at >= from * 1000), last, "until {instant}: {what}");
    }
}

#[test]
fn minutes_around_changes() {
    for seed in 0..cases(300) {
        let mut random = Random(seed);
        let zone = *random.pick(&ZONES);
        let rules = TimeZone::get(zone).unwrap();
        let expression = random.expression(false, 20);
        let middle = interesting(&mut random, &rules) / 60 * 60;
        let (from, until) = (middle - 30 * 3600, middle + 30 * 3600);
        let judged = expression.due(&rules, MODES, from, until, 60);
        for (dst, expected) in MODES.into_iter().zip(judged) {
            let Some(schedule) = build(&expression, zone, dst) else { continue };
            let what = format!("seed {seed}, `{}`, {zone}, {dst:?}, around {middle}", expression.text);
            compare(&mut random, &schedule, &expected, from, until, &what);
        }
    }
}

#[test]
fn seconds_around_changes() {
    for seed in 0..cases(8) {
        let mut random = Random(seed + 1_000_000);
        let zone = *random.pick(&ZONES);
        let rules = TimeZone::get(zone).unwrap();
        let expression = random.expression(true, 5);
        let middle = interesting(&mut random, &rules);
        let (from, until) = (middle - 4 * 3600, middle + 4 * 3600);
        let judged = expression.due(&rules, MODES, from, until, 1);
        for (dst, expected) in MODES.into_iter().zip(judged) {
            let Some(schedule) = build(&expression, zone, dst) else { continue };
            let what = format!("seed {seed}, `{}`, {zone}, {dst:?}, around {middle}", expression.text);
            compare(&mut random, &schedule, &expected, from, until, &what);
        }
    }
}

/// Rare expressions over years: long jumps across many changes must not miss one.
#[test]
fn years_of_rare_days() {
    for seed in 0..cases(300) {
        let mut random = Random(seed + 2_000_000);
        let zone = *random.pick(&ZONES);
        let rules = TimeZone::get(zone).unwrap();
        let expression = random.expression(false, 90);
        if expression.hours.len() * expression.minutes.len() > 20 {
            continue; // the many instants of a day are tested above
        }
        let first = date(random.within(1990, 2096) as i16, random.within(1, 12) as i8, 1);
        let (from, until) = (
            rules.to_timestamp(first.at(12, 0, 0, 0)).unwrap().as_second(),
            rules
                .to_timestamp(first.checked_add(jiff::Span::new().days(1200)).unwrap().at(12, 0, 0, 0))
                .unwrap()
                .as_second(),
        );
        for dst in MODES {
            let Some(schedule) = build(&expression, zone, dst) else { continue };
            let mut expected = expression.due_by_local_times(&rules, dst, first.yesterday().unwrap(), 1203);
            expected.retain(|at| (from..until).contains(at));
            let what = format!("seed {seed}, `{}`, {zone}, {dst:?}, from {first}", expression.text);
            compare(&mut random, &schedule, &expected, from, until, &what);
        }
    }
}

/// The two judges see the same, so a mistake in one of them does not pass for a definition.
#[test]
fn the_judges_agree() {
    for seed in 0..cases(60) {
        let mut random = Random(seed + 3_000_000);
        let zone = *random.pick(&ZONES);
        let rules = TimeZone::get(zone).unwrap();
        let expression = random.expression(false, 10);
        let middle = interesting(&mut random, &rules) / 60 * 60;
        let (from, until) = (middle - 20 * 3600, middle + 20 * 3600);
        let first = rules.to_datetime(jiff::Timestamp::from_second(from).unwrap()).date();
        let before = first.checked_sub(jiff::Span::new().days(3)).unwrap();
        for (dst, expected) in MODES.into_iter().zip(expression.due(&rules, MODES, from, until, 60)) {
            let mut by_local_times = expression.due_by_local_times(&rules, dst, before, 8);
            by_local_times.retain(|at| (from..until).contains(at));
            let what = format!("seed {seed}, `{}`, {zone}, {dst:?}, around {middle}", expression.text);
            assert_eq!(expected, by_local_times, "{what}");
        }
    }
}
