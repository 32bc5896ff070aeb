//! The reader: one TOML table against its [`Section`] of keys.
//!
//! Each getter answers the value, or `None` where the key is absent or its value was refused; what was refused is
//! in the [`Report`], so reading goes on and finds everything. Bounds come from the key. Which keys go together is
//! not known here.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ChoiceError, StrDeserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Key, Kind, Section, nearest};
use super::outside::{self, Thing};
use super::problem::{Place, Report, quoted};
use super::raw::{Value, as_table, bounded, duration, expected, integer, limit, text};
use super::source::Source;
use super::value::{self, Wrong, Zone};
use crate::core::time::Timestamp;
use crate::shim::Limit;

/// Names are listed in a hint up to this many.
const LISTED_MAX: usize = 8;

/// The file that is being read, and where problems go.
#[derive(Clone, Copy)]
pub(super) struct Context<'r> {
    pub report: &'r Report,
    pub source: &'r Source,
    /// The number of `source`.
    pub file: usize,
    /// What is named outside of the files.
    pub named: &'r outside::Named,
}

impl Context<'_> {
    pub fn place(self, offset: usize) -> Place {
        Place { file: self.file, offset: Some(offset) }
    }
}

/// One table of a file.
pub(super) struct Table<'r> {
    pub context: Context<'r>,
    /// The full name, as `task.backup`; empty for the whole file.
    pub name: String,
    /// Where it is opened.
    pub place: Place,
    entries: Vec<Entry<'r>>,
}

struct Entry<'r> {
    key: &'static Key,
    place: Place,
    value: &'r Value<'r>,
}

/// A name that the file chose, with what it was given.
pub(super) struct Named<'r> {
    pub name: &'r str,
    pub place: Place,
    pub value: &'r Value<'r>,
}

/// The value of a key that takes either.
pub(super) enum DurationOrTable<'r> {
    Duration(Duration),
    Table(Table<'r>),
}

/// The value of a key that takes either; the form is whatever it was read as.
pub(super) enum FormOrTable<'r, T> {
    Form(T),
    Table(Table<'r>),
}

impl<'r> Table<'r> {
    /// Takes the keys that `section` knows and reports the others.
    pub fn new(context: Context<'r>, section: &Section, name: String, place: Place, table: &'r DeTable<'r>) -> Self {
        let mut this = Table { context, name, place, entries: Vec::with_capacity(table.len()) };
        for (key, value) in table.iter() {
            let place = context.place(key.span().start);
            match section.find_beside(key.get_ref(), |name| table.contains_key(name)) {
                Some(key) => {
                    if matches!(key.kind, Kind::Later) {
                        this.report(
                            place,
                            key.name,
                            "is not supported by this version yet",
                            "leave it out until it is",
                        );
                    }
                    this.entries.push(Entry { key, place, value });
                }
                None => this.unknown(section, place, key.get_ref()),
            }
        }
        this
    }

    fn unknown(&self, section: &Section, place: Place, name: &str) {
        let hint = if self.context.report.is_full() {
            String::new()
        } else {
            let known = || section.keys().filter(|key| !matches!(key.kind, Kind::Later)).map(|key| key.name);
            did_you_mean(name, known, "the shipped daybook.toml shows every key")
        };
        self.report(place, name, "unknown key", hint);
    }

    /// Reports a problem of a key of this table.
    pub fn report(&self, place: Place, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.context.report.add(place, self.full(key), message, hint);
    }

    /// Reports a problem of the table as a whole.
    pub fn report_whole(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.context.report.add(self.place, self.name.as_str(), message, hint);
    }

    /// Takes down what the value of a key names outside of the files, if the key is there.
    pub fn names(&self, key: &str, thing: Thing) {
        if self.has(key) {
            self.context.named.add(self.value_place(key), self.full(key), thing);
        }
    }

    /// The full name of a key of this table.
    pub fn full(&self, key: &str) -> String {
        full_name(&self.name, key)
    }

    fn entry(&self, key: &str) -> Option<&Entry<'r>> {
        self.entries.iter().find(|entry| entry.key.name == key)
    }

    /// Whether the key is there, be its value right or wrong.
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// The keys that are there, with their places.
    pub fn keys(&self) -> impl Iterator<Item = (&'static Key, Place)> {
        self.entries.iter().map(|entry| (entry.key, entry.place))
    }

    /// Where a key stands, or else the table.
    pub fn key_place(&self, key: &str) -> Place {
        self.entry(key).map_or(self.place, |entry| entry.place)
    }

    /// Where the value of a key stands, or else the table.
    pub fn value_place(&self, key: &str) -> Place {
        self.entry(key).map_or(self.place, |entry| self.context.place(entry.value.span().start))
    }

    /// Reads one key; `read` says what is wrong with its value.
    fn get<T>(&self, key: &str, read: impl FnOnce(&Entry<'r>) -> Result<T, Wrong>) -> Option<T> {
        let entry = self.entry(key)?;
        match read(entry) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.report(self.context.place(entry.value.span().start), key, wrong.message, wrong.hint);
                None
            }
        }
    }

    /// A value that `read` knows by itself.
    pub fn value<T>(&self, key: &str, read: impl FnOnce(&DeValue<'r>) -> Result<T, Wrong>) -> Option<T> {
        self.get(key, |entry| read(entry.value.get_ref()))
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key, |entry| match entry.value.get_ref() {
            DeValue::Boolean(value) => Ok(*value),
            other => Err(expected("true or false", other, "write `true` or `false`, without quotes".into())),
        })
    }

    pub fn text(&self, key: &str) -> Option<&'r str> {
        self.get(key, |entry| {
            let Kind::Text { bytes_max } = entry.key.kind else { unreachable!("`{key}` is declared as text") };
            text(entry.value.get_ref(), bytes_max)
        })
    }

    /// A list of texts, or one text where the key allows it; with their places.
    pub fn texts(&self, key: &str) -> Option<Vec<(&'r str, Place)>> {
        let entry = self.entry(key)?;
        let (count_max, bytes_max, alone) = match entry.key.kind {
            Kind::Texts { count_max, bytes_max } => (count_max, bytes_max, true),
            Kind::List { count_max, bytes_max } => (count_max, bytes_max, false),
            _ => unreachable!("`{key}` is declared as texts"),
        };
        let values = self.get(key, |entry| match entry.value.get_ref() {
            DeValue::String(_) if alone => Ok(std::slice::from_ref(entry.value)),
            DeValue::Array(values) => bounded(values, count_max),
            other if alone => Err(expected("text or a list of texts", other, String::new())),
            other => Err(expected("a list of texts", other, format!("write it as {key} = [\"…\", \"…\"]"))),
        })?;
        self.each(key, values, |value| text(value, bytes_max))
    }

    /// Reads each value of a list; `None` if one of them was refused.
    fn each<T>(
        &self,
        key: &str,
        values: &'r [Value<'r>],
        read: impl Fn(&'r DeValue<'r>) -> Result<T, Wrong>,
    ) -> Option<Vec<(T, Place)>> {
        let mut read_all = Vec::with_capacity(values.len());
        for value in values {
            let place = self.context.place(value.span().start);
            match read(value.get_ref()) {
                Ok(value) => read_all.push((value, place)),
                Err(wrong) => self.report(place, key, wrong.message, wrong.hint),
            }
        }
        (read_all.len() == values.len()).then_some(read_all)
    }

    /// An absolute path: a relative one is joined to the folder of its file.
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        self.get(key, |entry| match text(entry.value.get_ref(), 4096)? {
            "" => Err(Wrong::new("is empty", "write a path")),
            path => Ok(self.context.source.folder.join(path)),
        })
    }

    pub fn duration(&self, key: &str) -> Option<Duration> {
        self.get(key, |entry| {
            let Kind::Duration { least } = entry.key.kind else { unreachable!("`{key}` is declared as a duration") };
            duration(entry.value.get_ref(), least)
        })
    }

    /// The value of a key that takes a duration or a table.
    pub fn duration_or_table(&self, key: &str, least: Duration) -> Option<DurationOrTable<'r>> {
        match self.entry(key)?.value.get_ref() {
            DeValue::Table(_) => self.table(key).map(DurationOrTable::Table),
            value => self.get(key, |_| duration(value, least)).map(DurationOrTable::Duration),
        }
    }

    /// Bytes.
    pub fn size(&self, key: &str) -> Option<u64> {
        self.get(key, |entry| match entry.value.get_ref() {
            DeValue::String(text) => value::size(text),
            DeValue::Integer(number) => Err(Wrong::new("has no unit", format!("write \"{number}B\" for bytes"))),
            other => Err(expected("a size", other, "write it as \"2GB\" or \"512KiB\"".into())),
        })
    }

    pub fn integer(&self, key: &str) -> Option<u64> {
        self.get(key, |entry| {
            let Kind::Integer { least, most } = entry.key.kind else { unreachable!("`{key}` is declared as integer") };
            integer(entry.value.get_ref(), least..=most)
        })
    }

    pub fn signed(&self, key: &str) -> Option<i64> {
        self.get(key, |entry| {
            let Kind::Signed { least, most } = entry.key.kind else { unreachable!("`{key}` is declared as signed") };
            integer(entry.value.get_ref(), least..=most)
        })
    }

    /// A bound of a process.
    pub fn limit(&self, key: &str) -> Option<Limit> {
        self.get(key, |entry| {
            let Kind::Limit(unit) = entry.key.kind else { unreachable!("`{key}` is declared as a limit") };
            limit(entry.value.get_ref(), unit)
        })
    }

    /// A text that `read` knows the form of; it answers none for another one.
    pub fn form<T>(&self, key: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        self.get(key, |entry| {
            let Kind::Form(forms) = entry.key.kind else { unreachable!("`{key}` is declared as a form") };
            let text = text(entry.value.get_ref(), 4096)?;
            let forms: Vec<String> = forms.iter().map(|form| format!("\"{form}\"")).collect();
            let hint = || format!("write one of {}", forms.join(", "));
            read(text).ok_or_else(|| Wrong::new(format!("unknown value {}", quoted(text)), hint()))
        })
    }

    /// A text as with [`Table::form`], or a table.
    pub fn form_or_table<T>(&self, key: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<FormOrTable<'r, T>> {
        let entry = self.entry(key)?;
        let Kind::TableOrForm(inner, forms) = entry.key.kind else {
            unreachable!("`{key}` is declared as a form or table")
        };
        let hint = || {
            let known: Vec<String> = inner.keys().map(|key| format!("`{}`", key.name)).collect();
            format!("write \"{}\", or a table of {}", forms.join("\", \""), known.join(", "))
        };
        self.get(key, |entry| match entry.value.get_ref() {
            DeValue::Table(_) => Ok(None),
            value @ DeValue::String(_) => {
                let text = text(value, 4096)?;
                let read = read(text).map(Some);
                read.ok_or_else(|| Wrong::new(format!("unknown value {}", quoted(text)), hint()))
            }
            other => Err(expected("text or a table", other, hint())),
        })?
        .map(FormOrTable::Form)
        .or_else(|| self.table(key).map(FormOrTable::Table))
    }

    pub fn integers(&self, key: &str) -> Option<Vec<u64>> {
        let Kind::Integers { least, most } = self.entry(key)?.key.kind else {
            unreachable!("`{key}` is declared as integers")
        };
        let values = self.get(key, |entry| match entry.value.get_ref() {
            DeValue::Array(values) => bounded(values, 1024),
            other => Err(expected("a list of whole numbers", other, format!("write it as {key} = [{least}]"))),
        })?;
        let values = self.each(key, values, |value| integer(value, least..=most))?;
        Some(values.into_iter().map(|(value, _)| value).collect())
    }

    pub fn number(&self, key: &str) -> Option<f64> {
        self.get(key, |entry| {
            let Kind::Number { least, most } = entry.key.kind else { unreachable!("`{key}` is declared as a number") };
            let number: Option<f64> = match entry.value.get_ref() {
                DeValue::Float(number) => number.as_str().parse().ok(),
                DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
                other => return Err(expected("a number", other, String::new())),
            };
            let outside = |number: f64| Wrong::new(format!("{number} is not between {least} and {most}"), "");
            let number = number.unwrap_or(f64::NAN);
            if (least..=most).contains(&number) { Ok(number) } else { Err(outside(number)) }
        })
    }

    /// One of the names of the key, as the value that serde knows under that name.
    pub fn choice<T: Deserialize<'r>>(&self, key: &str) -> Option<T> {
        self.get(key, |entry| {
            let Kind::Choice(names) = entry.key.kind else { unreachable!("`{key}` is declared as a choice") };
            let chosen = text(entry.value.get_ref(), usize::MAX)?;
            let deserializer: StrDeserializer<'r, ChoiceError> = chosen.into_deserializer();
            let value = names.contains(&chosen).then(|| T::deserialize(deserializer).ok()).flatten();
            let known = || names.iter().copied();
            let hint = || did_you_mean(chosen, known, "");
            value.ok_or_else(|| Wrong::new(format!("unknown value {}", quoted(chosen)), hint()))
        })
    }

    /// A date and time; without an offset it is read in `zone`.
    pub fn instant(&self, key: &str, zone: &Zone) -> Option<Timestamp> {
        self.get(key, |entry| match entry.value.get_ref() {
            DeValue::String(text) => value::instant(text, &zone.rules),
            DeValue::Datetime(datetime) => value::instant(&datetime.to_string(), &zone.rules),
            other => Err(expected("a date and time", other, "write it as 2026-12-01T08:00:00+01:00".into())),
        })
    }

    /// File mode bits.
    pub fn octal(&self, key: &str) -> Option<u32> {
        self.get(key, |entry| match entry.value.get_ref() {
            DeValue::String(text) => value::octal(text),
            other => Err(expected("octal text", other, "write three octal digits in quotes, as \"0027\"".into())),
        })
    }

    /// The table under a key, read by the key's own section.
    pub fn table(&self, key: &str) -> Option<Table<'r>> {
        let (section, table) = self.get(key, |entry| {
            let section = entry.key.kind.inner().unwrap_or_else(|| unreachable!("`{key}` is declared as a table"));
            let first = section.keys().next().map_or("…", |first| first.name);
            let table = as_table(entry.value, || format!("write it as {key} = {{ {first} = … }}"))?;
            Ok((section, table))
        })?;
        Some(Table::new(self.context, section, self.full(key), self.entry(key)?.place, table))
    }

    /// What stands under free names in the table of a key, in the order of the file.
    pub fn named(&self, key: &str) -> Vec<Named<'r>> {
        let read = |entry: &Entry<'r>| {
            as_table(entry.value, || match entry.key.kind {
                Kind::Environment => format!("write it as {key} = {{ NAME = \"value\" }}"),
                Kind::Assignments { .. } => format!("write it as {key} = {{ column = \"expression\" }}"),
                _ => format!("begin one with [{key}.NAME]"),
            })
        };
        let Some(table) = self.get(key, read) else { return Vec::new() };
        let named = |(name, value): (&'r Spanned<std::borrow::Cow<'r, str>>, &'r Value<'r>)| Named {
            name: name.get_ref(),
            place: self.context.place(name.span().start),
            value,
        };
        let mut all: Vec<Named<'r>> = table.iter().map(named).collect();
        all.sort_by_key(|named| named.place);
        all
    }

    /// Names with a text each, in the order of the file; those with a wrong text are reported and left out.
    pub fn assignments(&self, key: &str) -> Option<Vec<(&'r str, Place, &'r str)>> {
        let &Kind::Assignments { count_max, bytes_max } = &self.entry(key)?.key.kind else {
            unreachable!("`{key}` is declared as assignments")
        };
        let named = self.named(key);
        if named.is_empty() || named.len() > count_max {
            let message = format!("has {} entries, not 1 to {count_max}", named.len());
            self.report(self.value_place(key), key, message, "leave the key out for its default");
            return None;
        }
        let read = |named: &Named<'r>| match text(named.value.get_ref(), bytes_max) {
            Ok(value) => Some((named.name, named.place, value)),
            Err(wrong) => {
                let full = full_name(&self.full(key), named.name);
                self.context.report.add(named.place, full, wrong.message, wrong.hint);
                None
            }
        };
        Some(named.iter().filter_map(read).collect())
    }

    /// One of [`Table::named`] as a table; `full` is its full name.
    pub fn named_table(&self, section: &Section, full: String, named: &Named<'r>) -> Option<Table<'r>> {
        match as_table(named.value, || format!("begin it with [{full}]")) {
            Ok(table) => Some(Table::new(self.context, section, full, named.place, table)),
            Err(wrong) => {
                self.context.report.add(named.place, full, wrong.message, wrong.hint);
                None
            }
        }
    }
}

/// The full name of a key in a table; what TOML would have in quotes is in quotes.
pub(super) fn full_name(table: &str, key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let key = match !key.is_empty() && key.len() <= 64 && key.bytes().all(bare) {
        true => key.to_owned(),
        false => quoted(key).replace('`', "\""),
    };
    if table.is_empty() { key } else { format!("{table}.{key}") }
}

/// A hint for a name that is not known: the nearest one, all if they are few, or `otherwise`.
pub(super) fn did_you_mean<'k, I: Iterator<Item = &'k str>>(
    name: &str,
    known: impl Fn() -> I,
    otherwise: &str,
) -> String {
    if let Some(nearest) = nearest(name, known()) {
        return format!("did you mean `{nearest}`?");
    }
    let listed: Vec<String> = known().take(LISTED_MAX + 1).map(|name| format!("`{name}`")).collect();
    match listed.len() {
        1..=LISTED_MAX => format!("known here: {}", listed.join(", ")),
        _ => otherwise.to_owned(),
    }
}
