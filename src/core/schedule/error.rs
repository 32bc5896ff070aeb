//! Why a text is not a schedule, or a name not a time zone: what, where, and what to write instead.

use crate::core::limits::SCHEDULE_BYTES_MAX;

/// Why a schedule or its zone was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("the schedule is empty; write five fields such as `30 2 * * *`, or `@daily`, `@every 90s`, `@reboot`")]
    Empty,
    #[error("the schedule has {bytes} bytes, at most {SCHEDULE_BYTES_MAX} are allowed")]
    TooLong { bytes: usize },
    /// `position` counts characters from 1.
    #[error("character {position} of the schedule is {character:?}; only printable ASCII, spaces and tabs are allowed")]
    Character { character: char, position: usize },
    #[error(
        "`{text}` has {count} fields; write five (minute, hour, day of month, month, day of week) \
         or six (the same after seconds){hint}"
    )]
    FieldCount { text: String, count: usize, hint: &'static str },
    #[error("`{item}` in the {field} field of `{text}` {problem}; allowed are {allowed}{hint}")]
    Field {
        text: String,
        field: &'static str,
        /// The element of the field's list at fault, or the whole field.
        item: String,
        problem: String,
        allowed: &'static str,
        hint: &'static str,
    },
    #[error("`{text}` can never match: {reason}")]
    NeverMatches { text: String, reason: String },
    #[error(
        "`{text}` is not known; known are `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`, \
         `@hourly`, `@every` with a duration, `@reboot`"
    )]
    UnknownShorthand { text: String },
    #[error("the duration of `{text}` {problem}; write it like `@every 90s` or `@every 1h 30m`")]
    Every { text: String, problem: String },
    #[error("time zone `{name}` is not known{hint}")]
    UnknownZone { name: String, hint: String },
}
