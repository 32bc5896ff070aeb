//! The part of a process that says whom it runs as and what it may use. Some of it only root can give.

use std::collections::BTreeMap;

use crate::config::outside::Thing;
use crate::config::table::Table;
use crate::config::trust;
use crate::exec::RunAs;
use crate::shim::limits::Known;
use crate::shim::{Io, IoClass, Limit};

/// The level of `best-effort` and `realtime` where none is given, as `ionice(1)` has it.
const IO_LEVEL: u8 = 4;
/// A job is born in its cgroup of its shim, which counts until it has left: with less the kernel would end the shim.
const MEMORY_LEAST: u64 = 1024 * 1024;

/// Reports what only root can do, unless this is root.
fn needs_root(table: &Table<'_>, key: &str, what: &str) {
    if !trust::is_root() {
        let message = format!("{what} takes a daemon that runs as root, and this is user {}", trust::user());
        table.report(table.value_place(key), key, message, "remove it, or run the daemon as root (any-user.conf)");
    }
}

pub(super) fn run_as(table: &Table<'_>) -> Option<RunAs> {
    let user = table.text("user");
    let group = table.text("group");
    let groups = table.texts("groups");
    for key in ["user", "group", "groups"].into_iter().filter(|key| table.has(key)) {
        if key != "user" && !table.has("user") {
            let hint = "name the `user` as well, or remove it";
            table.report(table.key_place(key), key, "stands without `user`", hint);
        } else {
            needs_root(table, key, "to run as others");
        }
    }
    if let Some(user) = user {
        table.names("user", Thing::User(user.to_owned()));
    }
    for name in group.iter().copied().chain(groups.iter().flatten().map(|(name, _)| *name)) {
        let key = if group == Some(name) { "group" } else { "groups" };
        table.names(key, Thing::Group(name.to_owned()));
    }
    Some(RunAs {
        user: user?.to_owned(),
        group: group.map(str::to_owned),
        groups: groups.map(|groups| groups.into_iter().map(|(name, _)| name.to_owned()).collect()),
    })
}

pub(super) fn nice(table: &Table<'_>) -> Option<i8> {
    let nice = table.signed("nice").and_then(|nice| i8::try_from(nice).ok())?;
    if nice < 0 {
        needs_root(table, "nice", "less than 0");
    }
    Some(nice)
}

pub(super) fn io(table: &Table<'_>) -> Option<Io> {
    let io = table.form("ionice", |text| {
        let (class, level) = match text.split_once(':') {
            Some((class, level)) => (class, Some(level.parse().ok().filter(|level| *level <= 7)?)),
            None => (text, None),
        };
        match (class, level) {
            ("idle", None) => Some(Io { class: IoClass::Idle, level: 0 }),
            ("best-effort", level) => Some(Io { class: IoClass::BestEffort, level: level.unwrap_or(IO_LEVEL) }),
            ("realtime", level) => Some(Io { class: IoClass::RealTime, level: level.unwrap_or(IO_LEVEL) }),
            _ => None,
        }
    })?;
    if io.class == IoClass::RealTime {
        needs_root(table, "ionice", "`realtime`");
    }
    Some(io)
}

pub(super) fn limits(table: &Table<'_>) -> BTreeMap<String, Limit> {
    let Some(inner) = table.table("limits") else { return BTreeMap::new() };
    let mut limits = BTreeMap::new();
    for (key, _) in inner.keys() {
        let (Some(limit), Some(known)) = (inner.limit(key.name), Known::find(key.name)) else { continue };
        if key.name == "nofile" && limit.hard.is_none() {
            let hint = "write a number, up to that of /proc/sys/fs/nr_open";
            inner.report(inner.value_place(key.name), key.name, "has no `unlimited`", hint);
        } else if limit.raises(known.own()) {
            needs_root(&inner, key.name, "more than the daemon's own limit");
        }
        limits.insert(key.name.to_owned(), limit);
    }
    limits
}

pub(super) fn memory_max(table: &Table<'_>) -> Option<u64> {
    let bytes = table.size("memory_max")?;
    if bytes < MEMORY_LEAST {
        table.report(table.value_place("memory_max"), "memory_max", "is less than 1MiB", "make it larger");
    }
    table.names("memory_max", Thing::Controller("memory"));
    Some(bytes)
}

pub(super) fn tasks_max(table: &Table<'_>) -> Option<u64> {
    let most = table.integer("tasks_max")?;
    table.names("tasks_max", Thing::Controller("pids"));
    Some(most)
}
