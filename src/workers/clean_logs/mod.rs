//! `clean-logs`: deletes old log files. Here are its settings; patterns are in `pattern.rs`, the
//! careful walk through folders in `folder.rs`, the order of things in `run.rs`.

mod folder;
mod pattern;
mod run;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::{Context, Error, Run, Worker};
use pattern::Pattern;

/// The name in the config.
pub(super) const NAME: &str = "clean-logs";

/// Entries of `paths`.
const PATHS_MAX: usize = 256;

/// Settings of `clean-logs`. A file is deleted that is beyond any of the limits given, of which
/// there is at least one. Only regular files are deleted, never folders, and no symbolic link is followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleanLogs {
    /// Absolute patterns: `*`, `?`, `[a-z]` and `{a,b}` within a name, `**` for any number of folders.
    /// A file that several match belongs to the first. The folders before the first wildcard
    /// must be no symbolic links.
    pub paths: Vec<String>,
    /// Files that were last written longer ago are deleted.
    pub older_than: Option<Duration>,
    /// Of the files of one pattern in one folder, only this many are kept, the newest.
    pub keep_files: Option<u32>,
    /// Of the files of all patterns, only this many bytes are kept: the oldest files go first.
    pub keep_size: Option<u64>,
    /// Only prints what would be deleted.
    pub dry_run: bool,
}

impl CleanLogs {
    /// The keys in the config, all of them.
    pub const KEYS: [&str; 5] = ["paths", "older_than", "keep_files", "keep_size", "dry_run"];

    /// The worker with these settings. Looks at no folder yet.
    pub fn worker(self) -> Result<Arc<dyn Worker>, Error> {
        let refuse = |key, value: String, problem: &str| Err(Error::Setting { key, value, problem: problem.into() });
        if self.paths.is_empty() || self.paths.len() > PATHS_MAX {
            return refuse("paths", format!("{} patterns", self.paths.len()), "give 1 to 256 of them");
        }
        if self.older_than.is_none() && self.keep_files.is_none() && self.keep_size.is_none() {
            return refuse("older_than", "nothing".into(), "give one of `older_than`, `keep_files` and `keep_size`");
        }
        let patterns = self.paths.iter().map(|path| Pattern::parse(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(Cleaner { settings: self, patterns: patterns.into() }))
    }
}

/// The worker: its settings and its patterns, parsed.
struct Cleaner {
    settings: CleanLogs,
    patterns: Arc<[Pattern]>,
}

impl Worker for Cleaner {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, context: Context) -> Run<'_> {
        Box::pin(run::run(&self.settings, self.patterns.clone(), context))
    }
}
