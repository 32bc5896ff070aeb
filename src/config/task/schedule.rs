//! The one place where the config asks whether a schedule expression is one.

use crate::core::schedule::Rule;

/// Checks one expression; the error says what is wrong with it.
pub(super) fn check_schedule(text: &str) -> Result<(), String> {
    Rule::parse(text).map(|_| ()).map_err(|error| error.to_string())
}
