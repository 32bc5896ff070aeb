//! What a run tells: a line for each action, progress, and the result.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::change::Change;
use super::folder::Found;
use super::limits::Reason;
use super::{CleanLogs, Context};

/// Errors that the result shows, and characters of each.
const ERRORS_SHOWN: usize = 5;
const ERROR_CHARACTERS_MAX: usize = 256;

/// What can be done to a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Work {
    Delete(Reason),
    Truncate(Reason),
    Compress,
    /// What a killed run has left unfinished goes.
    Leftover,
}

impl Work {
    fn verb(self) -> &'static str {
        match self {
            Work::Delete(_) => "delete",
            Work::Truncate(_) => "truncate",
            Work::Compress => "compress",
            Work::Leftover => "remove",
        }
    }

    fn done(self, dry_run: bool) -> &'static str {
        match (dry_run, self) {
            (false, Work::Delete(_)) => "deleted",
            (false, Work::Truncate(_)) => "truncated",
            (false, Work::Compress) => "compressed",
            (false, Work::Leftover) => "removed",
            (true, Work::Delete(_)) => "would delete",
            (true, Work::Truncate(_)) => "would truncate",
            (true, Work::Compress) => "would compress",
            (true, Work::Leftover) => "would remove",
        }
    }
}

/// What has been found and done so far.
pub(super) struct Report {
    context: Context,
    settings: CleanLogs,
    pub dry_run: bool,
    /// Files that match.
    pub examined: u64,
    deleted: u64,
    truncated: u64,
    compressed: u64,
    /// Bytes that are free now, or would be.
    bytes: i64,
    left: u64,
    vanished: u64,
    errors: u64,
    first_errors: Vec<String>,
}

impl Report {
    pub fn new(context: Context, settings: CleanLogs, dry_run: bool) -> Report {
        Report {
            context,
            settings,
            dry_run,
            examined: 0,
            deleted: 0,
            truncated: 0,
            compressed: 0,
            bytes: 0,
            left: 0,
            vanished: 0,
            errors: 0,
            first_errors: Vec::new(),
        }
    }

    /// What has become of a file.
    pub fn changed(&mut self, found: &Found, work: Work, change: Change) {
        let path = found.folder.join(&found.file.name);
        match change {
            Change::Done { freed } => self.done(found, work, freed, &shown(&path)),
            Change::Nothing | Change::Stopped => {}
            Change::Gone => self.vanished(&path),
            Change::Left(why) => self.left(&path, why),
        }
    }

    fn done(&mut self, found: &Found, work: Work, freed: i64, path: &str) {
        self.bytes += freed;
        let (done, size) = (work.done(self.dry_run), found.file.size);
        let age = Duration::from_secs(self.context.now.since(found.file.modified_at()).as_secs());
        let age = humantime::format_duration(age);
        match work {
            Work::Delete(reason) | Work::Truncate(reason) => {
                *if matches!(work, Work::Delete(_)) { &mut self.deleted } else { &mut self.truncated } += 1;
                let reason = self.explained(reason);
                self.context.line(&format!("{done} {path}, {size} bytes, {age} old: {reason}"));
            }
            Work::Compress => {
                self.compressed += 1;
                let smaller = if self.dry_run { String::new() } else { format!(", now {} bytes", size as i64 - freed) };
                self.context.line(&format!("{done} {path}, {size} bytes, {age} old{smaller}"));
            }
            Work::Leftover => {
                self.context.line(&format!("{done} {path}: a run that was killed has left it unfinished"))
            }
        }
    }

    fn explained(&self, reason: Reason) -> String {
        let CleanLogs { older_than, keep_files, keep_size, .. } = &self.settings;
        match reason {
            Reason::Age => format!("older than {}", humantime::format_duration(older_than.unwrap_or_default())),
            Reason::Count => format!("not among the newest {} of its group", keep_files.unwrap_or_default()),
            Reason::Size => format!("its group had more than {} bytes", keep_size.unwrap_or_default()),
        }
    }

    /// A file stays as it is although its time had come.
    pub fn left(&mut self, path: &Path, why: &str) {
        self.left += 1;
        self.context.line(&format!("left {}: {why}", shown(path)));
    }

    pub fn vanished(&mut self, path: &Path) {
        self.vanished += 1;
        self.context.line(&format!("{} is gone already", shown(path)));
    }

    /// Something could not be done to a file; the run goes on.
    pub fn failed(&mut self, work: Work, path: &Path, error: &dyn std::fmt::Display) {
        self.problem(format!("failed to {} {}: could not {error}", work.verb(), shown(path)));
    }

    /// Something could not be read; the run goes on behind it.
    pub fn unreadable(&mut self, path: &Path, error: &dyn std::fmt::Display) {
        self.problem(format!("failed to read {}: {error}", shown(path)));
    }

    /// Counts an error and tells it.
    pub fn problem(&mut self, problem: String) {
        self.errors += 1;
        self.context.line(&format!("{problem}; went on"));
        if self.first_errors.len() < ERRORS_SHOWN {
            self.first_errors.push(problem.chars().take(ERROR_CHARACTERS_MAX).collect());
        }
    }

    pub fn note(&self, note: &str) {
        self.context.line(&format!("note: {note}"));
    }

    /// In a sentence, for progress.
    pub fn so_far(&self) -> String {
        let Report { examined, deleted, truncated, compressed, .. } = self;
        let mut words = format!("{} {deleted}", Work::Delete(Reason::Age).done(self.dry_run));
        if *truncated > 0 {
            words += &format!(", truncated {truncated}");
        }
        if *compressed > 0 {
            words += &format!(", compressed {compressed}");
        }
        words + &format!(" of {examined} files")
    }

    /// The last line and the result.
    pub fn finish(&self) -> Value {
        let Report { bytes, left, vanished, errors, .. } = self;
        self.context.line(&format!("{}, {bytes} bytes; {left} left, {errors} errors", self.so_far()));
        let mut result = json!({
            "examined": self.examined, "bytes": bytes, "left": left, "vanished": vanished, "errors": errors,
            "first_errors": self.first_errors, "dry_run": self.dry_run,
        });
        let keys = match self.dry_run {
            false => ["deleted", "truncated", "compressed"],
            true => ["would_delete", "would_truncate", "would_compress"],
        };
        for (key, count) in keys.into_iter().zip([self.deleted, self.truncated, self.compressed]) {
            result[key] = count.into();
        }
        result
    }
}

/// A path on one line: a file may be named so that it would look like another line.
pub(super) fn shown(path: &Path) -> String {
    let path = path.to_string_lossy();
    if !path.chars().any(char::is_control) {
        return path.into_owned();
    }
    path.escape_debug().to_string()
}
