//! Which handler a task has, and that it has the keys of this one only.

use super::{Handler, WorkerConfig, clean_logs, passivate_users, process};
use crate::config::keys::HandlerKind;
use crate::config::problem::Place;
use crate::config::table::Table;

/// The keys of which a task has exactly one.
const KINDS: [&str; 3] = ["command", "shell", "worker"];
/// Keys that say what a task runs, in a later version; they are refused on their own.
const KINDS_LATER: [&str; 3] = ["http", "sql", "each"];

/// A task that uses a database; whether there is one of that name is known when all files are read.
pub(in crate::config) struct DatabaseUse {
    pub task: String,
    pub database: String,
    pub place: Place,
}

pub(super) fn read(table: &Table<'_>, uses: &mut Vec<DatabaseUse>) -> Option<Handler> {
    let kind = kind(table)?;
    refuse_others(table, kind);
    match kind {
        HandlerKind::Command | HandlerKind::Shell => process::read(table).map(Handler::Process),
        HandlerKind::PassivateUsers => {
            let worker = passivate_users::read(table)?;
            let place = table.value_place("database");
            uses.push(DatabaseUse { task: table.name.clone(), database: worker.database.clone(), place });
            Some(Handler::Worker(WorkerConfig::PassivateUsers(Box::new(worker))))
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
        ["worker"] => match table.choice::<String>("worker")?.as_str() {
            "passivate-users" => Some(HandlerKind::PassivateUsers),
            "clean-logs" => Some(HandlerKind::CleanLogs),
            _ => None,
        },
        [] => {
            if !KINDS_LATER.iter().any(|key| table.has(key)) {
                table.report_whole("runs nothing", "give it one of `command`, `shell` and `worker`");
            }
            None
        }
        [first, second, ..] => {
            let hint = "a task runs exactly one of `command`, `shell` and `worker`";
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
