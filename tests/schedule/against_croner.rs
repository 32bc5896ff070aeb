//! The same instants as croner, in UTC, for all that both dialects read alike: no stepped star in
//! the day of month, no wrapped range, no `5/15`, no `L-3`, and `W` only alone.

use daybook::core::policy::Dst;
use daybook::core::schedule::Rule;
use daybook::core::time::Timestamp;
use jiff::tz::TimeZone;

use crate::generate::Random;
use crate::{at, cases, schedule};

#[test]
fn random_expressions_in_utc() {
    let mut compared = 0;
    for seed in 0..cases(600) {
        let mut random = Random(seed + 4_000_000);
        let with_seconds = random.chance(30);
        let expression = random.expression(with_seconds, 50);
        if expression.own_dialect || Rule::parse(&expression.text).is_err() {
            continue;
        }
        let text = &expression.text;
        let parser = croner::parser::CronParser::builder().seconds(croner::parser::Seconds::Optional).build();
        let judge = parser.parse(text).unwrap_or_else(|error| panic!("croner refuses `{text}`: {error}"));
        let mut position =
            Timestamp(random.within(at("1990-01-01T00:00:00Z").0, at("2100-01-01T00:00:00Z").0) / 1000 * 1000);
        let schedule = schedule(text, "UTC", Dst::Vixie);
        for _ in 0..10 {
            let zoned = jiff::Timestamp::from_millisecond(position.0).unwrap().to_zoned(TimeZone::UTC);
            let expected = judge.find_next_occurrence(&zoned, false).unwrap().timestamp().as_millisecond();
            let found = schedule.next_after(position);
            assert_eq!(found, Some(Timestamp(expected)), "seed {seed}, `{text}`, after {position}");
            position = Timestamp(expected);
        }
        compared += 1;
    }
    assert!(compared > 100, "only {compared} expressions were in both dialects");
}
