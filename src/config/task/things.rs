//! The part of a task that says which thing a job or an item is about, and when that is custom or the default.

use crate::config::load::{NAME_HINT, check_name};
use crate::config::problem::quoted;
use crate::config::table::{Table, did_you_mean};
use crate::core::policy::TaskPolicy;
use crate::core::state::lock::Template;

/// Reads `lock`, `custom` and `clears`; the rest of the policy is there already.
pub(super) fn read(table: &Table<'_>, policy: &mut TaskPolicy) {
    let root = if policy.batch.is_some() { "item" } else { "args" };
    policy.lock = table.text("lock").and_then(|text| match Template::parse(text, root) {
        Ok(_) => Some(text.to_owned()),
        Err(wrong) => {
            let hint = format!("write it as \"client:{{{root}}}\"");
            table.report(table.value_place("lock"), "lock", wrong, hint);
            None
        }
    });
    policy.custom = table.flag("custom").unwrap_or(policy.custom);
    if policy.custom && policy.batch.is_some() {
        let hint = "remove it: what a batch does with its items leaves them at the default";
        table.report(table.key_place("custom"), "custom", "belongs to tasks without `items`", hint);
    }
    policy.clears = names(table, "clears");
    let needs_lock = |key: &str| {
        let hint = "name the thing that a job is about, as lock = \"client:{args.client}\"";
        table.report(table.key_place(key), key, "stands without `lock`", hint);
    };
    match &policy.batch {
        Some(batch) => {
            for name in policy.clears.iter().filter(|name| !batch.ops.contains(*name)) {
                let hint = did_you_mean(name, || batch.ops.iter().map(String::as_str), "add it to `op`");
                let message = format!("names {}, which is not in `op`", quoted(name));
                table.report(table.value_place("clears"), "clears", message, hint);
            }
        }
        None if table.has("lock") => {}
        None if policy.custom => needs_lock("custom"),
        None if !policy.clears.is_empty() => needs_lock("clears"),
        None => {}
    }
}

/// Names of operations, each once.
pub(super) fn names(table: &Table<'_>, key: &str) -> Vec<String> {
    let names = table.texts(key).unwrap_or_default();
    for (index, (name, place)) in names.iter().enumerate() {
        if let Err(message) = check_name(name) {
            table.report(*place, key, message, NAME_HINT);
        } else if names[..index].iter().any(|(earlier, _)| earlier == name) {
            table.report(*place, key, format!("names {} twice", quoted(name)), "remove one of them");
        }
    }
    names.into_iter().map(|(name, _)| name.to_owned()).collect()
}
