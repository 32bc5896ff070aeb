//! What the config says to the handler `sql`. What it does is in `workers`.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::de::DeValue;

use crate::config::problem::Place;
use crate::config::table::{Table, full_name};
use crate::core::limits;
use crate::workers::Sql;

/// Values in `args`.
const ARGS_MAX: usize = 100;

/// Reads the handler's keys, and where each statement stands; `None` if there is no statement or no database.
pub(super) fn read(table: &Table<'_>) -> Option<(Sql, Vec<Place>)> {
    if !table.has("database") {
        table.report_whole("names no database", "add `database`, the name of a `[databases.NAME]`");
    }
    let args = arguments(table);
    let transaction = table.flag("transaction").unwrap_or(true);
    let (database, statements) = (table.text("database"), table.texts("sql"));
    let (statements, places): (Vec<&str>, Vec<Place>) = statements?.into_iter().unzip();
    for (statement, place) in statements.iter().zip(&places) {
        if statement.trim().is_empty() {
            table.report(*place, "sql", "is empty", "write a statement, as \"delete from sessions where ...\"");
        }
    }
    let statements = statements.into_iter().map(str::to_owned).collect();
    Some((Sql { database: database?.to_owned(), statements, args, transaction }, places))
}

fn arguments(table: &Table<'_>) -> BTreeMap<String, Json> {
    let named = table.named("args");
    let report = |place, message: String, hint: &str| table.report(place, "args", message, hint);
    if named.len() > ARGS_MAX {
        report(table.value_place("args"), format!("has {} values, more than {ARGS_MAX}", named.len()), "");
    }
    let mut arguments = BTreeMap::new();
    let mut bytes = 0;
    for argument in named.iter().take(ARGS_MAX) {
        let full = full_name(&table.full("args"), argument.name);
        if !is_name(argument.name) {
            let hint = "names are letters, digits and `_`, not a digit first, at most 64 of them";
            table.context.report.add(argument.place, full, "is not the name of an argument", hint);
            continue;
        }
        match json(argument.value.get_ref()) {
            Some(value) => {
                bytes += value.to_string().len();
                arguments.insert(argument.name.to_owned(), value);
            }
            None => {
                let hint = "write a text, a number, true or false, or a list of them";
                table.context.report.add(argument.place, full, "is no value that can be bound", hint);
            }
        }
    }
    if bytes > limits::ARGS_BYTES_MAX {
        let message = format!("has {bytes} bytes of values, more than {}", limits::ARGS_BYTES_MAX);
        report(table.value_place("args"), message, "put large values into a table of the database");
    }
    arguments
}

/// As `:name` in a statement has it.
fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A value as JSON, as the arguments of jobs are; none for a table or a number that JSON does not have.
fn json(value: &DeValue<'_>) -> Option<Json> {
    match value {
        DeValue::String(text) => Some(Json::from(text.as_ref())),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(Json::from),
        DeValue::Float(number) => serde_json::Number::from_f64(number.as_str().parse().ok()?).map(Json::from),
        DeValue::Boolean(value) => Some(Json::from(*value)),
        DeValue::Datetime(datetime) => Some(Json::from(datetime.to_string())),
        DeValue::Array(values) => {
            values.iter().map(|value| json(value.get_ref())).collect::<Option<_>>().map(Json::Array)
        }
        DeValue::Table(_) => None,
    }
}
