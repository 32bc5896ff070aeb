//! What the config says to the worker `passivate-users`. What it does is in `workers`.

use crate::config::problem::quoted;
use crate::config::table::Table;
use crate::workers::{Columns, PassivateUsers};

/// Reads the worker's keys; `None` if no database is named.
pub(super) fn read(table: &Table<'_>) -> Option<PassivateUsers> {
    if !table.has("database") {
        table.report_whole("names no database", "add `database`, the name of a `[databases.NAME]`");
    }
    let database = table.text("database");
    let default = PassivateUsers::default();
    let condition = table.text("where");
    if condition.is_some_and(|condition| condition.trim().is_empty()) {
        table.report(table.value_place("where"), "where", "is empty", "leave it out to mean every user");
    }
    let worker = PassivateUsers {
        inactive_after: table.duration("inactive_after").unwrap_or(default.inactive_after),
        table: identifier(table, "table", 2).unwrap_or_else(|| default.table.clone()),
        columns: columns(table),
        condition: condition.map(str::to_owned),
        chunk: table.integer("chunk").and_then(|users| u32::try_from(users).ok()).unwrap_or(default.chunk),
        pause: table.duration("pause").unwrap_or(default.pause),
        dry_run: table.flag("dry_run").unwrap_or(default.dry_run),
        database: database.unwrap_or_default().to_owned(),
        ..default
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
    columns
}

/// A name in SQL of at most `parts_max` parts. These names become part of statements, so they are kept plain.
fn identifier(table: &Table<'_>, key: &str, parts_max: usize) -> Option<String> {
    let name = table.text(key)?;
    let plain = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if name.split('.').count() <= parts_max && name.split('.').all(plain) {
        return Some(name.to_owned());
    }
    let hint = match parts_max {
        1 => "letters, digits and `_`, not a digit first",
        _ => "letters, digits and `_`, not a digit first, perhaps with its schema as in \"app.users\"",
    };
    table.report(table.value_place(key), key, format!("{} is not a plain name", quoted(name)), hint);
    None
}
