//! Reads the part of a task that says when and how often.

use std::time::Duration;

use super::schedule::check_schedule;
use super::{batch, things};
use crate::config::problem::quoted;
use crate::config::table::{DurationOrTable, Table};
use crate::config::value::{Zone, Zones};
use crate::core::limits;
use crate::core::policy::{Backoff, Overlap, TaskPolicy};

/// `concurrency` where `overlap = "allow"` and none is given: with 1, nothing would overlap.
const CONCURRENCY_OF_ALLOW: u32 = 16;

/// `batch`: the parts of a task with items.
pub(super) fn read(table: &Table<'_>, zones: &Zones, batch: Option<&batch::Parts<'_>>) -> TaskPolicy {
    let zone = zone(table, zones);
    let (from, until) = (table.instant("from", &zone), table.instant("until", &zone));
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        let hint = "no occurrence could ever be: make `until` the later one";
        table.report(table.value_place("until"), "until", "is not after `from`", hint);
    }
    let default = TaskPolicy::default();
    let overlap = table.choice("overlap").unwrap_or(default.overlap);
    let mut policy = TaskPolicy {
        schedules: schedules(table),
        dst: table.choice("dst").unwrap_or(default.dst),
        jitter: table.duration("jitter").unwrap_or(default.jitter),
        missed: table.choice("missed").unwrap_or(default.missed),
        missed_within: table.duration("missed_within"),
        missed_max: count(table, "missed_max").unwrap_or(default.missed_max),
        overlap,
        from,
        until,
        priority: table.integer("priority").and_then(|number| u8::try_from(number).ok()).unwrap_or(default.priority),
        queue_size: count(table, "queue_size").unwrap_or(default.queue_size),
        on_interrupt: table.choice("on_interrupt").unwrap_or(default.on_interrupt),
        timezone: zone.name,
        ..default
    };
    let give_up_after = table.duration("give_up_after");
    match batch {
        Some(parts) => {
            batch::decide(table, parts, &mut policy);
            policy.give_up_after = limits::DURATION_MAX;
        }
        None => {
            let concurrency = if overlap == Overlap::Allow { CONCURRENCY_OF_ALLOW } else { policy.concurrency };
            policy.attempts = count(table, "attempts").unwrap_or(policy.attempts);
            policy.backoff = backoff(table, "backoff", policy.backoff);
            policy.concurrency = count(table, "concurrency").unwrap_or(concurrency);
        }
    }
    policy.give_up_after = give_up_after.unwrap_or(policy.give_up_after);
    things::read(table, &mut policy);
    policy
}

pub(super) fn count(table: &Table<'_>, key: &str) -> Option<u32> {
    table.integer(key).and_then(|number| u32::try_from(number).ok())
}

fn zone(table: &Table<'_>, zones: &Zones) -> Zone {
    let Some(name) = table.text("timezone") else { return zones.system.clone() };
    zones.get(name).unwrap_or_else(|wrong| {
        table.report(table.value_place("timezone"), "timezone", wrong.message, wrong.hint);
        zones.system.clone()
    })
}

fn schedules(table: &Table<'_>) -> Vec<String> {
    let schedules = table.texts("schedule").unwrap_or_default();
    for (index, (text, place)) in schedules.iter().enumerate() {
        if let Err(message) = check_schedule(text) {
            table.report(*place, "schedule", message, "write it as \"30 2 * * *\", \"@daily\" or \"@every 90s\"");
        } else if schedules[..index].iter().any(|(earlier, _)| earlier == text) {
            table.report(*place, "schedule", format!("names {} twice", quoted(text)), "remove one of them");
        }
    }
    schedules.into_iter().map(|(text, _)| text.to_owned()).collect()
}

/// A table, or a duration in its place: the same wait each time.
pub(super) fn backoff(table: &Table<'_>, key: &str, default: Backoff) -> Backoff {
    let inner = match table.duration_or_table(key, Duration::from_millis(1)) {
        None => return default,
        Some(DurationOrTable::Duration(wait)) => return Backoff { first: wait, factor: 1.0, max: wait, jitter: 0.0 },
        Some(DurationOrTable::Table(inner)) => inner,
    };
    let first = inner.duration("first").unwrap_or(default.first);
    let max = inner.duration("max").unwrap_or(default.max.max(first));
    if max < first {
        inner.report(inner.value_place("max"), "max", "is less than `first`", "make it at least as long");
    }
    Backoff {
        first,
        max,
        factor: inner.number("factor").unwrap_or(default.factor),
        jitter: inner.number("jitter").unwrap_or(default.jitter),
    }
}
