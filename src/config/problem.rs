//! What is wrong with a config: problems with their places, collected and shown all at once.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::path::PathBuf;

use super::source::Source;

/// Problems that are told in full; further ones are only counted.
const PROBLEMS_MAX: usize = 1000;
/// Characters of a value that are quoted in a message.
const QUOTED_MAX: usize = 60;

/// All that is wrong with a config. Its text has one line for each problem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// In the order of the files and of their lines; at most 1000.
    pub problems: Vec<Problem>,
    /// Further problems, which are not listed.
    pub omitted: usize,
}

impl Errors {
    /// A line for each.
    pub fn lines(&self) -> Vec<String> {
        self.to_string().lines().map(str::to_owned).collect()
    }
}

/// One thing that is wrong, where, and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// From 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// In characters, from 1; 0 when the file as a whole is meant.
    pub column: usize,
    /// The full name, as `task.backup.timeout`; empty where the text is not TOML.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        if self.omitted > 0 {
            write!(f, "\nand {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// A place in the files that are being read. Lines are counted only where a problem is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The number of the file, in the order of reading.
    pub file: usize,
    /// Bytes from its start; `None` for the file as a whole.
    pub offset: Option<usize>,
}

struct Found {
    place: Place,
    key: String,
    message: String,
    hint: String,
    /// The other place that the message ends with, as in "already defined at".
    other: Option<Place>,
}

/// Collects problems while files are read; shared by all readers.
#[derive(Default)]
pub(super) struct Report {
    found: RefCell<Vec<Found>>,
    omitted: Cell<usize>,
}

impl Report {
    /// Takes down a problem; an empty hint is left out.
    pub fn add(&self, place: Place, key: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Found { place, key: key.into(), message: message.into(), hint: hint.into(), other: None });
    }

    /// Takes down a problem whose message ends with another place.
    pub fn add_with_other(&self, place: Place, key: impl Into<String>, message: &str, other: Place, hint: &str) {
        let (message, hint) = (message.to_owned(), hint.to_owned());
        self.push(Found { place, key: key.into(), message, hint, other: Some(other) });
    }

    fn push(&self, found: Found) {
        if self.is_full() {
            self.omitted.set(self.omitted.get() + 1);
        } else {
            self.found.borrow_mut().push(found);
        }
    }

    /// Whether further problems are only counted; then a hint is not worth its search.
    pub fn is_full(&self) -> bool {
        self.found.borrow().len() >= PROBLEMS_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// The problems as errors; `sources` are the files by their numbers.
    pub fn into_errors(self, sources: &[Source]) -> Errors {
        let mut found = self.found.into_inner();
        found.sort_by_key(|found| found.place);
        let problems = found.into_iter().map(|found| {
            let (line, column) = position(sources, found.place);
            let mut message = found.message;
            if let Some(other) = found.other {
                let (line, column) = position(sources, other);
                message.push_str(&format!(" {}:{line}:{column}", sources[other.file].path.display()));
            }
            let file = sources[found.place.file].path.clone();
            Problem { file, line, column, key: found.key, message, hint: found.hint }
        });
        Errors { problems: problems.collect(), omitted: self.omitted.get() }
    }
}

fn position(sources: &[Source], place: Place) -> (usize, usize) {
    place.offset.map_or((0, 0), |offset| sources[place.file].position(offset))
}

/// `text` as it is quoted in a message: on one line, and cut when it is long.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED_MAX).is_some() {
        shown.push('…');
    }
    format!("`{}`", shown.replace("\\\"", "\"").replace("\\'", "'"))
}
