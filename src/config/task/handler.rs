//! Which handler a task has, and that it has the keys of this one only.

use super::{Handler, WorkerConfig, clean_logs, passivate_users, process, sql};
use crate::config::keys::HandlerKind;
use crate::config::problem::Place;
use crate::config::table::Table;
use crate::workers::Sql;

/// The keys of which a task has exactly one.
const KINDS: [&str; 4] = ["command", "shell", "sql", "worker"];
/// Keys that say what a task runs, in a later version; they are refused on their own.
const KINDS_LATER: [&str; 2] = ["http", "each"];

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
        HandlerKind::Sql => {
            let (sql, places) = sql::read(table)?;
            uses.push(usage(table, &sql.database, Some(Statements { sql: sql.clone(), places })));
            Some(Handler::Worker(WorkerConfig::Sql(sql)))
        }
        HandlerKind::CleanLogs => {
            clean_logs::read(table).map(|worker| Handler::Worker(WorkerConfig::CleanLogs(worker)))
        }
    }
}

fn kind(table: &Table<'_>) -> Option<HandlerKind> {
    let given: Vec<&str> = KINDS.into_iter().filter(|key| table.has(key)).collect();
    match given[..] {
        ["command"] => Some(HandlerKind::Command),
        ["shell"] => Some(HandlerKind::Shell),
        ["sql"] => Some(HandlerKind::Sql),
        ["worker"] => match table.choice::<String>("worker")?.as_str() {
            "passivate-users" => Some(HandlerKind::PassivateUsers),
            "clean-logs" => Some(HandlerKind::CleanLogs),
            _ => None,
        },
        [] => {
            if !KINDS_LATER.iter().any(|key| table.has(key)) {
                table.report_whole("runs nothing", "give it one of `command`, `shell`, `sql` and `worker`");
            }
            None
        }
        [first, second, ..] => {
            let hint = "a task runs exactly one of `command`, `shell`, `sql` and `worker`";
            table.report(table.key_place(second), second, format!("stands beside `{first}`"), hint);
            None
        }
        [_] => None,
    }
}

/// Reports keys that belong to other handlers than this one.
fn refuse_others(table: &Table<'_>, kind: HandlerKind) {
    for (key, place) in table.keys().filter(|(key, _)| !key.handlers.is_empty() && !key.handlers.contains(&kind)) {
        let owners: Vec<String> = key.handlers.iter().map(HandlerKind::to_string).collect();
        let message = format!("belongs to {}; this task runs {kind}", owners.join(" and "));
        table.report(place, key.name, message, "remove it");
    }
}
