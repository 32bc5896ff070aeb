//! What the config says to the worker `passivate-users`. What it does is in `workers`.

use std::time::Duration;

use crate::config::problem::quoted;
use crate::config::table::Table;

/// Users not seen for a time become inactive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassivateUsers {
    /// The name of one of the config's databases.
    pub database: String,
    /// Since the last login, or the creation where there was none.
    pub inactive_after: Duration,
    /// The table, perhaps with its schema: ASCII letters, digits and `_`, and at most one `.`.
    pub table: String,
    pub columns: Columns,
    /// A condition in SQL that users must meet as well. It is the operator's own SQL and goes in as it is.
    pub condition: Option<String>,
    /// Users in one transaction.
    pub chunk: u32,
    /// The rest between two transactions.
    pub pause: Duration,
    /// Say what would be done, and change nothing.
    pub dry_run: bool,
}

impl PassivateUsers {
    /// The worker on a database, with the defaults of the config.
    pub fn new(database: impl Into<String>) -> PassivateUsers {
        PassivateUsers {
            database: database.into(),
            inactive_after: Duration::from_secs(30 * 86_400),
            table: "users".into(),
            columns: Columns::default(),
            condition: None,
            chunk: 1000,
            pause: Duration::from_millis(50),
            dry_run: false,
        }
    }
}

/// The columns of the table of users: ASCII letters, digits and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    pub id: String,
    pub active: String,
    pub last_login: String,
    pub created: String,
}

impl Default for Columns {
    fn default() -> Self {
        Columns {
            id: "id".into(),
            active: "is_active".into(),
            last_login: "last_login_at".into(),
            created: "created_at".into(),
        }
    }
}

/// Reads the worker's keys; `None` if no database is named.
pub(super) fn read(table: &Table<'_>) -> Option<PassivateUsers> {
    if !table.has("database") {
        table.report_whole("names no database", "add `database`, the name of a `[databases.NAME]`");
    }
    let database = table.text("database");
    let default = PassivateUsers::new(database.unwrap_or_default());
    let condition = table.text("where");
    if condition.is_some_and(|condition| condition.trim().is_empty()) {
        table.report(table.value_place("where"), "where", "is empty", "leave it out to mean every user");
    }
    let worker = PassivateUsers {
        inactive_after: table.duration("inactive_after").unwrap_or(default.inactive_after),
        table: identifier(table, "table", 2).unwrap_or(default.table),
        columns: columns(table),
        condition: condition.map(str::to_owned),
        chunk: table.integer("chunk").and_then(|users| u32::try_from(users).ok()).unwrap_or(default.chunk),
        pause: table.duration("pause").unwrap_or(default.pause),
        dry_run: table.flag("dry_run").unwrap_or(default.dry_run),
        database: default.database,
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
