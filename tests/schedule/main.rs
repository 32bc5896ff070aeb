//! Schedules against independent judges: a brute-force evaluator that steps through time and
//! decides from plain definitions, jiff's own reading of local times, croner, and tables taken
//! from what Debian's cron(8) says about changes of the clock.
//!
//! `DAYBOOK_SCHEDULE_CASES` multiplies the number of random cases; the seeds are fixed.

mod against_brute_force;
mod against_croner;
mod brute_force;
mod daylight_saving;
mod garbage;
mod generate;
mod rare;
mod runs;

use daybook::core::policy::Dst;
use daybook::core::schedule::{Rule, Schedule, Zone};
use daybook::core::time::Timestamp;

/// Random cases of a test: `usual`, or a multiple of it.
fn cases(usual: u64) -> u64 {
    let factor = std::env::var("DAYBOOK_SCHEDULE_CASES").map(|text| text.parse().expect("a whole number")).unwrap_or(1);
    usual * factor
}

fn schedule(text: &str, zone: &str, dst: Dst) -> Schedule {
    let rule = Rule::parse(text).unwrap_or_else(|error| panic!("{error}"));
    Schedule { rule, zone: Zone::get(zone).unwrap(), dst, anchor: Timestamp(0) }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
