//! The keys of the config as data: name, kind, bounds, default, and a sentence why.
//!
//! Whoever adds a key adds it here first: the reader refuses what is not in these tables, takes the
//! bounds from them and draws its hints from them; `etc/daybook.toml` is printed from them, and a test
//! holds the defaults named here against those of the code. How a value is read is `config::table`'s.

mod batch;
mod http;
mod main;
mod process;
mod task;

use std::fmt;
use std::time::Duration;

use crate::shim::limits::Unit;

pub use batch::{BATCH, EACH, ITEMS};
pub use main::{BACKOFF, DATABASE, KEEP, LOG_PARTS, MAIN};
pub use process::{LIMITS, PROCESS};
pub use task::{CLEAN_LOGS, COLUMNS, DATABASE_NAME, DRY_RUN, GENERAL, PASSIVATE_USERS, SQL, TASK};

/// A table of the config.
pub struct Section {
    /// One sentence or two about the table as a whole.
    pub doc: &'static str,
    /// Its keys, in the order in which they are shown.
    pub keys: &'static [&'static [Key]],
}

impl Section {
    /// Every key of this table.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.keys.iter().flat_map(|keys| keys.iter())
    }

    /// The key of this name.
    pub fn find(&self, name: &str) -> Option<&'static Key> {
        self.find_beside(name, |_| false)
    }

    /// The key of this name in a table with other keys: where handlers have one each, that of the handler which is there.
    pub fn find_beside(&self, name: &str, is_there: impl Fn(&str) -> bool) -> Option<&'static Key> {
        let mut named = self.keys().filter(|key| key.name == name);
        let first = named.next()?;
        let fits = |key: &&Key| key.handlers.iter().any(|handler| is_there(handler.key()));
        Some(if fits(&first) { first } else { named.find(fits).unwrap_or(first) })
    }
}

/// A key of a table.
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub shown: Shown,
    /// The handlers whose tasks may have it; empty: no restriction.
    pub handlers: &'static [HandlerKind],
    /// What it does and why, in sentences; the reference.
    pub doc: &'static str,
}

impl Key {
    const fn new(name: &'static str, kind: Kind, shown: Shown, doc: &'static str) -> Key {
        Key { name, kind, shown, handlers: &[], doc }
    }

    /// A name that is reserved for a later version.
    const fn later(name: &'static str) -> Key {
        Key::new(name, Kind::Later, Shown::Nowhere, "Not supported by this version yet.")
    }

    /// This key, for tasks of these handlers only.
    const fn only(self, handlers: &'static [HandlerKind]) -> Key {
        Key { handlers, ..self }
    }
}

/// What values a key takes, with their bounds.
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// Text of at most so many bytes.
    Text { bytes_max: usize },
    /// A text or a list of texts: at least one, at most `count_max`.
    Texts { count_max: usize, bytes_max: usize },
    /// A list of texts, and only a list.
    List { count_max: usize, bytes_max: usize },
    /// A path; a relative one starts at the folder of the file that names it.
    Path,
    /// `"5m"`, `"1h 30m"`, in whole milliseconds, at least so long and at most 100 years.
    Duration { least: Duration },
    /// `"2GB"`, `"512KiB"`; at most 1 EB.
    Size,
    /// A whole number within bounds, both included.
    Integer { least: u64, most: u64 },
    /// A whole number within bounds, both included, which may be below zero.
    Signed { least: i64, most: i64 },
    /// A bound of a process: a whole number or a size, by what is counted; `"unlimited"`; two of them as `"soft:hard"`.
    Limit(Unit),
    /// Text in one of these forms, in which words in capitals stand for something.
    Form(&'static [&'static str]),
    /// A list of whole numbers within bounds, both included; at least one.
    Integers { least: u64, most: u64 },
    /// A number within bounds, both included.
    Number { least: f64, most: f64 },
    /// One of these names.
    Choice(&'static [&'static str]),
    /// RFC 3339, as text or as TOML's own date and time; without an offset it is read in the task's zone.
    Instant,
    /// File mode bits as octal text: `"0027"`.
    Octal,
    /// Names with a value each: text, number, true or false, a list of them.
    Arguments,
    /// Names with a text each: environment variables.
    Environment,
    /// Columns with an SQL expression each, of at most so many bytes.
    Assignments { count_max: usize, bytes_max: usize },
    /// A table with these keys.
    Table(&'static Section),
    /// A table, or a duration in its place.
    TableOrDuration(&'static Section),
    /// A table, or in its place text in one of these forms, as with [`Kind::Form`].
    TableOrForm(&'static Section, &'static [&'static str]),
    /// `"500/s"`: items in a second, minute, hour or day.
    Rate,
    /// `"22:00-06:00"`: hours of the day.
    Hours,
    /// A whole number of items from 0 up to this, or a part of all: `"50%"`.
    ItemsOrPercent { most: u64 },
    /// Tables under free names, each with these keys.
    Tables(&'static Section),
    /// A name that a later version gives a meaning.
    Later,
}

impl Kind {
    /// The keys of its table, where it takes one that stands in one line.
    pub fn inner(&self) -> Option<&'static Section> {
        match self {
            Kind::Table(inner) | Kind::TableOrDuration(inner) | Kind::TableOrForm(inner, _) => Some(inner),
            _ => None,
        }
    }
}

/// How the key is shown in the example file.
pub enum Shown {
    /// This is its default: `#key = value`.
    Default(&'static str),
    /// The table cannot do without it or one of its like: `#key = value`.
    Required(&'static str),
    /// It has no default; this is an example: `# key = value`.
    Example(&'static str),
    /// As a table of its own.
    Section,
    /// Not at all.
    Nowhere,
}

/// What a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerKind {
    Command,
    Shell,
    PassivateUsers,
    CleanLogs,
    Sql,
    Http,
    /// Something done with each of many items.
    Batch,
}

impl HandlerKind {
    /// The key by which a task says that it has this handler.
    fn key(self) -> &'static str {
        match self {
            HandlerKind::Command => "command",
            HandlerKind::Shell => "shell",
            HandlerKind::Sql => "sql",
            HandlerKind::Http => "http",
            HandlerKind::Batch => "items",
            HandlerKind::PassivateUsers | HandlerKind::CleanLogs => "worker",
        }
    }
}

impl fmt::Display for HandlerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HandlerKind::Command => "`command`",
            HandlerKind::Shell => "`shell`",
            HandlerKind::PassivateUsers => "`worker = \"passivate-users\"`",
            HandlerKind::CleanLogs => "`worker = \"clean-logs\"`",
            HandlerKind::Sql => "`sql`",
            HandlerKind::Http => "`http`",
            HandlerKind::Batch => "`items`",
        })
    }
}

/// Names that other tools have for ours, where the letters alone do not lead there.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("cron", "schedule"),
    ("every", "schedule"),
    ("interval", "schedule"),
    ("at", "schedule"),
    ("tz", "timezone"),
    ("zone", "timezone"),
    ("cmd", "command"),
    ("exec", "command"),
    ("run", "shell"),
    ("script", "shell"),
    ("environment", "env"),
    ("workdir", "cwd"),
    ("working_dir", "cwd"),
    ("working_directory", "cwd"),
    ("directory", "cwd"),
    ("dir", "cwd"),
    ("run_as", "user"),
    ("runas", "user"),
    ("environment_file", "env_file"),
    ("envfile", "env_file"),
    ("dotenv", "env_file"),
    ("rlimits", "limits"),
    ("ulimit", "limits"),
    ("ulimits", "limits"),
    ("supplementary_groups", "groups"),
    ("io_priority", "ionice"),
    ("niceness", "nice"),
    ("memory", "memory_max"),
    ("pids_max", "tasks_max"),
    ("input", "stdin"),
    ("retries", "attempts"),
    ("retry", "attempts"),
    ("max_attempts", "attempts"),
    ("parallel", "concurrency"),
    ("workers", "concurrency"),
    ("jobs", "concurrency"),
    ("start", "from"),
    ("end", "until"),
    ("data_dir", "state_dir"),
    ("db", "databases"),
    ("statement", "sql"),
    ("statements", "sql"),
    ("query", "sql"),
    ("parameters", "args"),
    ("arguments", "args"),
    ("logging", "log"),
    ("max_age", "age"),
    ("maxage", "older_than"),
    ("rotate", "keep_files"),
    ("delaycompress", "compress_after"),
    ("copytruncate", "action"),
    ("item", "items"),
    ("ops", "op"),
    ("operation", "op"),
    ("operations", "op"),
    ("batch_size", "chunk"),
    ("mutex", "exclusive"),
    ("window", "hours"),
    ("throttle", "rate"),
    ("uri", "url"),
    ("max_size", "size"),
];

/// The one of `known` that `name` most likely stands for, if any comes near.
pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    const LENGTH_MAX: usize = 64;
    if name.len() > LENGTH_MAX {
        return None;
    }
    let folded = |text: &str| text.to_lowercase().replace('-', "_");
    let name = folded(name);
    let meant = OTHER_NAMES.iter().find(|(other, _)| *other == name).map(|(_, ours)| *ours);
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        if meant == Some(candidate) {
            return Some(candidate);
        }
        let distance = strsim::osa_distance(&name, &folded(candidate));
        let allowed = (name.chars().count().max(candidate.chars().count()) / 3).max(1);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found() {
        let near = |name| nearest(name, TASK.keys().map(|key| key.name));
        assert_eq!(near("shedule"), Some("schedule"));
        assert_eq!(near("schedules"), Some("schedule"));
        assert_eq!(near("Time-Zone"), Some("timezone"));
        assert_eq!(near("on-interrupt"), Some("on_interrupt"));
        assert_eq!(near("cron"), Some("schedule"));
        assert_eq!(near("retries"), Some("attempts"));
        assert_eq!(near("weather"), None);
        assert_eq!(near(&"s".repeat(100_000)), None);
    }

    /// Names are unique in their table, or for their handlers, in `snake_case`, and each has a sentence.
    #[test]
    fn keys_are_well_formed() {
        fn check(section: &Section, path: &str) {
            let mut seen = std::collections::BTreeSet::new();
            assert!(section.doc.ends_with('.'), "{path}: {}", section.doc);
            for key in section.keys() {
                let handlers: Vec<&str> = key.handlers.iter().map(|handler| handler.key()).collect();
                assert!(seen.insert((key.name, handlers)), "{path}.{} is there twice", key.name);
                assert!(key.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{path}.{}", key.name);
                assert!(key.doc.ends_with('.'), "{path}.{}: {}", key.name, key.doc);
                let tables = if let Kind::Tables(inner) = key.kind { Some(inner) } else { None };
                if let Some(inner) = key.kind.inner().or(tables) {
                    check(inner, &format!("{path}.{}", key.name));
                }
            }
        }
        check(&MAIN, "");
    }
}
