//! What the config says to the worker `passivate-users`. What it does is in `workers`.

use std::collections::BTreeMap;

use crate::config::problem::quoted;
use crate::config::table::{Table, full_name};
use crate::workers::{Columns, PassivateUsers};

/// Reads the worker's keys; `None` if no database is named.
pub(super) fn read(table: &Table<'_>) -> Option<PassivateUsers> {
    if !table.has("database") {
        table.report_whole("names no database", "add `database`, the name of a `[databases.NAME]`");
    }
    let database = table.text("database");
    let default = PassivateUsers::default();
    let columns = columns(table);
    let set = match table.has("set") {
        true => set(table, &columns.active),
        false => [(columns.active.clone(), "false".to_owned())].into(),
    };
    let worker = PassivateUsers {
        inactive_after: table.duration("inactive_after").unwrap_or(default.inactive_after),
        table: identifier(table, "table", 2).unwrap_or_else(|| default.table.clone()),
        active: sql(table, "active").unwrap_or_else(|| default.active.clone()),
        set,
        columns,
        condition: sql(table, "where"),
        chunk: table.integer("chunk").and_then(|users| u32::try_from(users).ok()).unwrap_or(default.chunk),
        pause: table.duration("pause").unwrap_or(default.pause),
        dry_run: table.flag("dry_run").unwrap_or(default.dry_run),
        database: database.unwrap_or_default().to_owned(),
    };
    database.is_some().then_some(worker)
}

fn columns(table: &Table<'_>) -> Columns {
    let mut columns = Columns::default();
    let Some(inner) = table.table("columns") else { return columns };
    for (key, column) in [
        ("id", &mut columns.id),
        ("active", &mut columns.active),
        ("last_login", &mut columns.last_login),
        ("created", &mut columns.created),
    ] {
        if let Some(name) = identifier(&inner, key, 1) {
            *column = name;
        }
    }
    columns.tenant = identifier(&inner, "tenant", 1);
    columns
}

/// A piece of SQL that is not empty.
fn sql(table: &Table<'_>, key: &str) -> Option<String> {
    let text = table.text(key)?;
    if text.trim().is_empty() {
        let hint = if key == "where" { "leave it out to mean every user" } else { "leave it out for its default" };
        table.report(table.value_place(key), key, "is empty", hint);
        return None;
    }
    Some(text.to_owned())
}

/// What is set, by column.
fn set(table: &Table<'_>, active: &str) -> BTreeMap<String, String> {
    let mut set = BTreeMap::new();
    let assignments = table.assignments("set").unwrap_or_default();
    for &(column, place, expression) in &assignments {
        let report = |message: String, hint| {
            table.context.report.add(place, full_name(&table.full("set"), column), message, hint)
        };
        if !plain(column) {
            report(format!("{} is not a plain name", quoted(column)), PLAIN);
        } else if expression.trim().is_empty() {
            report("is empty".into(), "write an expression in SQL, as \"false\" or \"'passive'\"");
        }
        set.insert(column.to_owned(), expression.to_owned());
    }
    if !assignments.is_empty() && !set.contains_key(active) {
        let hint = "or the same users would be found again each time";
        table.report(table.value_place("set"), "set", format!("must set the column `{active}` too"), hint);
    }
    set
}

const PLAIN: &str = "letters, digits and `_`, not a digit first";

/// A name that needs no quotes in SQL.
fn plain(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A name in SQL of at most `parts_max` parts. These names become part of statements, so they are kept plain.
fn identifier(table: &Table<'_>, key: &str, parts_max: usize) -> Option<String> {
    let name = table.text(key)?;
    if name.split('.').count() <= parts_max && name.split('.').all(plain) {
        return Some(name.to_owned());
    }
    let hint = match parts_max {
        1 => PLAIN,
        _ => "letters, digits and `_`, not a digit first, perhaps with its schema as in \"app.users\"",
    };
    table.report(table.value_place(key), key, format!("{} is not a plain name", quoted(name)), hint);
    None
}
