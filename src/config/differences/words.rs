//! What is different between two configs, and how a difference is written.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use super::batch;
use super::handler;
use crate::config::model::{Config, Keep, Logs};
use crate::config::task::{Handler, Task};
use crate::config::value::{in_words, size_in_words};
use crate::core::policy::Backoff;

/// Characters of a value that are shown.
const SHOWN_MAX: usize = 80;

/// A key with its value as it is shown.
pub(super) type Shown = (&'static str, String);

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
        changes.extend(handler::changes(&old.handler, &new.handler));
        if let (Some(old), Some(new)) = (&old.policy.batch, &new.policy.batch) {
            changes.extend(self::changes(&batch::policy(old), &batch::policy(new)));
        }
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
pub(super) fn each<T: PartialEq>(
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

/// The keys whose values are not the same. Both sides have the same keys in the same places, or where a batch has
/// another key than other tasks, what changed is that it is one.
pub(super) fn changes(old: &[Shown], new: &[Shown]) -> Vec<String> {
    let changed = old.iter().zip(new).filter(|(old, new)| old.0 == new.0 && old.1 != new.1);
    changed.map(|((key, old), (_, new))| format!("{key} {} → {}", cut(old), cut(new))).collect()
}

pub(super) fn none() -> String {
    "none".into()
}

pub(super) fn cut(text: &str) -> String {
    let text = text.replace('\n', " ");
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The name of a variant as the config writes it: `WallClock` is `wall-clock`.
pub(super) fn variant(value: impl Debug) -> String {
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

/// A list of names.
pub(super) fn names(names: &[String]) -> String {
    if names.is_empty() { none() } else { names.join(", ") }
}

/// The parts of a wait, under these keys.
pub(super) fn backoff(keys: [&'static str; 4], backoff: Backoff) -> [Shown; 4] {
    let Backoff { first, factor, max, jitter } = backoff;
    let values = [in_words(first), factor.to_string(), in_words(max), jitter.to_string()];
    let mut values = values.into_iter();
    keys.map(|key| (key, values.next().unwrap_or_default()))
}

fn task(task: &Task) -> Vec<Shown> {
    let policy = &task.policy;
    let (attempts, wait, concurrency) = match &task.handler {
        Handler::Batch(batch) => {
            let keys = ["repair_backoff.first", "repair_backoff.factor", "repair_backoff.max", "repair_backoff.jitter"];
            (("repair_attempts", policy.attempts.saturating_sub(1)), keys, batch.concurrency)
        }
        Handler::Process(_) | Handler::Worker(_) => {
            let keys = ["backoff.first", "backoff.factor", "backoff.max", "backoff.jitter"];
            (("attempts", policy.attempts), keys, policy.concurrency)
        }
    };
    let [first, factor, max, jitter] = backoff(wait, policy.backoff);
    let optional = |duration: Option<Duration>| duration.map_or_else(none, in_words);
    vec![
        ("description", task.description.clone().unwrap_or_else(none)),
        ("schedule", names(&policy.schedules)),
        ("timezone", policy.timezone.clone()),
        ("dst", variant(policy.dst)),
        ("jitter", in_words(policy.jitter)),
        ("from", policy.from.map_or_else(none, |from| from.to_string())),
        ("until", policy.until.map_or_else(none, |until| until.to_string())),
        ("missed", variant(policy.missed)),
        ("missed_within", optional(policy.missed_within)),
        ("missed_max", policy.missed_max.to_string()),
        ("overlap", variant(policy.overlap)),
        ("concurrency", concurrency.to_string()),
        ("queue_size", policy.queue_size.to_string()),
        ("priority", policy.priority.to_string()),
        (attempts.0, attempts.1.to_string()),
        first,
        factor,
        max,
        jitter,
        ("give_up_after", in_words(policy.give_up_after)),
        ("on_interrupt", variant(policy.on_interrupt)),
        ("timeout", optional(task.timeout)),
        ("grace", in_words(task.grace)),
        ("output_max", size_in_words(task.output_max)),
        ("lock", policy.lock.clone().unwrap_or_else(none)),
        ("custom", policy.custom.to_string()),
        ("clears", names(&policy.clears)),
    ]
}
