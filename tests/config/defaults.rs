//! Every default that `etc/daybook.toml` shows is the one of the code, one key at a time: without its line nothing
//! changes, and with another value something does, which a reload tells in words.

use std::collections::BTreeSet;

use daybook::config::keys::{DATABASE, Key, Kind, MAIN, Section, Shown, TASK};
use daybook::config::{Config, after_restart, check_text, differences, example_file};

/// Keys whose values only fit together with others: files that are not text, names of other things and of
/// columns, and what says more about a limit.
const NOT_ALONE: [&str; 9] = [
    "include",
    "worker",
    "database",
    "columns.active",
    "group",
    "compress_after",
    "custom",
    "each.command",
    "each.http",
];

/// A line of the example file, with its `#` taken off if it is a default.
struct Line {
    text: String,
    /// The table that it is in.
    table: String,
    key: Option<&'static Key>,
}

fn section(table: &str) -> &'static Section {
    match table.split('.').next() {
        Some("") => &MAIN,
        Some("databases") => &DATABASE,
        Some("task") => &TASK,
        _ => match MAIN.find(table).map(|key| &key.kind) {
            Some(Kind::Table(section)) => section,
            _ => panic!("`{table}` is no table of the main file"),
        },
    }
}

fn lines() -> Vec<Line> {
    let mut table = String::new();
    let mut lines = Vec::new();
    for line in example_file().lines() {
        let shown =
            line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()));
        let text = shown.unwrap_or(line).to_owned();
        if let Some(name) = text.strip_prefix('[').filter(|_| shown.is_some()) {
            table = name.trim_end_matches(']').to_owned();
        }
        let name = shown.and_then(|text| text.split_once(" = ")).map(|(name, _)| name);
        let handler = match table.as_str() {
            "task.backup" => "shell",
            "task.client-auth" => "items",
            _ => "worker",
        };
        let find = |name| section(&table).find_beside(name, |key| key == handler);
        let key = name.map(|name| find(name).unwrap_or_else(|| panic!("{table}: {name}")));
        lines.push(Line { text, table: table.clone(), key });
    }
    lines
}

fn load(lines: &[Line], changed: Option<(usize, &str)>) -> Result<Config, String> {
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let line = changed.filter(|(at, _)| *at == number).map_or(line.text.as_str(), |(_, text)| text);
        text.push_str(line);
        text.push('\n');
    }
    check_text("/etc/daybook/daybook.toml", text).map_err(|errors| errors.to_string())
}

/// Values that a key takes, other than its default as a rule.
fn values(kind: &Kind) -> Vec<String> {
    match kind {
        Kind::Flag => vec!["true".into(), "false".into()],
        Kind::Text { .. } => vec!["\"other\"".into(), "\"sqlite:///other.db\"".into()],
        Kind::Texts { .. } | Kind::List { .. } => vec!["[\"/var/log/other/*.log\"]".into(), "[\"other\"]".into()],
        Kind::Path => vec!["\"/other\"".into()],
        Kind::Duration { .. } => vec!["\"77s\"".into(), "\"77h\"".into()],
        Kind::Size => vec!["\"77MB\"".into()],
        Kind::Integer { least, most } => vec![most.to_string(), least.to_string()],
        Kind::Signed { least, most } => vec![most.to_string(), least.to_string()],
        Kind::Limit(_) => vec!["\"unlimited\"".into()],
        Kind::Form(forms) => forms.iter().map(|form| format!("\"{form}\"")).collect(),
        Kind::Integers { most, .. } => vec![format!("[{most}]")],
        Kind::Number { least, most } => vec![format!("{most:?}"), format!("{least:?}")],
        Kind::Choice(names) => names.iter().map(|name| format!("\"{name}\"")).collect(),
        Kind::Instant => vec!["2030-01-01T00:00:00Z".into()],
        Kind::Octal => vec!["\"0077\"".into()],
        Kind::Arguments => vec!["{ other = 1 }".into()],
        Kind::Environment => vec!["{ OTHER = \"1\" }".into()],
        Kind::Assignments { .. } => vec!["{ is_active = \"0\" }".into()],
        Kind::TableOrDuration(_) => vec!["\"77s\"".into()],
        Kind::TableOrForm(..) => vec!["{ list = [\"other\"] }".into(), "\"https://other\"".into()],
        Kind::Rate => vec!["\"77/h\"".into()],
        Kind::Hours => vec!["\"07:00-17:00\"".into()],
        Kind::ItemsOrPercent { .. } => vec!["77".into()],
        Kind::Table(_) | Kind::Tables(_) | Kind::Later => Vec::new(),
    }
}

/// Other values for a line: one for each part, if it is a table. Any one of an inner list will do.
fn variations(line: &Line, key: &Key) -> Vec<(String, Vec<String>)> {
    let written: toml::Table = line.text.parse().unwrap();
    let (Some(inner), Some(whole)) = (key.kind.inner(), written[key.name].as_table()) else {
        let changed = values(&key.kind).into_iter().map(|value| format!("{} = {value}", key.name));
        return vec![(key.name.to_owned(), changed.collect())];
    };
    let named: BTreeSet<&str> = whole.keys().map(String::as_str).collect();
    // A table that must be there is an example, and says its defaults in words.
    let is_default = matches!(key.shown, Shown::Default(_));
    for part in inner.keys().filter(|part| is_default && !matches!(part.shown, Shown::Nowhere)) {
        assert!(named.contains(part.name), "{}: the default shows its part {}", key.name, part.name);
    }
    let part = |part: &Key| {
        let changed = values(&part.kind).into_iter().map(|value| {
            let mut whole = whole.clone();
            let value: toml::Table = format!("it = {value}").parse().unwrap();
            whole.insert(part.name.to_owned(), value["it"].clone());
            format!("{} = {}", key.name, toml::Value::Table(whole))
        });
        (format!("{}.{}", key.name, part.name), changed.collect())
    };
    // Keys of handlers are varied where a task has them.
    inner.keys().filter(|part| part.handlers.is_empty()).map(part).collect()
}

#[test]
fn each_default_is_the_one_of_the_code() {
    let lines = lines();
    let whole = load(&lines, None).unwrap();
    let mut count = 0;
    for (number, line) in lines.iter().enumerate() {
        let Some(key) = line.key else { continue };
        if matches!(key.shown, Shown::Default(_)) {
            let without = load(&lines, Some((number, ""))).unwrap();
            assert_eq!(without, whole, "{}.{}: without it another value holds", line.table, key.name);
            count += 1;
        }
    }
    assert!(count > 30, "{count} defaults are shown");
}

#[test]
fn each_key_is_read_and_a_change_of_it_is_told() {
    let lines = lines();
    let whole = load(&lines, None).unwrap();
    for (number, line) in lines.iter().enumerate() {
        let Some(key) = line.key else { continue };
        let alone = variations(line, key).into_iter().filter(|(name, _)| !NOT_ALONE.contains(&name.as_str()));
        for (name, variations) in alone {
            let name = format!("{}.{name}", line.table);
            let loaded: Vec<_> = variations.iter().map(|text| load(&lines, Some((number, text)))).collect();
            let changed = loaded.iter().flatten().find(|config| **config != whole);
            let changed = changed.unwrap_or_else(|| panic!("{name}: no other value changes anything: {loaded:?}"));
            let told = differences(&whole, changed).len() + after_restart(&whole, changed).len();
            assert!(told > 0, "{name}: `differences` says nothing of it");
        }
    }
}
