//! Prints the tables of `keys` as the reference page `docs/config.md`: each table with its keys, and for each key what
//! it takes, within which bounds, its default and its meaning. What is no key stands in the text at its head.

use std::fmt::Write;
use std::time::Duration;

use toml::Table;

use super::keys::{HandlerKind, Key, Kind, MAIN, Section, Shown};
use super::value::in_words;
use crate::shim::limits::Unit;

const HEAD: &str = include_str!("page_head.md");

/// The text of `docs/config.md`.
pub fn reference_page() -> String {
    let mut text = HEAD.to_owned();
    section(&mut text, "", &MAIN);
    text
}

/// A table of the config, then the tables in it. `name`: empty for the file itself.
fn section(text: &mut String, name: &str, section: &Section) {
    if name.is_empty() {
        text.push_str("\n## The main file\n");
    } else {
        let _ = write!(text, "\n## `[{name}]`\n");
    }
    let _ = write!(text, "\n{}\n", section.doc);
    let of_handlers = |handlers: &'static [HandlerKind]| {
        section.keys().filter(move |key| key.handlers == handlers && !is_section(key) && !is_later(key))
    };
    let mut groups: Vec<&[HandlerKind]> = Vec::new();
    for key in section.keys() {
        if !groups.contains(&key.handlers) {
            groups.push(key.handlers);
        }
    }
    for handlers in groups {
        if !handlers.is_empty() {
            let owners: Vec<String> = handlers.iter().map(HandlerKind::to_string).collect();
            let _ = write!(text, "\n### With {}\n", owners.join(" or "));
        }
        rows(text, of_handlers(handlers));
    }
    let later: Vec<String> = section.keys().filter(|key| is_later(key)).map(|key| format!("`{}`", key.name)).collect();
    if !later.is_empty() {
        let _ = write!(text, "\nKept for later versions, and refused by this one: {}.\n", later.join(", "));
    }
    for key in section.keys().filter(|key| is_section(key)) {
        let inner = if name.is_empty() { key.name.to_owned() } else { format!("{name}.{}", key.name) };
        match key.kind {
            Kind::Table(of) => self::section(text, &inner, of),
            Kind::Tables(of) => self::section(text, &format!("{inner}.NAME"), of),
            _ => {}
        }
    }
}

fn is_section(key: &Key) -> bool {
    matches!(key.shown, Shown::Section)
}

fn is_later(key: &Key) -> bool {
    matches!(key.kind, Kind::Later)
}

fn rows(text: &mut String, keys: impl Iterator<Item = &'static Key>) {
    for (index, key) in keys.enumerate() {
        if index == 0 {
            text.push_str("\n| key | takes | default | meaning |\n|---|---|---|---|\n");
        }
        let default = match key.shown {
            Shown::Default(value) => code(value),
            Shown::Required(value) => format!("none: it, or one in its place, must be there, as {}", code(value)),
            Shown::Example(value) => format!("none; an example: {}", code(value)),
            Shown::Section | Shown::Nowhere => String::new(),
        };
        row(text, key.name, &key.kind, &default, key.doc);
        let whole = match key.shown {
            Shown::Default(value) => defaults(value),
            Shown::Required(_) | Shown::Example(_) | Shown::Section | Shown::Nowhere => Table::new(),
        };
        parts(text, key.name, &key.kind, &whole);
    }
}

/// The keys of a table that is written in one line; those of handlers are explained where a task has them.
fn parts(text: &mut String, name: &str, kind: &Kind, whole: &Table) {
    for part in kind.inner().iter().flat_map(|inner| inner.keys()).filter(|part| part.handlers.is_empty()) {
        let own = if let Shown::Default(value) = part.shown { Some(code(value)) } else { None };
        let default = whole.get(part.name).map(|value| code(&value.to_string())).or(own).unwrap_or_default();
        let name = format!("{name}.{}", part.name);
        row(text, &name, &part.kind, &default, part.doc);
        let whole = if let Shown::Default(value) = part.shown { defaults(value) } else { Table::new() };
        parts(text, &name, &part.kind, &whole);
    }
}

fn row(text: &mut String, name: &str, kind: &Kind, default: &str, doc: &str) {
    let of_table = kind.inner().map(|inner| format!(" {}", inner.doc)).unwrap_or_default();
    let cells =
        [code(name), takes(kind), default.to_owned(), format!("{doc}{of_table}")].map(|cell| cell.replace('|', "\\|"));
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// The values of a table that is written in one line.
fn defaults(inline: &str) -> Table {
    format!("it = {inline}")
        .parse::<Table>()
        .ok()
        .and_then(|mut whole| whole.remove("it"))
        .and_then(table)
        .unwrap_or_default()
}

fn table(value: toml::Value) -> Option<Table> {
    match value {
        toml::Value::Table(table) => Some(table),
        _ => None,
    }
}

/// What a key takes, with its bounds.
fn takes(kind: &Kind) -> String {
    match kind {
        Kind::Flag => "`true` or `false`".into(),
        Kind::Text { bytes_max } => format!("text, at most {}", bytes(*bytes_max)),
        Kind::Texts { count_max, bytes_max } => {
            format!("text, or a list of at most {count_max}, each at most {}", bytes(*bytes_max))
        }
        Kind::List { count_max, bytes_max } => {
            format!("a list of 1 to {count_max} texts, each at most {}", bytes(*bytes_max))
        }
        Kind::Path => "path".into(),
        Kind::Duration { least: Duration::ZERO } => "duration".into(),
        Kind::Duration { least } => format!("duration, at least {}", in_words(*least)),
        Kind::Size => "size".into(),
        Kind::Integer { least, most } => format!("whole number, {least} to {most}"),
        Kind::Signed { least, most } => format!("whole number, {least} to {most}"),
        Kind::Limit(Unit::Bytes) => "size, `0`, `\"unlimited\"`, or two of them as `\"soft:hard\"`".into(),
        Kind::Limit(Unit::Seconds | Unit::Pieces) => {
            "whole number, `\"unlimited\"`, or two of them as `\"soft:hard\"`".into()
        }
        Kind::Form(forms) => {
            let forms: Vec<String> = forms.iter().map(|form| code(&format!("\"{form}\""))).collect();
            forms.join(", ")
        }
        Kind::Integers { least, most } => format!("list of whole numbers, each {least} to {most}"),
        Kind::Number { least, most } => format!("number, {least} to {most}"),
        Kind::Choice(names) => {
            let names: Vec<String> = names.iter().map(|name| code(&format!("\"{name}\""))).collect();
            names.join(", ")
        }
        Kind::Instant => "date and time".into(),
        Kind::Octal => "file mode in octal, `\"0000\"` to `\"0777\"`".into(),
        Kind::Arguments => "table of names with a value each: text, number, `true` or `false`, a list of them".into(),
        Kind::Environment => "table of names with a text each".into(),
        Kind::Assignments { count_max, bytes_max } => {
            format!("table of 1 to {count_max} columns with an SQL expression each, at most {}", bytes(*bytes_max))
        }
        Kind::Table(_) => "table".into(),
        Kind::TableOrDuration(_) => "table, or a duration".into(),
        Kind::TableOrForm(_, forms) => {
            let forms: Vec<String> = forms.iter().map(|form| code(&format!("\"{form}\""))).collect();
            format!("table, or {}", forms.join(", "))
        }
        Kind::Rate => "rate, as `\"500/s\"`, `\"30/m\"`, `\"1000/h\"`, `\"5000/d\"`".into(),
        Kind::Hours => "hours of the day, as `\"22:00-06:00\"`".into(),
        Kind::ItemsOrPercent { most } => format!("whole number, 0 to {most}, or `\"0%\"` to `\"100%\"`"),
        Kind::Tables(_) => "tables, each under a name".into(),
        Kind::Later => "nothing yet".into(),
    }
}

fn bytes(count: usize) -> String {
    match count % 1024 {
        0 => format!("{} KiB", count / 1024),
        _ => format!("{count} bytes"),
    }
}
