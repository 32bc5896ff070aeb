//! What is different in a task with items.

use super::handler::{Runs, run_changes, sql_changes};
use super::words::{Shown, backoff, changes as shown_changes, names, none, variant};
use crate::config::task::{Batch, Each, ItemSource};
use crate::config::value::in_words;
use crate::core::policy::{BatchPolicy, MaxFailures};

/// What the core does not decide by.
pub(super) fn changes(old: &Batch, new: &Batch) -> Vec<String> {
    let mut words = source_changes(&old.source, &new.source);
    let each = run_changes(runs(&old.each), runs(&new.each));
    words.extend(each.into_iter().map(|change| format!("each.{change}")));
    words.extend(shown_changes(&shown(old), &shown(new)));
    words
}

fn source_changes(old: &ItemSource, new: &ItemSource) -> Vec<String> {
    let mut words = run_changes(Runs::Items(old), Runs::Items(new));
    if let (ItemSource::Sql(old), ItemSource::Sql(new)) = (old, new) {
        words.extend(sql_changes(old, new).into_iter().map(|change| format!("items.{change}")));
    }
    words
}

fn runs(each: &Each) -> Runs<'_> {
    match each {
        Each::Process(process) => Runs::Process(process),
        Each::Worker(worker) => Runs::Worker(worker),
    }
}

fn shown(batch: &Batch) -> Vec<Shown> {
    vec![
        ("each.timeout", in_words(batch.timeout)),
        ("rate", batch.rate.map_or_else(none, |rate| rate.to_string())),
        ("hours", batch.hours.map_or_else(none, |hours| hours.to_string())),
    ]
}

/// What items come from.
pub(super) fn source(source: &ItemSource) -> String {
    match source {
        ItemSource::Given => "given".into(),
        ItemSource::List(items) => format!("list {}", items.join(", ")),
        ItemSource::File(path) => format!("file {}", path.display()),
        ItemSource::Sql(sql) => format!("sql {}", sql.statements.join("; ")),
    }
}

/// What the core decides by.
pub(super) fn policy(policy: &BatchPolicy) -> Vec<Shown> {
    let max_failures = match policy.max_failures {
        None => none(),
        Some(MaxFailures::Items(items)) => items.to_string(),
        Some(MaxFailures::Percent(percent)) => format!("{percent}%"),
    };
    let mut shown = vec![
        ("op", names(&policy.ops)),
        ("exclusive", policy.exclusive.clone().unwrap_or_else(none)),
        ("when_busy", variant(policy.when_busy)),
        ("each.attempts", policy.attempts.to_string()),
        ("chunk", policy.chunk.to_string()),
        ("max_failures", max_failures),
    ];
    let keys = ["each.backoff.first", "each.backoff.factor", "each.backoff.max", "each.backoff.jitter"];
    shown.extend(backoff(keys, policy.backoff));
    shown
}
