//! Which handler a task has, and that it has the keys of this one only.

use super::{Handler, WorkerConfig, clean_logs, passivate_users, process, sql};
use crate::config::keys::{EACH, HandlerKind};
use crate::config::problem::Place;
use crate::config::table::Table;
use crate::workers::Sql;

/// The keys of which a task has exactly one.
const KINDS: [&str; 4] = ["command", "shell", "sql", "worker"];
/// A key that says what a task runs, in a later version; it is refused on its own.
const KIND_LATER: &str = "http";

/// A task that uses a database; whether there is one of that name is known when all files are read.
pub(in crate::config) struct DatabaseUse {
    pub task: String,
    pub database: String,
    pub place: Place,
    /// What is right in it depends on the kind of database.
    pub statements: Option<Statements>,
}

/// The statements of a task, with where each stands.
pub(in crate::config) struct Statements {
    pub sql: Sql,
    pub places: Vec<Place>,
}

fn usage(table: &Table<'_>, database: &str, statements: Option<Statements>) -> DatabaseUse {
    let place = table.value_place("database");
    DatabaseUse { task: table.name.clone(), database: database.to_owned(), place, statements }
}

pub(super) fn read(table: &Table<'_>, uses: &mut Vec<DatabaseUse>) -> Option<Handler> {
    let kind = kind(table)?;
    refuse_others(table, kind);
    match kind {
        HandlerKind::Command | HandlerKind::Shell => process::read(table).map(Box::new).map(Handler::Process),
        HandlerKind::PassivateUsers => {
            let worker = passivate_users::read(table)?;
            uses.push(usage(table, &worker.database, None));
            Some(Handler::Worker(WorkerConfig::PassivateUsers(Box::new(worker))))
        }
        HandlerKind::Sql => statements(table, sql::read(table)?, uses).map(WorkerConfig::Sql).map(Handler::Worker),
        HandlerKind::CleanLogs => {
            clean_logs::read(table).map(|worker| Handler::Worker(WorkerConfig::CleanLogs(worker)))
        }
        HandlerKind::Http | HandlerKind::Batch => None,
    }
}

/// Takes down which database statements are for.
pub(super) fn statements(table: &Table<'_>, read: (Sql, Vec<Place>), uses: &mut Vec<DatabaseUse>) -> Option<Sql> {
    let (sql, places) = read;
    uses.push(usage(table, &sql.database, Some(Statements { sql: sql.clone(), places })));
    Some(sql)
}

fn kind(table: &Table<'_>) -> Option<HandlerKind> {
    let none = "give it one of `command`, `shell`, `sql` and `worker`, or `items` with `each`";
    if table.has("each") {
        let hint = "add `items`, which say what it is done with, or put what is in it into the task";
        table.report(table.key_place("each"), "each", "stands without `items`", hint);
        return None;
    }
    if table.has(KIND_LATER) && !KINDS.iter().any(|key| table.has(key)) {
        return None;
    }
    match the_one(table, &KINDS, ("runs nothing", none), "a task runs")? {
        "command" => Some(HandlerKind::Command),
        "shell" => Some(HandlerKind::Shell),
        "sql" => Some(HandlerKind::Sql),
        _ => match table.choice::<String>("worker")?.as_str() {
            "passivate-users" => Some(HandlerKind::PassivateUsers),
            "clean-logs" => Some(HandlerKind::CleanLogs),
            _ => None,
        },
    }
}

/// The one of some keys that is there. `none`: what to say where none is, and what to do; `rule`: what begins a
/// sentence that ends with "exactly one of them".
pub(super) fn the_one(
    table: &Table<'_>,
    keys: &[&'static str],
    none: (&str, &str),
    rule: &str,
) -> Option<&'static str> {
    let given: Vec<&'static str> = keys.iter().copied().filter(|key| table.has(key)).collect();
    match given[..] {
        [one] => Some(one),
        [] => {
            table.report_whole(none.0, none.1);
            None
        }
        [first, second, ..] => {
            let hint = format!("{rule} exactly one of {}", listed(keys));
            table.report(table.key_place(second), second, format!("stands beside `{first}`"), hint);
            None
        }
    }
}

/// `` `a`, `b` and `c` ``
pub(super) fn listed(keys: &[&str]) -> String {
    let quoted: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.join(""),
    }
}

/// Reports keys that belong to other handlers than this one.
pub(super) fn refuse_others(table: &Table<'_>, kind: HandlerKind) {
    for (key, place) in table.keys().filter(|(key, _)| !key.handlers.is_empty() && !key.handlers.contains(&kind)) {
        let owners: Vec<String> = key.handlers.iter().map(HandlerKind::to_string).collect();
        let verb = if kind == HandlerKind::Batch { "has" } else { "runs" };
        let goes_into_each = kind == HandlerKind::Batch && EACH.find(key.name).is_some();
        let hint = if goes_into_each { "put it into `each`" } else { "remove it" };
        let message = format!("belongs to {}; this task {verb} {kind}", owners.join(" and "));
        table.report(place, key.name, message, hint);
    }
}
