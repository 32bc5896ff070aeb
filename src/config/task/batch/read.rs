//! Reads where the items come from and what is done with each.

use super::pace::{hours, rate};
use super::{Batch, Each, ItemSource};
use crate::config::keys::HandlerKind;
use crate::config::problem::quoted;
use crate::config::table::{FormOrTable, Table};
use crate::config::task::handler::{DatabaseUse, listed, refuse_others, statements, the_one};
use crate::config::task::policy::count;
use crate::config::task::{WorkerConfig, http, process, sql};
use crate::core::{item, limits};

/// The keys of which `each` has exactly one.
const KINDS: [&str; 4] = ["shell", "command", "http", "sql"];
/// The keys of which a table of items has exactly one.
const SOURCES: [&str; 3] = ["file", "list", "sql"];
/// A bound for every call: one that hangs would hold its place for ever.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// The tables in a task with items. They are opened once, as that reports what is unknown in them.
pub(in crate::config::task) struct Parts<'r> {
    items: Option<FormOrTable<'r, ()>>,
    pub each: Option<Table<'r>>,
}

impl<'r> Parts<'r> {
    pub fn open(table: &Table<'r>) -> Parts<'r> {
        if !table.has("each") {
            let hint = "add what is done with each of them, as each = { shell = \"...\" }";
            table.report_whole("has `items` and no `each`", hint);
        }
        let items = table.form_or_table("items", |text| (text == "given").then_some(()));
        let each = if table.has("each") { table.table("each") } else { None };
        Parts { items, each }
    }

    pub fn are_given(&self) -> bool {
        matches!(self.items, Some(FormOrTable::Form(())))
    }
}

/// Reads how a batch is run; `None` if that cannot be told. Databases that it uses are taken down in `uses`.
pub(in crate::config::task) fn read(
    table: &Table<'_>,
    parts: &Parts<'_>,
    uses: &mut Vec<DatabaseUse>,
) -> Option<Batch> {
    refuse_others(table, HandlerKind::Batch);
    // `sql` was refused as a key of another handler.
    for key in ["command", "shell", "worker"].into_iter().filter(|key| table.has(key)) {
        let hint = match key {
            "worker" => format!("remove one of them: what `each` runs is one of {}", listed(&KINDS)),
            _ => "put it into `each`".to_owned(),
        };
        table.report(table.key_place(key), key, "stands beside `items`", hint);
    }
    let source = match parts.items.as_ref() {
        None => None,
        Some(FormOrTable::Form(())) => Some(ItemSource::Given),
        Some(FormOrTable::Table(items)) => source(items, uses),
    };
    let each_table = parts.each.as_ref();
    let timeout = each_table.and_then(|each| each.duration("timeout")).unwrap_or(TIMEOUT);
    let each = each_table.and_then(|table| each(table, uses));
    Some(Batch {
        concurrency: count(table, "concurrency").unwrap_or(1),
        rate: table.value("rate", rate),
        hours: table.value("hours", hours),
        timeout,
        source: source?,
        each: each?,
    })
}

fn source(items: &Table<'_>, uses: &mut Vec<DatabaseUse>) -> Option<ItemSource> {
    let none = ("names no source", "give it one of `file`, `list` and `sql`");
    let source = the_one(items, &SOURCES, none, "items come from")?;
    for key in ["database", "args"].into_iter().filter(|key| source != "sql" && items.has(key)) {
        items.report(items.key_place(key), key, "stands without `sql`", "remove it, or add the query");
    }
    match source {
        "file" => items.path("file").map(ItemSource::File),
        "list" => list(items).map(ItemSource::List),
        _ => statements(items, sql::read_query(items)?, uses).map(ItemSource::Sql),
    }
}

fn list(items: &Table<'_>) -> Option<Vec<String>> {
    let listed = items.texts("list")?;
    let mut seen = std::collections::HashSet::new();
    for (text, place) in &listed {
        if text.is_empty() {
            items.report(*place, "list", "has an empty item", "remove it");
        } else if let Err(what) = item::check(text, limits::ITEM_BYTES_MAX) {
            items.report(*place, "list", format!("has an item that {what}"), "correct it");
        } else if !seen.insert(*text) {
            items.report(*place, "list", format!("names {} twice", quoted(text)), "remove one of them");
        }
    }
    Some(listed.into_iter().map(|(text, _)| text.to_owned()).collect())
}

fn each(table: &Table<'_>, uses: &mut Vec<DatabaseUse>) -> Option<Each> {
    let none = ("runs nothing", "give it one of `shell`, `command`, `http` and `sql`");
    let (kind, each) = match the_one(table, &KINDS, none, "`each` runs")? {
        "shell" => (HandlerKind::Shell, process::read(table).map(Box::new).map(Each::Process)),
        "command" => (HandlerKind::Command, process::read(table).map(Box::new).map(Each::Process)),
        "http" => (HandlerKind::Http, http::read(table).map(WorkerConfig::Http).map(Each::Worker)),
        _ => {
            let read = sql::read(table).and_then(|read| statements(table, read, uses));
            (HandlerKind::Sql, read.map(WorkerConfig::Sql).map(Each::Worker))
        }
    };
    refuse_others(table, kind);
    each
}
