//! Prints the tables of `keys` as the example file `etc/daybook.toml`: every key with its default and a sentence why.

use std::fmt::Write;

use super::keys::{
    BATCH, CLEAN_LOGS, DATABASE, DATABASE_NAME, DRY_RUN, GENERAL, Key, Kind, MAIN, PASSIVATE_USERS, PROCESS, SQL,
    Section, Shown,
};

/// Characters of a line.
const WIDTH: usize = 110;

const HEAD: &str = "\
Daybook's main config file: /etc/daybook/daybook.toml. Every key is in here, with its default and why it is there.
`#key = value` is a default, or, where a table cannot be without it, an example. `# key = value`, with a space, \
is an example of a key that has no default.
Durations are text with a unit (ms, s, m, h, d, w): \"5m\", \"1h 30m\". Sizes are text with a unit (B, KB, MB, GB, \
KiB, MiB, GiB): \"2GB\". Instants are RFC 3339.
`daybook check` says what is wrong, with file, line and column; `daybook reload` applies a changed file.";

/// The text of `etc/daybook.toml`.
pub fn example_file() -> String {
    let mut text = String::new();
    HEAD.lines().for_each(|line| comment(&mut text, "# ", line));
    text.push('\n');
    comment(&mut text, "# ", MAIN.doc);
    text.push('\n');
    keys(&mut text, MAIN.keys());
    for key in MAIN.keys() {
        if let Kind::Table(section) = key.kind {
            header(&mut text, section.doc, key.name);
            keys(&mut text, section.keys());
        }
    }
    header(&mut text, DATABASE.doc, "databases.app");
    keys(&mut text, DATABASE.keys());
    header(&mut text, super::keys::TASK.doc, "task.backup");
    keys(&mut text, PROCESS.iter().chain(GENERAL));
    let doc = "A task that runs statements on a database. It also has every key of a task, apart from those of `command` and \
               `shell`.";
    header(&mut text, doc, "task.clear-temporary");
    keys(&mut text, DATABASE_NAME.iter().chain(SQL));
    let doc = "A task with the built-in worker that makes users inactive who were not seen for long. It also has every key \
               of a task, apart from those of `command` and `shell`.";
    worker(&mut text, doc, "passivate-users", DATABASE_NAME.iter().chain(PASSIVATE_USERS));
    let doc = "A task with the built-in worker that deletes, truncates and compresses log files. It also has every key of a task, apart from \
               those of `command` and `shell`.";
    worker(&mut text, doc, "clean-logs", CLEAN_LOGS.iter());
    let doc = "A task with items: each of its jobs is a batch, which does the same with every one of them. What runs that \
               stands in `each`; besides, it has every key of a task apart from those of `command` and `shell`, `attempts` \
               and `backoff`.";
    header(&mut text, doc, "task.client-auth");
    keys(&mut text, BATCH.iter());
    text
}

fn worker(text: &mut String, doc: &str, name: &str, of_worker: impl Iterator<Item = &'static Key>) {
    header(text, doc, &format!("task.{name}"));
    let _ = writeln!(text, "#worker = \"{name}\"\n");
    keys(text, of_worker.chain(DRY_RUN));
}

fn header(text: &mut String, doc: &str, name: &str) {
    text.push('\n');
    comment(text, "# ", doc);
    let _ = writeln!(text, "#[{name}]\n");
}

fn keys<'k>(text: &mut String, keys: impl Iterator<Item = &'k Key>) {
    let shown = keys.filter(|key| !matches!(key.shown, Shown::Section | Shown::Nowhere));
    for (index, key) in shown.enumerate() {
        if index > 0 {
            text.push('\n');
        }
        comment(text, "# ", key.doc);
        if let Some(inner) = key.kind.inner() {
            explain(text, inner, "# ");
        }
        let name = key.name;
        let _ = match key.shown {
            Shown::Default(value) | Shown::Required(value) => writeln!(text, "#{name} = {value}"),
            Shown::Example(value) => writeln!(text, "# {name} = {value}"),
            Shown::Section | Shown::Nowhere => Ok(()),
        };
    }
}

/// The keys of a table that is written in one line; those of handlers are explained where a task has them.
fn explain(text: &mut String, inner: &Section, lead: &str) {
    comment(text, lead, inner.doc);
    let lead = format!("{lead}  ");
    for key in inner.keys().filter(|key| key.handlers.is_empty()) {
        let default = if let Shown::Default(value) = key.shown { format!(" Default: {value}.") } else { String::new() };
        comment(text, &lead, &format!("{}: {}{default}", key.name, key.doc));
        if let Some(inner) = key.kind.inner() {
            explain(text, inner, &format!("{lead}  "));
        }
    }
}

/// A comment, with its lines broken between words.
fn comment(text: &mut String, lead: &str, doc: &str) {
    let mut line = String::new();
    for word in doc.split_whitespace() {
        if !line.is_empty() && lead.len() + line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{lead}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{lead}{line}");
}
