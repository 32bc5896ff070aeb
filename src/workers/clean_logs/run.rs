//! One run of `clean-logs`: walks, applies the limits, deletes, tells. Each file is looked at and
//! deleted by `folder.rs`.
//!
//! The work is done on a blocking thread in chunks; between two the run looks for cancellation.
//! What is deleted stays deleted, so a run that is killed is completed by the next.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use serde_json::json;

use super::folder::{self, Deletion, File, Step, Walk};
use super::{CleanLogs, Context, Error, Pattern};

/// Steps in one chunk: some milliseconds.
const CHUNK_STEPS: usize = 1000;
/// Files that are remembered for `keep_files` and `keep_size`, some 150 bytes each.
const REMEMBERED_MAX: usize = 1_000_000;

/// Why a file goes, as it is written to the output.
#[derive(Clone, Copy)]
enum Reason {
    Age,
    Count,
    Size,
}

/// A file in its folder.
struct Found {
    folder: Arc<Path>,
    file: File,
}

#[derive(Default)]
struct Counts {
    examined: u64,
    deleted: u64,
    bytes: u64,
    vanished: u64,
    errors: u64,
}

/// A run between two chunks.
struct Cleaning {
    context: Context,
    settings: CleanLogs,
    patterns: Arc<[Pattern]>,
    dry_run: bool,
    /// The pattern to walk for next.
    next_pattern: usize,
    walk: Option<Walk>,
    /// The files that may go by count, of each folder that is being walked: the innermost comes last.
    in_folders: Vec<(Arc<Path>, Vec<Found>)>,
    /// The files that may go by size.
    kept: Vec<Found>,
    /// How many files are in `in_folders` and `kept`.
    remembered: usize,
    /// Whether more files were found than can be remembered.
    overflown: bool,
    /// Files that are to be deleted next.
    doomed: VecDeque<(Found, Reason)>,
    /// The folder that was deleted from last, open.
    opened: Option<(Arc<Path>, OwnedFd)>,
    counts: Counts,
    /// The first pattern that leads through a link.
    refused: Option<Error>,
}

/// Runs once.
pub(super) async fn run(
    settings: &CleanLogs,
    patterns: Arc<[Pattern]>,
    context: Context,
) -> Result<serde_json::Value, Error> {
    let dry_run = context.dry_run(settings.dry_run)?;
    let verb = if dry_run { "would delete" } else { "deleted" };
    let mut cleaning = Cleaning::new(settings.clone(), patterns, context.clone(), dry_run);
    loop {
        if context.cancelled.is_set() {
            return Err(Error::Cancelled { so_far: format!("{verb} {} files", cleaning.counts.deleted) });
        }
        let chunk = tokio::task::spawn_blocking(move || {
            let more = (0..CHUNK_STEPS).all(|_| cleaning.step());
            (cleaning, more)
        });
        let more;
        (cleaning, more) = chunk.await.map_err(|error| Error::Thread(error.into()))?;
        let Counts { examined, deleted, .. } = cleaning.counts;
        context.report(examined, if more { 0 } else { examined }, &format!("{verb} {deleted} files"));
        if !more {
            break;
        }
    }
    let Counts { examined, deleted, bytes, vanished, errors } = cleaning.counts;
    context.line(&format!("{verb} {deleted} of {examined} files, {bytes} bytes; {errors} errors"));
    match cleaning.refused {
        Some(error) => Err(error),
        None => Ok(json!({
            "examined": examined,
            "deleted": if dry_run { 0 } else { deleted },
            "bytes": if dry_run { 0 } else { bytes },
            "would_delete": if dry_run { deleted } else { 0 },
            "vanished": vanished,
            "errors": errors,
            "dry_run": dry_run,
        })),
    }
}

impl Cleaning {
    fn new(settings: CleanLogs, patterns: Arc<[Pattern]>, context: Context, dry_run: bool) -> Self {
        Cleaning {
            context,
            settings,
            patterns,
            dry_run,
            next_pattern: 0,
            walk: None,
            in_folders: Vec::new(),
            kept: Vec::new(),
            remembered: 0,
            overflown: false,
            doomed: VecDeque::new(),
            opened: None,
            counts: Counts::default(),
            refused: None,
        }
    }

    /// A small piece of the work; false when there is none left.
    fn step(&mut self) -> bool {
        if let Some((found, reason)) = self.doomed.pop_front() {
            self.delete(&found, reason);
        } else if let Some(walk) = &mut self.walk {
            match walk.next() {
                Some(step) => self.walked(step),
                None => self.walk = None,
            }
        } else if self.next_pattern < self.patterns.len() {
            self.start(self.next_pattern);
            self.next_pattern += 1;
        } else if !self.kept.is_empty() {
            self.apply_size();
        } else {
            return false;
        }
        true
    }

    /// Starts the walk for a pattern.
    fn start(&mut self, pattern: usize) {
        let pattern = &self.patterns[pattern];
        let base: PathBuf = std::iter::once("/").chain(pattern.base.iter().map(String::as_str)).collect();
        let (depth_max, text) = (pattern.depth_max, pattern.text.clone());
        let started = folder::open(&base)
            .and_then(|folder| Walk::start(&folder, base.clone().into(), depth_max).map_err(|error| (base, error)));
        match started {
            Ok(walk) => self.walk = Some(walk),
            Err((folder, Errno::NOENT)) => {
                let folder = shown(&folder);
                self.context
                    .line(&format!("note: `{folder}` does not exist, so there is nothing to delete for `{text}`"));
            }
            Err((folder, Errno::NOTDIR | Errno::LOOP)) => {
                // The other patterns go on: a full disk is worse than a late complaint.
                let error = Error::Link { pattern: text, folder: shown(&folder) };
                self.counts.errors += 1;
                self.context.line(&format!("failed to {error}"));
                self.refused.get_or_insert(error);
            }
            Err((folder, error)) => self.failed("read", &folder, error),
        }
    }

    fn walked(&mut self, step: Step) {
        match step {
            Step::File(folder, file) => self.found(Found { folder, file }),
            Step::Left(folder) => self.left(&folder),
            Step::Vanished(path) => self.vanished(&path),
            Step::Unreadable(path, error) => self.failed("read", &path, error),
            Step::Other => {}
        }
    }

    /// Decides by age, or remembers the file for the other limits.
    fn found(&mut self, found: Found) {
        let path = found.folder.join(&found.file.name);
        let pattern = self.next_pattern - 1;
        let first = self.patterns[..=pattern].iter().position(|pattern| pattern.matches(&path));
        if first != Some(pattern) {
            return; // Not matched, or an earlier pattern's.
        }
        self.counts.examined += 1;
        if self.settings.older_than.is_some_and(|older_than| self.age(&found.file) > older_than) {
            self.doomed.push_back((found, Reason::Age));
        } else if self.settings.keep_files.is_some() || self.settings.keep_size.is_some() {
            if self.remembered < REMEMBERED_MAX {
                self.remembered += 1;
                // Within a folder's files come those of the folders in it; there are few at once.
                match self.in_folders.iter_mut().rev().find(|(folder, _)| Arc::ptr_eq(folder, &found.folder)) {
                    Some((_, files)) => files.push(found),
                    None => self.in_folders.push((found.folder.clone(), vec![found])),
                }
            } else if !std::mem::replace(&mut self.overflown, true) {
                self.counts.errors += 1;
                let line = format!("failed to count all files: those beyond {REMEMBERED_MAX} are deleted by age only");
                self.context.line(&line);
            }
        }
    }

    /// A folder was read to its end: applies `keep_files` to it.
    fn left(&mut self, folder: &Arc<Path>) {
        let Some(place) = self.in_folders.iter().rposition(|(other, _)| Arc::ptr_eq(other, folder)) else { return };
        let (_, mut files) = self.in_folders.remove(place);
        self.remembered -= files.len();
        if let Some(keep_files) = self.settings.keep_files {
            files.sort_by(|a, b| (b.file.modified, &b.file.name).cmp(&(a.file.modified, &a.file.name)));
            let beyond = files.split_off(files.len().min(keep_files as usize));
            // The oldest first, so that a run that ends early has left the newest.
            self.doomed.extend(beyond.into_iter().rev().map(|found| (found, Reason::Count)));
        }
        if self.settings.keep_size.is_some() {
            self.remembered += files.len();
            self.kept.append(&mut files);
        }
    }

    /// All walks are over: applies `keep_size`.
    fn apply_size(&mut self) {
        let mut kept = std::mem::take(&mut self.kept);
        let Some(keep_size) = self.settings.keep_size else { return };
        kept.sort_by(|a, b| {
            (a.file.modified, &a.folder, &a.file.name).cmp(&(b.file.modified, &b.folder, &b.file.name))
        });
        let mut total: u64 = kept.iter().map(|found| found.file.size).sum();
        for found in kept {
            if total <= keep_size {
                break;
            }
            total -= found.file.size;
            self.doomed.push_back((found, Reason::Size));
        }
    }

    fn delete(&mut self, found: &Found, reason: Reason) {
        let path = found.folder.join(&found.file.name);
        if self.opened.as_ref().is_none_or(|(folder, _)| !Arc::ptr_eq(folder, &found.folder)) {
            match folder::open(&found.folder) {
                Ok(folder) => self.opened = Some((found.folder.clone(), folder)),
                Err((_, Errno::NOENT)) => return self.vanished(&path),
                Err((folder, error)) => return self.failed("open", &folder, error),
            }
        }
        let Some((_, folder)) = &self.opened else { return };
        match folder::delete(folder.as_fd(), &found.file, self.dry_run) {
            Ok(Deletion::Done) => {
                self.counts.deleted += 1;
                self.counts.bytes += found.file.size;
                let verb = if self.dry_run { "would delete" } else { "deleted" };
                let age = humantime::format_duration(Duration::from_secs(self.age(&found.file).as_secs()));
                let (path, size, reason) = (shown(&path), found.file.size, self.explained(reason));
                self.context.line(&format!("{verb} {path}, {size} bytes, {age} old: {reason}"));
            }
            Ok(Deletion::Gone) => self.vanished(&path),
            Ok(Deletion::Changed) => self.context.line(&format!("left {}: it was changed meanwhile", shown(&path))),
            Err(error) => self.failed("delete", &path, error),
        }
    }

    fn explained(&self, reason: Reason) -> String {
        let CleanLogs { older_than, keep_files, keep_size, .. } = &self.settings;
        match reason {
            Reason::Age => format!("older than {}", humantime::format_duration(older_than.unwrap_or_default())),
            Reason::Count => format!("not among the newest {} in its folder", keep_files.unwrap_or_default()),
            Reason::Size => format!("the files had more than {} bytes", keep_size.unwrap_or_default()),
        }
    }

    fn age(&self, file: &File) -> Duration {
        self.context.now.since(file.modified)
    }

    fn vanished(&mut self, path: &Path) {
        self.counts.vanished += 1;
        self.context.line(&format!("{} is gone already", shown(path)));
    }

    fn failed(&mut self, doing: &str, path: &Path, error: Errno) {
        self.counts.errors += 1;
        self.context.line(&format!("failed to {doing} {}: {error}; went on", shown(path)));
    }
}

/// A path on one line: a file may be named so that it would look like another line.
fn shown(path: &Path) -> String {
    let path = path.to_string_lossy();
    if !path.chars().any(char::is_control) {
        return path.into_owned();
    }
    path.escape_debug().to_string()
}
