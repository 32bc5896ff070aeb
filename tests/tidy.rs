//! Holds the architecture: what `core` may import and name, the size of files, and what must not be left behind.
//! Reads the sources as text; runs nothing of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, with its text.
fn sources(folder: &str) -> BTreeMap<PathBuf, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            // Tests that lie beside the code are no code.
            if path.file_name().is_some_and(|name| name == "tests.rs" || name == "tests") && found_in_src(&path) {
                continue;
            }
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(path.clone(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&root().join(folder), &mut found);
    assert!(!found.is_empty(), "no sources below {folder}: the test looks at nothing");
    found
}

fn found_in_src(path: &Path) -> bool {
    path.starts_with(root().join("src"))
}

/// The lines of a file that are code: no comments, and nothing behind `#[cfg(test)]`.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().take_while(|(_, line)| !line.trim_start().starts_with("#[cfg(test)]"));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(number, line)| (number + 1, line))
}

fn offences(folder: &str, offends: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources(folder) {
        let lines = code(&text).filter(|(_, line)| offends(line));
        found.extend(lines.map(|(number, line)| format!("{}:{number}: {}", path.display(), line.trim())));
    }
    found
}

#[track_caller]
fn none(what: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{what}:\n{}", offences.join("\n"));
}

#[test]
fn core_imports_nothing_else_of_ours() {
    none(
        "core reaches out of itself",
        offences("src/core", |line| line.split("crate::").skip(1).any(|rest| !rest.starts_with("core"))),
    );
}

/// What the core may use besides itself: time, ordered maps, and the stored form.
const CORE_CRATES: [&str; 13] = [
    "std",
    "core",
    "serde",
    "serde_json",
    "bincode",
    "thiserror",
    "chrono",
    "jiff",
    "imbl",
    // To find an item among millions; nobody goes through it.
    "hashbrown",
    "xxhash_rust",
    "humantime",
    "strsim",
];

#[test]
fn core_uses_only_what_it_must() {
    none(
        "core uses another crate",
        offences("src/core", |line| {
            let Some(import) = line.trim_start().strip_prefix("use ") else { return false };
            let first = import.split("::").next().unwrap_or_default().trim_end_matches(';');
            let own =
                ["crate", "super", "self"].contains(&first) || !first.chars().all(|c| c.is_lowercase() || c == '_');
            let module =
                root().join("src/core").join(first).exists() || root().join(format!("src/core/{first}.rs")).exists();
            !own && !module && !CORE_CRATES.contains(&first) && !is_local(first)
        }),
    );
}

/// Names of the core's own modules that `use` may begin with in a `mod.rs`.
fn is_local(name: &str) -> bool {
    sources("src/core").keys().any(|path| path.file_stem().is_some_and(|stem| stem == name))
}

#[test]
fn core_and_engine_read_no_clock_and_no_randomness() {
    const FORBIDDEN: [&str; 9] = [
        "SystemTime::now",
        "Instant::now",
        "Utc::now",
        "Local::now",
        "Zoned::now",
        "Timestamp::now",
        "thread_rng",
        "rand::",
        "RandomState",
    ];
    for folder in ["src/core", "src/engine"] {
        none("a clock or randomness", offences(folder, |line| FORBIDDEN.iter().any(|word| line.contains(word))));
    }
}

#[test]
fn core_does_no_input_and_no_output() {
    const FORBIDDEN: [&str; 8] =
        ["std::fs", "std::net", "std::process", "std::thread", "std::env", "std::io", "async ", ".await"];
    none("input or output in the core", offences("src/core", |line| FORBIDDEN.iter().any(|word| line.contains(word))));
}

#[test]
fn the_core_iterates_in_order() {
    none(
        "an unordered map in the core",
        offences("src/core", |line| ["HashMap", "HashSet"].iter().any(|word| line.contains(word))),
    );
}

#[test]
fn every_state_is_matched_by_name() {
    none(
        "a wildcard arm in the core: a new state or event would pass unseen",
        offences("src/core", |line| {
            let schedules = line.contains("None") || line.contains("Err(");
            line.trim_start().starts_with("_ =>") && !schedules
        })
        .into_iter()
        .filter(|offence| !offence.contains("src/core/schedule/") && !offence.contains("event.rs"))
        .collect(),
    );
}

#[test]
fn only_disk_knows_sled() {
    let found = offences("src", |line| line.contains("sled::") && !line.contains("self::sled::"));
    none("sled outside its place", found.into_iter().filter(|at| !at.contains("src/disk/")).collect());
}

#[test]
fn only_exec_and_shim_start_processes() {
    let found = offences("src", |line| line.contains("process::Command"));
    let elsewhere = |at: &String| !at.contains("src/exec/") && !at.contains("src/shim/");
    none("a process is started outside exec and shim", found.into_iter().filter(elsewhere).collect());
}

#[test]
fn every_event_has_a_fixed_number() {
    // The numbers of version 0.1. A line is added with each new event, and none is ever changed.
    let fixed: Vec<(u16, &str)> = include_str!("data/event-numbers.txt")
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(' ').map(|(number, name)| (number.parse().unwrap(), name)).unwrap())
        .collect();
    assert_eq!(daybook::core::event::Event::ALL, fixed, "an event has another number, or none in the list");
}

#[test]
fn files_say_what_lives_there_and_stay_small() {
    const LINES_MAX: usize = 500;
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        if !text.starts_with("//!") && !path.ends_with("main.rs") {
            wrong.push(format!("{} does not say what lives there", path.display()));
        }
        if text.lines().count() > LINES_MAX {
            wrong.push(format!("{} has {} lines: several rooms?", path.display(), text.lines().count()));
        }
    }
    none("files", wrong);
}

#[test]
fn nothing_is_left_behind() {
    // Taken apart, so that this file does not find itself.
    let words = ["to", "do!("].concat();
    let forbidden = [words.as_str(), "unimplemented!(", "dbg!(", "FIXME"];
    for folder in ["src", "tests"] {
        let found = offences(folder, |line| forbidden.iter().any(|word| line.contains(word)));
        none("left behind", found.into_iter().filter(|at| !at.contains("tests/tidy.rs")).collect());
    }
}
