//! Any text gets an answer, never a panic; and what is accepted can be evaluated anywhere in time.

use daybook::core::policy::Dst;
use daybook::core::schedule::{Rule, Schedule, Zone};
use daybook::core::time::Timestamp;
use proptest::prelude::*;

/// An element of a list, any of the kinds there are, rightly placed or not.
const ELEMENT: &str =
    "([*?]|[0-9]{1,2}|[0-9]{1,2}-[0-9]{1,2}|L|LW|[1-9]W|[0-7]#[1-5]|[0-7]L|L-[0-9])(/[1-9])?(,[0-9])?";

fn config(cases: u64) -> ProptestConfig {
    ProptestConfig { cases: crate::cases(cases) as u32, failure_persistence: None, ..ProptestConfig::default() }
}

fn evaluate(text: &str, instant: i64) {
    let Ok(rule) = Rule::parse(text) else { return };
    let schedule = Schedule {
        rule,
        zone: Zone::get("America/Havana").unwrap(),
        dst: Dst::Vixie,
        anchor: Timestamp(instant.wrapping_mul(31)),
    };
    let instant = Timestamp(instant);
    if let Some(next) = schedule.next_after(instant) {
        assert!(next > instant, "`{text}` after {instant}: {next}");
        assert_eq!(schedule.last_until(next), Some(next), "`{text}` after {instant}");
    }
    if let Some(last) = schedule.last_until(instant) {
        assert!(last <= instant, "`{text}` until {instant}: {last}");
    }
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn any_text(text in any::<String>(), instant in any::<i64>()) {
        evaluate(&text, instant);
    }

    #[test]
    fn text_of_the_dialect_s_letters(text in "[-0-9*/,?#LWlw@ A-Z]{0,40}", instant in any::<i64>()) {
        evaluate(&text, instant);
    }

    #[test]
    fn fields_of_its_letters(
        fields in prop::collection::vec(ELEMENT, 5..=6),
        instant in -70_000_000_000_000i64..260_000_000_000_000,
    ) {
        evaluate(&fields.join(" "), instant);
    }

    #[test]
    fn durations(duration in "[-+0-9a-zA-Z. ]{0,20}", instant in any::<i64>()) {
        evaluate(&format!("@every {duration}"), instant);
        evaluate(&format!("@every 9{duration}s"), instant);
    }
}

proptest! {
    // Each refusal compares the name with every known one.
    #![proptest_config(config(50))]

    #[test]
    fn zone_names(name in any::<String>()) {
        let _ = Zone::get(&name);
    }
}
