//! What a reload changes, told in words. Values that may be secrets are named and not shown.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use super::model::{Config, Keep, Logs};
use super::task::{Action, Handler, Process, Task, WorkerConfig};
use super::value::{in_words, limit_in_words, size_in_words};
use crate::shim::limits::{Known, Unit};
use crate::shim::{Io, IoClass, Limit, Stdin};
use crate::workers::{CleanLogs, PassivateUsers, Sql};

/// Characters of a value that are shown.
const SHOWN_MAX: usize = 80;

/// A key with its value as it is shown.
type Shown = (&'static str, String);

/// What is different in `new`, a sentence each: `backup: schedule 30 2 * * * → 0 3 * * *`, `task cleanup added`.
///
/// First what concerns the daemon, then databases, then tasks by name. Urls and values of environment
/// variables are not shown. What a reload cannot change is told by [`after_restart`].
pub fn differences(old: &Config, new: &Config) -> Vec<String> {
    let mut words = changes(&config(old), &config(new));
    each(&old.databases, &new.databases, "database", &mut words, |name, _, _| {
        vec![format!("database {name}: address changed")]
    });
    each(&old.tasks, &new.tasks, "task", &mut words, |name, old, new| {
        let mut changes = changes(&task(old), &task(new));
        changes.extend(handler_changes(&old.handler, &new.handler));
        changes.into_iter().map(|change| format!("{name}: {change}")).collect()
    });
    words
}

/// What is different in `new` and takes a restart, a sentence each.
pub fn after_restart(old: &Config, new: &Config) -> Vec<String> {
    let places = |config: &Config| {
        let shown = |path: &Path| path.display().to_string();
        vec![
            ("state_dir", shown(&config.state_dir)),
            ("socket", shown(&config.socket)),
            ("log.format", variant(config.log.format)),
        ]
    };
    changes(&places(old), &places(new)).into_iter().map(|change| format!("{change} takes a restart")).collect()
}

/// Goes through two maps side by side.
fn each<T: PartialEq>(
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    what: &str,
    words: &mut Vec<String>,
    changed: impl Fn(&str, &T, &T) -> Vec<String>,
) {
    for (name, old) in old {
        match new.get(name) {
            None => words.push(format!("{what} {name} removed")),
            Some(new) if new != old => words.extend(changed(name, old, new)),
            Some(_) => {}
        }
    }
    words.extend(new.keys().filter(|name| !old.contains_key(*name)).map(|name| format!("{what} {name} added")));
}

/// The keys whose values are not the same; both sides have the same keys.
fn changes(old: &[Shown], new: &[Shown]) -> Vec<String> {
    let changed = old.iter().zip(new).filter(|(old, new)| old != new);
    changed.map(|((key, old), (_, new))| format!("{key} {} → {}", cut(old), cut(new))).collect()
}

fn none() -> String {
    "none".into()
}

fn cut(text: &str) -> String {
    let text = text.replace('\n', " ");
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The name of a variant as the config writes it: `WallClock` is `wall-clock`.
fn variant(value: impl Debug) -> String {
    let mut name = String::new();
    for character in format!("{value:?}").chars() {
        if character.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

fn config(config: &Config) -> Vec<Shown> {
    let keep = |keep: Keep| format!("{} {}", in_words(keep.age), size_in_words(keep.size));
    vec![
        ("execution", config.execution.to_string()),
        ("stop_timeout", in_words(config.stop_timeout)),
        ("repair.every", in_words(config.repair_every)),
        ("journal.keep", keep(config.journal_keep)),
        ("history.keep", keep(config.history_keep)),
        ("outputs.keep", keep(config.outputs_keep)),
        ("log.level", variant(config.log.level)),
        ("log.levels", levels(&config.log)),
    ]
}

fn levels(logs: &Logs) -> String {
    let levels: Vec<String> = logs.levels.iter().map(|(part, level)| format!("{part} {}", variant(level))).collect();
    if levels.is_empty() { none() } else { levels.join(", ") }
}

fn task(task: &Task) -> Vec<Shown> {
    let policy = &task.policy;
    let optional = |duration: Option<Duration>| duration.map_or_else(none, in_words);
    let schedules = if policy.schedules.is_empty() { none() } else { policy.schedules.join(", ") };
    let backoff = policy.backoff;
    vec![
        ("description", task.description.clone().unwrap_or_else(none)),
        ("schedule", schedules),
        ("timezone", policy.timezone.clone()),
        ("dst", variant(policy.dst)),
        ("jitter", in_words(policy.jitter)),
        ("from", policy.from.map_or_else(none, |from| from.to_string())),
        ("until", policy.until.map_or_else(none, |until| until.to_string())),
        ("missed", variant(policy.missed)),
        ("missed_within", optional(policy.missed_within)),
        ("missed_max", policy.missed_max.to_string()),
        ("overlap", variant(policy.overlap)),
        ("concurrency", policy.concurrency.to_string()),
        ("queue_size", policy.queue_size.to_string()),
        ("priority", policy.priority.to_string()),
        ("attempts", policy.attempts.to_string()),
        ("backoff.first", in_words(backoff.first)),
        ("backoff.factor", backoff.factor.to_string()),
        ("backoff.max", in_words(backoff.max)),
        ("backoff.jitter", backoff.jitter.to_string()),
        ("give_up_after", in_words(policy.give_up_after)),
        ("on_interrupt", variant(policy.on_interrupt)),
        ("timeout", optional(task.timeout)),
        ("grace", in_words(task.grace)),
        ("output_max", size_in_words(task.output_max)),
    ]
}

/// What is run, then the keys of the handler where it is still the same.
fn handler_changes(old: &Handler, new: &Handler) -> Vec<String> {
    let ((old_key, old_value), (new_key, new_value)) = (runs(old), runs(new));
    let mut words = if old_key == new_key {
        changes(&[(old_key, old_value)], &[(new_key, new_value)])
    } else {
        vec![format!("{old_key} {} → {new_key} {}", cut(&old_value), cut(&new_value))]
    };
    match (old, new) {
        (Handler::Process(old), Handler::Process(new)) => {
            words.extend(changes(&process(old), &process(new)));
            let changed = |name: &str, _: &String, _: &String| vec![format!("env {name} changed")];
            each(&old.env.0, &new.env.0, "env", &mut words, changed);
        }
        (Handler::Worker(WorkerConfig::PassivateUsers(old)), Handler::Worker(WorkerConfig::PassivateUsers(new))) => {
            words.extend(changes(&passivate_users(old), &passivate_users(new)))
        }
        (Handler::Worker(WorkerConfig::CleanLogs(old)), Handler::Worker(WorkerConfig::CleanLogs(new))) => {
            words.extend(changes(&clean_logs(old), &clean_logs(new)));
        }
        (Handler::Worker(WorkerConfig::Sql(old)), Handler::Worker(WorkerConfig::Sql(new))) => {
            words.extend(changes(&sql(old), &sql(new)));
            each(&old.args, &new.args, "args", &mut words, |name, _, _| vec![format!("args {name} changed")]);
        }
        (Handler::Process(_) | Handler::Worker(_), _) => {}
    }
    words
}

fn runs(handler: &Handler) -> Shown {
    match handler {
        Handler::Process(process) => match &process.action {
            Action::Command(arguments) => ("command", arguments.join(" ")),
            Action::Shell(line) => ("shell", line.clone()),
        },
        Handler::Worker(WorkerConfig::PassivateUsers(_)) => ("worker", "passivate-users".into()),
        Handler::Worker(WorkerConfig::CleanLogs(_)) => ("worker", "clean-logs".into()),
        Handler::Worker(WorkerConfig::Sql(sql)) => ("sql", sql.statements.join("; ")),
    }
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
