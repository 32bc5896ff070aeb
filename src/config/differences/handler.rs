//! What is different in what a task runs.

use std::collections::BTreeMap;

use super::batch;
use super::words::{Shown, changes as shown_changes, cut, each, none, variant};
use crate::config::task::{Action, Handler, ItemSource, Process, WorkerConfig};
use crate::config::value::{in_words, limit_in_words, size_in_words};
use crate::shim::limits::{Known, Unit};
use crate::shim::{Io, IoClass, Limit, Stdin};
use crate::workers::{CleanLogs, Http, PassivateUsers, Sql};

/// What a task, or each call of a batch, runs; or what a batch goes over.
#[derive(Clone, Copy)]
pub(super) enum Runs<'t> {
    Process(&'t Process),
    Worker(&'t WorkerConfig),
    Items(&'t ItemSource),
}

/// What is run, then the keys of the handler where it is still the same.
pub(super) fn changes(old: &Handler, new: &Handler) -> Vec<String> {
    match (old, new) {
        (Handler::Batch(old), Handler::Batch(new)) => batch::changes(old, new),
        _ => run_changes(runs(old), runs(new)),
    }
}

fn runs(handler: &Handler) -> Runs<'_> {
    match handler {
        Handler::Process(process) => Runs::Process(process),
        Handler::Worker(worker) => Runs::Worker(worker),
        Handler::Batch(batch) => Runs::Items(&batch.source),
    }
}

pub(super) fn run_changes(old: Runs<'_>, new: Runs<'_>) -> Vec<String> {
    let ((old_key, old_value), (new_key, new_value)) = (shown(old), shown(new));
    let mut words = if old_key == new_key {
        shown_changes(&[(old_key, old_value)], &[(new_key, new_value)])
    } else {
        vec![format!("{old_key} {} → {new_key} {}", cut(&old_value), cut(&new_value))]
    };
    match (old, new) {
        (Runs::Process(old), Runs::Process(new)) => {
            words.extend(shown_changes(&process(old), &process(new)));
            let changed = |name: &str, _: &String, _: &String| vec![format!("env {name} changed")];
            each(&old.env.0, &new.env.0, "env", &mut words, changed);
        }
        (Runs::Worker(old), Runs::Worker(new)) => words.extend(worker_changes(old, new)),
        (Runs::Process(_) | Runs::Worker(_) | Runs::Items(_), _) => {}
    }
    words
}

fn worker_changes(old: &WorkerConfig, new: &WorkerConfig) -> Vec<String> {
    match (old, new) {
        (WorkerConfig::PassivateUsers(old), WorkerConfig::PassivateUsers(new)) => {
            shown_changes(&passivate_users(old), &passivate_users(new))
        }
        (WorkerConfig::CleanLogs(old), WorkerConfig::CleanLogs(new)) => {
            shown_changes(&clean_logs(old), &clean_logs(new))
        }
        (WorkerConfig::Sql(old), WorkerConfig::Sql(new)) => sql_changes(old, new),
        (WorkerConfig::Http(old), WorkerConfig::Http(new)) => http_changes(old, new),
        _ => Vec::new(),
    }
}

fn shown(runs: Runs<'_>) -> Shown {
    match runs {
        Runs::Process(process) => match &process.action {
            Action::Command(arguments) => ("command", arguments.join(" ")),
            Action::Shell(line) => ("shell", line.clone()),
        },
        Runs::Worker(WorkerConfig::PassivateUsers(_)) => ("worker", "passivate-users".into()),
        Runs::Worker(WorkerConfig::CleanLogs(_)) => ("worker", "clean-logs".into()),
        Runs::Worker(WorkerConfig::Sql(sql)) => ("sql", sql.statements.join("; ")),
        Runs::Worker(WorkerConfig::Http(http)) => ("http", host(http)),
        Runs::Items(source) => ("items", batch::source(source)),
    }
}

pub(super) fn sql_changes(old: &Sql, new: &Sql) -> Vec<String> {
    let mut words = shown_changes(&sql(old), &sql(new));
    each(&old.args, &new.args, "args", &mut words, |name, _, _| vec![format!("args {name} changed")]);
    words
}

/// Any other part of an address may hold a secret.
fn host(http: &Http) -> String {
    let rest = http.url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}

fn http_changes(old: &Http, new: &Http) -> Vec<String> {
    let mut words = shown_changes(&[("method", old.method.clone())], &[("method", new.method.clone())]);
    if old.url != new.url && host(old) == host(new) {
        words.push("http changed".into());
    }
    let changed = |name: &str, _: &String, _: &String| vec![format!("headers {name} changed")];
    each(&old.headers, &new.headers, "headers", &mut words, changed);
    if old.body != new.body {
        words.push("body changed".into());
    }
    words
}

fn process(process: &Process) -> Vec<Shown> {
    let run_as = process.run_as.as_ref();
    let codes: Vec<String> = process.success_exit_codes.iter().map(u8::to_string).collect();
    vec![
        ("cwd", process.cwd.display().to_string()),
        ("umask", format!("{:04o}", process.umask)),
        ("success_exit_codes", codes.join(", ")),
        ("leave_background", process.leave_background.to_string()),
        ("env_file", process.env_file.as_ref().map_or_else(none, |path| path.display().to_string())),
        ("stdin", stdin(&process.stdin)),
        ("user", run_as.map_or_else(none, |run_as| run_as.user.clone())),
        ("group", run_as.and_then(|run_as| run_as.group.clone()).unwrap_or_else(none)),
        ("groups", run_as.and_then(|run_as| run_as.groups.as_ref()).map_or_else(none, |groups| groups.join(", "))),
        ("nice", process.nice.map_or_else(none, |nice| nice.to_string())),
        ("ionice", process.io.map_or_else(none, io)),
        ("limits", limits(&process.limits)),
        ("memory_max", process.memory_max.map_or_else(none, size_in_words)),
        ("tasks_max", process.tasks_max.map_or_else(none, |most| most.to_string())),
    ]
}

fn stdin(stdin: &Stdin) -> String {
    match stdin {
        Stdin::Null => "null".into(),
        Stdin::Args => "args".into(),
        Stdin::File(path) => format!("file:{}", path.display()),
        // What a chunk has, and no config.
        Stdin::Text(_) => "items".into(),
    }
}

fn io(io: Io) -> String {
    match io.class {
        IoClass::Idle => "idle".into(),
        IoClass::BestEffort => format!("best-effort:{}", io.level),
        IoClass::RealTime => format!("realtime:{}", io.level),
    }
}

fn limits(limits: &BTreeMap<String, Limit>) -> String {
    let shown = limits.iter().map(|(name, limit)| {
        let unit = Known::find(name).map_or(Unit::Pieces, |known| known.unit);
        format!("{name} {}", limit_in_words(*limit, unit))
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { none() } else { shown.join(", ") }
}

fn passivate_users(worker: &PassivateUsers) -> Vec<Shown> {
    let columns = &worker.columns;
    vec![
        ("database", worker.database.clone()),
        ("inactive_after", in_words(worker.inactive_after)),
        ("table", worker.table.clone()),
        ("columns.id", columns.id.clone()),
        ("columns.active", columns.active.clone()),
        ("columns.last_login", columns.last_login.clone()),
        ("columns.created", columns.created.clone()),
        ("columns.tenant", columns.tenant.clone().unwrap_or_else(none)),
        ("active", worker.active.clone()),
        ("set", assignments(&worker.set)),
        ("where", worker.condition.clone().unwrap_or_else(none)),
        ("chunk", worker.chunk.to_string()),
        ("pause", in_words(worker.pause)),
        ("dry_run", worker.dry_run.to_string()),
    ]
}

fn assignments(set: &BTreeMap<String, String>) -> String {
    let set: Vec<String> = set.iter().map(|(column, expression)| format!("{column} = {expression}")).collect();
    set.join(", ")
}

fn clean_logs(worker: &CleanLogs) -> Vec<Shown> {
    vec![
        ("paths", worker.paths.join(", ")),
        ("older_than", worker.older_than.map_or_else(none, in_words)),
        ("keep_files", worker.keep_files.map_or_else(none, |files| files.to_string())),
        ("keep_size", worker.keep_size.map_or_else(none, size_in_words)),
        ("group", variant(worker.group)),
        ("action", variant(worker.action)),
        ("compress", variant(worker.compress)),
        ("compress_after", in_words(worker.compress_after)),
        ("open_files", variant(worker.open_files)),
        ("dry_run", worker.dry_run.to_string()),
    ]
}

fn sql(sql: &Sql) -> Vec<Shown> {
    vec![("database", sql.database.clone()), ("transaction", sql.transaction.to_string())]
}
