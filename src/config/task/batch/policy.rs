//! Reads what the core decides by of a task with items.

use std::time::Duration;

use super::Parts;
use super::pace::max_failures;
use crate::config::load::{NAME_HINT, check_name};
use crate::config::table::Table;
use crate::config::task::policy::{backoff, count};
use crate::config::task::things;
use crate::core::policy::{Backoff, BatchPolicy, TaskPolicy};

/// Batches of one task that run at once; how many items they handle at once is another question.
const BATCHES_AT_ONCE: u32 = 16;
const REPAIR_ATTEMPTS: u32 = 10;
const REPAIR_BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(300), factor: 2.0, max: Duration::from_secs(6 * 3600), jitter: 0.0 };
const EACH_BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(1), factor: 2.0, max: Duration::from_secs(60), jitter: 0.0 };

/// Fills in what is different for a batch; its schedules are there already.
pub(in crate::config::task) fn decide(table: &Table<'_>, parts: &Parts<'_>, policy: &mut TaskPolicy) {
    for (key, hint) in [
        ("attempts", "write `each.attempts` for those of an item in one run, or `repair_attempts` for the batch"),
        ("backoff", "write `each.backoff` for the wait between those of an item, or `repair_backoff` for the batch"),
    ] {
        if table.has(key) {
            table.report(table.key_place(key), key, "belongs to tasks without `items`", hint);
        }
    }
    let default = BatchPolicy::default();
    let each = parts.each.as_ref();
    let batch = BatchPolicy {
        ops: things::names(table, "op"),
        given: parts.are_given(),
        exclusive: exclusive(table),
        when_busy: table.choice("when_busy").unwrap_or(default.when_busy),
        attempts: each.and_then(|each| count(each, "attempts")).unwrap_or(default.attempts),
        backoff: each.map_or(EACH_BACKOFF, |each| backoff(each, "backoff", EACH_BACKOFF)),
        chunk: count(table, "chunk").unwrap_or(default.chunk),
        max_failures: table.value("max_failures", max_failures),
    };
    check_schedule(table, &batch);
    if batch.chunk > 1 && each.is_some_and(|each| each.has("sql")) {
        let hint = "remove it: connections and prepared statements are kept from item to item anyway";
        table.report(
            table.key_place("chunk"),
            "chunk",
            "stands beside statements, which are about one item each",
            hint,
        );
    }
    policy.attempts = count(table, "repair_attempts").unwrap_or(REPAIR_ATTEMPTS) + 1;
    policy.backoff = backoff(table, "repair_backoff", REPAIR_BACKOFF);
    policy.concurrency = BATCHES_AT_ONCE;
    policy.batch = Some(batch);
}

/// Nobody is there at an occurrence to say what a batch is about.
fn check_schedule(table: &Table<'_>, batch: &BatchPolicy) {
    if !table.has("schedule") {
        return;
    }
    let report = |message: &str, hint: &str| table.report(table.key_place("schedule"), "schedule", message, hint);
    if batch.given {
        let hint = "let the run read them, as items = { database = \"app\", sql = \"select ...\" }";
        report("starts batches without items, as nobody gives them", hint);
    }
    if batch.ops.len() > 1 {
        let hint = "give this task one `op`, and each other one a task of its own";
        report(&format!("cannot say which of {} operations it starts", batch.ops.len()), hint);
    }
}

fn exclusive(table: &Table<'_>) -> Option<String> {
    let name = table.text("exclusive")?;
    if let Err(message) = check_name(name) {
        table.report(table.value_place("exclusive"), "exclusive", message, NAME_HINT);
        return None;
    }
    Some(name.to_owned())
}
