//! `clean-logs`: deletes, truncates and compresses log files. Here are its settings; patterns are in `pattern.rs`, which
//! files belong together in `group.rs`, what is beyond a limit in `limits.rs`. Files are touched only by `folder.rs`
//! (the careful walk), `change.rs`, `compress.rs` and `temporary.rs`; `open_files.rs` knows who writes to what; `run.rs` is the order of
//! things, `report.rs` what is told of it.

mod change;
mod compress;
mod folder;
mod group;
mod limits;
mod open_files;
mod pattern;
mod report;
mod run;
mod temporary;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Context, Error, Run, Worker};
use pattern::Patterns;

/// The name in the config.
pub(super) const NAME: &str = "clean-logs";

/// Entries of `paths`.
const PATHS_MAX: usize = 256;

/// Settings of `clean-logs`. `action` is done to a file that is beyond any of the limits given; the others are
/// compressed where that is asked for. Only regular files are touched, never folders, and no symbolic link is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CleanLogs {
    /// Absolute patterns: `*`, `?`, `[a-z]` and `{a,b}` within a name, `**` for any number of folders.
    /// The folders before the first wildcard must be no symbolic links.
    pub paths: Vec<String>,
    /// Files that were last written longer ago are beyond the limit.
    pub older_than: Option<Duration>,
    /// Of the files of a group, only this many are within the limit, the newest.
    pub keep_files: Option<u32>,
    /// Of the files of a group, only this many bytes are within the limit: the oldest files go first.
    pub keep_size: Option<u64>,
    /// Which files belong together.
    pub group: Group,
    /// What is done to files beyond a limit.
    pub action: Action,
    /// What files within the limits are compressed to.
    pub compress: Compress,
    /// Only files last written longer ago are compressed.
    pub compress_after: Duration,
    /// Whether files that a process has open for writing are left as they are.
    pub open_files: OpenFiles,
    /// Only prints what would be done.
    pub dry_run: bool,
}

/// Which files `keep_files` and `keep_size` take together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The rotations of one log: the files of a folder whose names differ only in number, date and compression.
    #[default]
    Name,
    /// All files of a folder that match.
    Folder,
    /// All files that match.
    All,
}

/// What becomes of a file that is beyond a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    #[default]
    Delete,
    /// It stays, empty. One with other hard links is left as it is: it could be anybody's file under another name.
    Truncate,
}

/// How files are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compress {
    #[default]
    None,
    /// `app.log.1` becomes `app.log.1.gz`.
    Gzip,
    /// `app.log.1` becomes `app.log.1.zst`.
    Zstd,
}

/// What is done with files that a process has open for writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpenFiles {
    #[default]
    Leave,
    /// They are treated like any other.
    Include,
}

impl CleanLogs {
    /// Default of `compress_after`: a day.
    pub const COMPRESS_AFTER_DEFAULT: Duration = Duration::from_secs(86_400);

    /// Whether there is a limit that a file can be beyond.
    pub fn has_limit(&self) -> bool {
        self.older_than.is_some() || self.keep_files.is_some() || self.keep_size.is_some()
    }

    /// The worker with these settings. Looks at no folder yet.
    pub fn worker(self) -> Result<Arc<dyn Worker>, Error> {
        let refuse = |key, value: String, problem: &str| Err(Error::Setting { key, value, problem: problem.into() });
        if self.paths.is_empty() || self.paths.len() > PATHS_MAX {
            return refuse("paths", format!("{} patterns", self.paths.len()), "give 1 to 256 of them");
        }
        if !self.has_limit() && self.compress == Compress::None {
            let problem = "give one of `older_than`, `keep_files`, `keep_size` and `compress`";
            return refuse("older_than", "nothing".into(), problem);
        }
        let patterns = Arc::new(Patterns::parse(&self.paths)?);
        Ok(Arc::new(Cleaner { settings: self, patterns }))
    }
}

impl Default for CleanLogs {
    fn default() -> Self {
        CleanLogs {
            paths: Vec::new(),
            older_than: None,
            keep_files: None,
            keep_size: None,
            group: Group::default(),
            action: Action::default(),
            compress: Compress::default(),
            compress_after: CleanLogs::COMPRESS_AFTER_DEFAULT,
            open_files: OpenFiles::default(),
            dry_run: false,
        }
    }
}

/// The worker: its settings and its patterns, parsed.
struct Cleaner {
    settings: CleanLogs,
    patterns: Arc<Patterns>,
}

impl Worker for Cleaner {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, context: Context) -> Run<'_> {
        Box::pin(run::run(&self.settings, self.patterns.clone(), context))
    }
}
