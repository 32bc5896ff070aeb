//! A line of a table cut into words, and words read as durations, instants and policies.

use std::time::Duration;

use daybook::core::id::JobId;
use daybook::core::policy::{BatchPolicy, MaxFailures, TaskPolicy};
use daybook::core::time::Timestamp;
use serde::de::DeserializeOwned;

/// The instant at which every table begins: a Thursday.
pub const BEGIN: &str = "2026-01-01T00:00:00Z";

pub fn begin() -> Timestamp {
    BEGIN.parse().unwrap()
}

/// A command, its operands and its `name=value` options.
pub struct Line<'a> {
    pub text: &'a str,
    pub verb: String,
    pub operands: Vec<String>,
    pub options: Vec<(String, String)>,
}

impl<'a> Line<'a> {
    pub fn parse(text: &'a str) -> Line<'a> {
        let mut words = words(text).into_iter();
        let mut line =
            Line { text, verb: words.next().expect("a line has a word").0, operands: Vec::new(), options: Vec::new() };
        for (word, quoted) in words {
            match word.split_once('=') {
                Some((name, value)) if !quoted => line.options.push((name.to_owned(), value.to_owned())),
                _ => line.operands.push(word),
            }
        }
        line
    }

    pub fn operand(&self, place: usize) -> &str {
        self.operands.get(place).unwrap_or_else(|| panic!("`{}` lacks operand {place}", self.text))
    }

    pub fn job(&self) -> JobId {
        JobId(self.operand(0).parse().unwrap_or_else(|_| panic!("`{}` names no job", self.text)))
    }

    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(option, _)| option == name).map(|(_, value)| value.as_str())
    }

    pub fn has(&self, word: &str) -> bool {
        self.operands.iter().any(|operand| operand == word)
    }
}

/// Words, and whether each begins with a quote. A quote may also stand behind a `=`; between `'` a `"` is itself.
fn words(text: &str) -> Vec<(String, bool)> {
    let mut found: Vec<(String, bool)> = Vec::new();
    let (mut quoted, mut literal, mut fresh) = (false, false, true);
    for c in text.chars() {
        match c {
            '\'' if !quoted => literal = !literal,
            c if literal && !fresh => found.last_mut().unwrap().0.push(c),
            '"' => {
                if fresh && !quoted {
                    found.push((String::new(), true));
                    fresh = false;
                }
                quoted = !quoted;
            }
            ' ' if !quoted => fresh = true,
            c => {
                if fresh {
                    found.push((String::new(), false));
                    fresh = false;
                }
                found.last_mut().unwrap().0.push(c);
            }
        }
    }
    found
}

pub fn duration(text: &str) -> Duration {
    humantime::parse_duration(text).unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

/// `+5s`: so long after the beginning; else `HH:MM:SS`, `MM-DDTHH:MM:SS` or RFC 3339.
pub fn instant(text: &str) -> Timestamp {
    if let Some(after) = text.strip_prefix('+') {
        return begin() + duration(after);
    }
    let whole = match text.len() {
        0..=12 => format!("2026-01-01T{text}Z"),
        13..=18 => format!("2026-{text}Z"),
        _ => text.to_owned(),
    };
    whole.parse().unwrap()
}

/// An instant as the tables show it: the day only when it is not the first.
pub fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    let text = text.trim_end_matches('Z');
    let text = text.strip_suffix(".000").unwrap_or(text);
    let text = text.strip_prefix("2026-01-01T").unwrap_or(text);
    text.strip_prefix("2026-").unwrap_or(text).to_owned()
}

fn named<T: DeserializeOwned>(word: &str) -> T {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).unwrap_or_else(|error| panic!("{error}"))
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::to_owned).collect()
}

fn batch(policy: &mut TaskPolicy) -> &mut BatchPolicy {
    policy.batch.get_or_insert_default()
}

/// A policy from the options of a `task` line, the rest as in `policy`.
pub fn policy(line: &Line, mut policy: TaskPolicy) -> TaskPolicy {
    let mut schedules = Vec::new();
    for (name, value) in &line.options {
        let value = value.as_str();
        match name.as_str() {
            "schedule" => schedules.push(value.to_owned()),
            "timezone" => policy.timezone = value.to_owned(),
            "dst" => policy.dst = named(value),
            "jitter" => policy.jitter = duration(value),
            "missed" => policy.missed = named(value),
            "missed_within" => policy.missed_within = Some(duration(value)),
            "missed_max" => policy.missed_max = value.parse().unwrap(),
            "overlap" => policy.overlap = named(value),
            "from" => policy.from = Some(instant(value)),
            "until" => policy.until = Some(instant(value)),
            "priority" => policy.priority = value.parse().unwrap(),
            "attempts" => policy.attempts = value.parse().unwrap(),
            "backoff" => policy.backoff.first = duration(value),
            "factor" => policy.backoff.factor = value.parse().unwrap(),
            "backoff_max" => policy.backoff.max = duration(value),
            "give_up_after" => policy.give_up_after = duration(value),
            "concurrency" => policy.concurrency = value.parse().unwrap(),
            "queue_size" => policy.queue_size = value.parse().unwrap(),
            "on_interrupt" => policy.on_interrupt = named(value),
            "lock" => policy.lock = Some(value.to_owned()),
            "custom" => policy.custom = value == "yes",
            "clears" => policy.clears = list(value),
            "ops" => batch(&mut policy).ops = list(value),
            "items" => batch(&mut policy).given = value == "given",
            "exclusive" => batch(&mut policy).exclusive = Some(value.to_owned()),
            "when_busy" => batch(&mut policy).when_busy = named(value),
            "tries" => batch(&mut policy).attempts = value.parse().unwrap(),
            "wait" => batch(&mut policy).backoff.first = duration(value),
            "max_failures" => {
                batch(&mut policy).max_failures = Some(match value.strip_suffix('%') {
                    Some(percent) => MaxFailures::Percent(percent.parse().unwrap()),
                    None => MaxFailures::Items(value.parse().unwrap()),
                })
            }
            other => panic!("`{other}` is no part of a policy: {}", line.text),
        }
    }
    if !schedules.is_empty() {
        policy.schedules = schedules;
    }
    policy
}
