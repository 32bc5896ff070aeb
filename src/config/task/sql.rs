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

/// Reads a query on its own, and where it stands; `None` if there is none, or no database.
pub(super) fn read_query(table: &Table<'_>) -> Option<(Sql, Vec<Place>)> {
    let args = arguments(table);
    let (database, query) = (database(table), table.text("sql"));
    let place = table.value_place("sql");
    not_empty(table, query?, place);
    Some((Sql { database: database?, statements: vec![query?.to_owned()], args, transaction: true }, vec![place]))
}

/// Reads the handler's keys, and where each statement stands; `None` if there is no statement or no database.
pub(super) fn read(table: &Table<'_>) -> Option<(Sql, Vec<Place>)> {
    let args = arguments(table);
    let transaction = table.flag("transaction").unwrap_or(true);
    let (database, statements) = (database(table), table.texts("sql"));
    let (statements, places): (Vec<&str>, Vec<Place>) = statements?.into_iter().unzip();
    for (statement, place) in statements.iter().zip(&places) {
        not_empty(table, statement, *place);
    }
    let statements = statements.into_iter().map(str::to_owned).collect();
    Some((Sql { database: database?, statements, args, transaction }, places))
}

fn database(table: &Table<'_>) -> Option<String> {
    if !table.has("database") {
        table.report_whole("names no database", "add `database`, the name of a `[databases.NAME]`");
    }
    table.text("database").map(str::to_owned)
}

fn not_empty(table: &Table<'_>, statement: &str, place: Place) {
    if statement.trim().is_empty() {
        table.report(place, "sql", "is empty", "write a statement, as \"delete from sessions where ...\"");
    }
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
