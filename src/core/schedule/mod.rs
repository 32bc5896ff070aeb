//! Schedules: from a line of text to the instants at which it is due.
//!
//! Pure: no clock is read, nothing is remembered, and the only thing that comes from outside is
//! the rules of time zones ([`Zone::get`]). What becomes of an occurrence (run, skipped, missed,
//! merged) is decided elsewhere; here is only *when* there is one.
//!
//! | file | what lives there |
//! |---|---|
//! | `expression.rs` | the text of a whole schedule; the dialect, described |
//! | `field.rs` | one field of it: values, ranges, lists, steps, names |
//! | `days.rs` | which days of a month match; the proof that some day does |
//! | `calendar.rs` | Gregorian arithmetic in integers |
//! | `cron.rs` | which local times match; the next and the previous one |
//! | `zone.rs` | offsets and their changes, by jiff |
//! | `search.rs` | from local times to instants: Vixie's rule at changes of the offset |
//! | `every.rs` | `@every`: instants by arithmetic |
//! | `rule.rs` | the parsed schedule, of whatever kind |
//! | `occurrences.rs` | a rule in its zone: runs of instants, the newest of many |
//! | `jitter.rs` | the fixed delay of one occurrence |
//!
//! Costs are bounded by construction: a month's matching days are one bit set, computed from its
//! length and first weekday, so a search goes over months, not over days; and the calendar repeats
//! itself, so a search that has found nothing for long enough never will.

mod calendar;
mod cron;
mod days;
mod error;
mod every;
mod expression;
mod field;
mod jitter;
mod occurrences;
mod rule;
mod search;
mod zone;

pub use error::ScheduleError;
pub use jitter::jitter;
pub use occurrences::{Due, Schedule};
pub use rule::Rule;
pub use zone::Zone;
