//! One TOML value as what it has to be, or what is wrong with it. Under which key it stands is the table's business.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::quoted;
use super::value::{self, Wrong};
use crate::shim::Limit;
use crate::shim::limits::Unit;

/// A value of a file, with its place in it.
pub(super) type Value<'r> = Spanned<DeValue<'r>>;

pub(super) fn as_table<'r>(value: &'r Value<'r>, hint: impl FnOnce() -> String) -> Result<&'r DeTable<'r>, Wrong> {
    match value.get_ref() {
        DeValue::Table(table) => Ok(table),
        other => Err(expected("a table", other, hint())),
    }
}

pub(super) fn bounded<'r>(values: &'r [Value<'r>], count_max: usize) -> Result<&'r [Value<'r>], Wrong> {
    match values.len() {
        0 => Err(Wrong::new("is an empty list", "name at least one, or leave the key out")),
        count if count > count_max => Err(Wrong::new(format!("has {count} entries, more than {count_max}"), "")),
        _ => Ok(values),
    }
}

/// Text within bounds, without the zero byte that no program, path or database takes.
pub(super) fn text<'r>(value: &'r DeValue<'r>, bytes_max: usize) -> Result<&'r str, Wrong> {
    let text: &'r str = match value {
        DeValue::String(text) => text,
        DeValue::Integer(number) => return Err(expected("text", value, format!("write it in quotes: \"{number}\""))),
        other => return Err(expected("text", other, "write it in quotes".into())),
    };
    if text.len() > bytes_max {
        return Err(Wrong::new(format!("has {} bytes, more than {bytes_max}", text.len()), "make it shorter"));
    }
    if text.contains('\0') {
        return Err(Wrong::new("has a zero byte (\\u0000) in it", "remove it"));
    }
    Ok(text)
}

pub(super) fn duration(value: &DeValue<'_>, least: Duration) -> Result<Duration, Wrong> {
    match value {
        DeValue::String(text) => value::duration(text, least),
        DeValue::Integer(number) => Err(Wrong::new("has no unit", format!("write \"{number}s\" for seconds"))),
        other => Err(expected("a duration", other, "write it as \"5m\" or \"1h 30m\"".into())),
    }
}

pub(super) fn integer<N>(value: &DeValue<'_>, bounds: RangeInclusive<N>) -> Result<N, Wrong>
where
    N: TryFrom<i128> + PartialOrd + std::fmt::Display,
{
    let DeValue::Integer(number) = value else {
        let hint = if value.is_str() { "write the number without quotes" } else { "" };
        return Err(expected("a whole number", value, hint.into()));
    };
    let outside = || {
        let shown = quoted(&number.to_string()).replace('`', "");
        Wrong::new(format!("{shown} is not between {} and {}", bounds.start(), bounds.end()), "")
    };
    let parsed = i128::from_str_radix(number.as_str(), number.radix()).ok().and_then(|number| N::try_from(number).ok());
    parsed.filter(|number| bounds.contains(number)).ok_or_else(outside)
}

pub(super) fn expected(what: &str, found: &DeValue<'_>, hint: String) -> Wrong {
    let found = match found {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Wrong::new(format!("must be {what}, not {found}"), hint)
}

/// A bound of a process.
pub(super) fn limit(value: &DeValue<'_>, unit: Unit) -> Result<Limit, Wrong> {
    match value {
        DeValue::String(text) => value::limit(text, unit),
        DeValue::Integer(number) if unit == Unit::Bytes && number.as_str() != "0" => {
            Err(Wrong::new("has no unit", format!("write \"{number}B\" for bytes")))
        }
        DeValue::Integer(_) => {
            let number = integer(value, 0..=value::LIMIT_MAX)?;
            Ok(Limit { soft: Some(number), hard: Some(number) })
        }
        other => Err(expected("a limit", other, value::limit_hint(unit).into())),
    }
}
