//! One run of `clean-logs`: walks, applies the limits, and has the work done by `change.rs` and `compress.rs`.
//!
//! It is done on a blocking thread in chunks. Between two steps, and within the compression of a large file, the run looks
//! whether it is to end. What is done stays done, so a run that is killed is completed by the next.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use super::change::{self, Change, Failure, while_doing};
use super::compress::{self, Format, Stage};
use super::folder::{self, Found, OWN, Own, Step, Walk};
use super::limits::{self, Reason};
use super::open_files::Writers;
use super::pattern::Patterns;
use super::report::{Report, Work, shown};
use super::{Action, CleanLogs, Compress, Context, Error, Group, OpenFiles, temporary};

/// Steps in one chunk: some milliseconds.
const CHUNK_STEPS: usize = 1000;
/// A chunk ends behind a file of so many bytes that was compressed, which took its time.
const LARGE_BYTES: u64 = 1 << 20;
/// How often the compression of a large file tells how far it is.
const TELL_BYTES: u64 = 64 << 20;
/// Files that are remembered until their group is complete, some 200 bytes each.
const REMEMBERED_MAX: usize = 1_000_000;

/// A run between two chunks.
struct Cleaning {
    context: Context,
    settings: CleanLogs,
    patterns: Arc<Patterns>,
    own: Arc<Own>,
    report: Report,
    /// Nobody waits for this run any more.
    over: Arc<AtomicBool>,
    /// Where to walk next, each with a pattern that asks for it.
    bases: VecDeque<(PathBuf, String)>,
    walk: Option<Walk>,
    /// The files of each folder that is being walked which age alone does not decide about: the innermost comes last.
    in_folders: Vec<(Arc<Path>, Vec<Found>)>,
    /// With `group = "all"`: those of all folders.
    everywhere: Vec<Found>,
    /// How many files are in `in_folders` and `everywhere`.
    remembered: usize,
    /// Whether more files were found than can be remembered.
    overflown: bool,
    /// What is to be done next.
    work: VecDeque<(Found, Work)>,
    /// The folder that was worked in last, open.
    opened: Option<(Arc<Path>, OwnedFd)>,
    writers: Option<Writers>,
    /// The first pattern that leads through a link.
    refused: Option<Error>,
}

/// Sets a flag when the run's future is dropped, by a time-out: the thread would go on for nobody.
struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs once.
pub(super) async fn run(
    settings: &CleanLogs,
    patterns: Arc<Patterns>,
    context: Context,
) -> Result<serde_json::Value, Error> {
    let dry_run = context.dry_run(settings.dry_run)?;
    let mut cleaning = Cleaning::new(settings.clone(), patterns, context.clone(), dry_run);
    let _guard = Guard(cleaning.over.clone());
    loop {
        if context.cancelled.is_set() {
            return Err(Error::Cancelled { so_far: cleaning.report.so_far() });
        }
        let chunk = tokio::task::spawn_blocking(move || {
            let more = cleaning.chunk();
            (cleaning, more)
        });
        let more;
        (cleaning, more) = chunk.await.map_err(|error| Error::Thread(error.into()))?;
        let more = more?;
        let examined = cleaning.report.examined;
        context.report(examined, if more { 0 } else { examined }, &cleaning.report.so_far());
        if !more {
            break;
        }
    }
    let result = cleaning.report.finish();
    match cleaning.refused {
        Some(error) => Err(error),
        None => Ok(result),
    }
}

impl Cleaning {
    fn new(settings: CleanLogs, patterns: Arc<Patterns>, context: Context, dry_run: bool) -> Self {
        Cleaning {
            report: Report::new(context.clone(), settings.clone(), dry_run),
            bases: patterns.bases().map(|(base, text)| (base.to_owned(), text.to_owned())).collect(),
            own: Arc::new(Own::of(&context.state_dir)),
            context,
            settings,
            patterns,
            over: Arc::default(),
            walk: None,
            in_folders: Vec::new(),
            everywhere: Vec::new(),
            remembered: 0,
            overflown: false,
            work: VecDeque::new(),
            opened: None,
            writers: None,
            refused: None,
        }
    }

    /// Some steps; false when there are none left. It ends early when the run is to end.
    fn chunk(&mut self) -> Result<bool, Error> {
        for _ in 0..CHUNK_STEPS {
            if self.is_over() {
                break;
            }
            if let Some((found, work)) = self.work.pop_front() {
                self.act(&found, work)?;
                if work == Work::Compress && found.file.size >= LARGE_BYTES {
                    break;
                }
            } else if !self.look() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.context.cancelled.is_set()
    }

    /// A small piece of looking for work; false when all was looked at.
    fn look(&mut self) -> bool {
        if let Some(walk) = &mut self.walk {
            match walk.next() {
                Some(step) => self.walked(step),
                None => self.walk = None,
            }
        } else if let Some((base, pattern)) = self.bases.pop_front() {
            self.start(base, pattern);
        } else if !self.everywhere.is_empty() {
            let files = std::mem::take(&mut self.everywhere);
            self.apply_limits(files);
        } else {
            return false;
        }
        true
    }

    /// Starts the walk from a base.
    fn start(&mut self, base: PathBuf, pattern: String) {
        let patterns = self.patterns.clone();
        let own = self.own.clone();
        let started = folder::open(&base, &own)
            .and_then(|folder| Walk::start(&folder, base.clone().into(), patterns, own).map_err(|error| (base, error)));
        match started {
            Ok(walk) => self.walk = Some(walk),
            Err((folder, Errno::NOENT)) => {
                let folder = shown(&folder);
                self.report.note(&format!("`{folder}` does not exist, so there is nothing to clean for `{pattern}`"));
            }
            Err((folder, OWN)) => self.spare(&folder),
            Err((folder, Errno::NOTDIR | Errno::LOOP)) => {
                // The other patterns go on: a full disk is worse than a late complaint.
                let error = Error::Link { pattern, folder: shown(&folder) };
                self.report.problem(format!("failed to {error}"));
                self.refused.get_or_insert(error);
            }
            Err((folder, error)) => self.report.unreadable(&folder, &error),
        }
    }

    fn spare(&self, folder: &Path) {
        self.report.note(&format!("`{}` is Daybook's own, and nothing in it is touched", shown(folder)));
    }

    fn walked(&mut self, step: Step) {
        match step {
            Step::File(found) if temporary::is_leftover(&found.file.name) => {
                self.work.push_back((found, Work::Leftover));
            }
            Step::File(found) => self.found(found),
            Step::Left(folder) => self.left(&folder),
            Step::Own(path) => self.spare(&path),
            Step::Vanished(path) => self.report.vanished(&path),
            Step::Unreadable(path, error) => self.report.unreadable(&path, &error),
            Step::Other => {}
        }
    }

    /// Decides by age, or remembers the file until those of its group are known.
    fn found(&mut self, found: Found) {
        if !self.patterns.matches(&found.folder.join(&found.file.name)) {
            return;
        }
        self.report.examined += 1;
        let CleanLogs { older_than, keep_files, keep_size, compress, .. } = &self.settings;
        if older_than.is_some_and(|older_than| self.age(&found) > older_than) {
            self.beyond(found, Reason::Age);
        } else if keep_files.is_none() && keep_size.is_none() && *compress == Compress::None {
            // Within all limits that there are.
        } else if self.remembered < REMEMBERED_MAX {
            self.remembered += 1;
            // Within a folder's files come those of the folders in it; there are few at once.
            match self.in_folders.iter_mut().rev().find(|(folder, _)| Arc::ptr_eq(folder, &found.folder)) {
                Some((_, files)) => files.push(found),
                None => self.in_folders.push((found.folder.clone(), vec![found])),
            }
        } else if !std::mem::replace(&mut self.overflown, true) {
            let problem = format!("failed to remember all files: only age decides about those beyond {REMEMBERED_MAX}");
            self.report.problem(problem);
        }
    }

    /// A folder was read to its end.
    fn left(&mut self, folder: &Arc<Path>) {
        let Some(place) = self.in_folders.iter().rposition(|(other, _)| Arc::ptr_eq(other, folder)) else { return };
        let (_, mut files) = self.in_folders.remove(place);
        self.remembered -= files.len();
        let twins = if self.settings.compress == Compress::None { Vec::new() } else { limits::take_twins(&mut files) };
        self.work.extend(twins.into_iter().map(|found| (found, Work::Compress)));
        match self.settings.group {
            Group::Name | Group::Folder => self.apply_limits(files),
            Group::All => {
                self.remembered += files.len();
                self.everywhere.append(&mut files);
            }
        }
    }

    /// Applies `keep_files` and `keep_size`; what is kept may be compressed. New files come only now, when the
    /// folder is no longer being read, or they would be found again.
    fn apply_limits(&mut self, files: Vec<Found>) {
        let (kept, beyond) = limits::beyond(files, &self.settings);
        for (found, reason) in beyond {
            self.beyond(found, reason);
        }
        if self.settings.compress == Compress::None {
            return;
        }
        for found in kept {
            let due = self.age(&found) > self.settings.compress_after;
            if due && found.file.size > 0 && !compress::is_compressed(&found.file) {
                self.work.push_back((found, Work::Compress));
            }
        }
    }

    fn beyond(&mut self, found: Found, reason: Reason) {
        let work = match self.settings.action {
            Action::Delete => Work::Delete(reason),
            Action::Truncate if found.file.size == 0 => return,
            Action::Truncate => Work::Truncate(reason),
        };
        self.work.push_back((found, work));
    }

    fn age(&self, found: &Found) -> std::time::Duration {
        self.context.now.since(found.file.modified_at())
    }

    /// Does what is to be done to a file, unless somebody writes to it.
    fn act(&mut self, found: &Found, work: Work) -> Result<(), Error> {
        if self.settings.open_files == OpenFiles::Leave
            && work != Work::Leftover
            && let Some(process) = self.writers()?.of(found.file.identity)
        {
            let path = found.folder.join(&found.file.name);
            self.report.left(&path, &format!("process {process} has it open for writing"));
            return Ok(());
        }
        match self.change(found, work) {
            Ok(change) => self.report.changed(found, work, change),
            Err(failure) => self.report.failed(work, &found.folder.join(&found.file.name), &failure),
        }
        Ok(())
    }

    /// Who writes to which file; looked for once, and only if there is anything to do.
    fn writers(&mut self) -> Result<&Writers, Error> {
        if self.writers.is_none() {
            let writers = Writers::scan().map_err(|source| Error::OpenFiles { source })?;
            if writers.unseen > 0 {
                let unseen = writers.unseen;
                self.report.note(&format!("{unseen} processes are others', and what they write to is not known"));
            }
            self.writers = Some(writers);
        }
        Ok(self.writers.as_ref().expect("it was looked for above"))
    }

    fn change(&mut self, found: &Found, work: Work) -> Result<Change, Failure> {
        if self.opened.as_ref().is_none_or(|(folder, _)| !Arc::ptr_eq(folder, &found.folder)) {
            match folder::open(&found.folder, &self.own) {
                Ok(folder) => self.opened = Some((found.folder.clone(), folder)),
                Err((_, Errno::NOENT)) => return Ok(Change::Gone),
                Err((_, error)) => return Err(while_doing("open its folder")(error)),
            }
        }
        let (_, folder) = self.opened.as_ref().expect("it was opened above");
        let (folder, dry_run) = (folder.as_fd(), self.report.dry_run);
        match work {
            Work::Delete(_) => change::delete(folder, &found.file, dry_run),
            Work::Truncate(_) => change::truncate(folder, &found.file, dry_run),
            Work::Leftover => temporary::remove_leftover(folder, &found.file, dry_run),
            Work::Compress => {
                let format = match self.settings.compress {
                    Compress::Gzip => Format::Gzip,
                    Compress::Zstd => Format::Zstd,
                    Compress::None => return Ok(Change::Nothing),
                };
                compress::compress(folder, &found.file, format, dry_run, &mut |stage| self.told(found, stage))
            }
        }
    }

    /// Looks between two pieces of a large file whether to go on.
    fn told(&self, found: &Found, stage: Stage) -> ControlFlow<()> {
        if let Stage::Copying(bytes) = stage
            && bytes.is_multiple_of(TELL_BYTES)
        {
            let (name, mib) = (shown(Path::new(&found.file.name)), |bytes| bytes >> 20);
            let far = format!("{} of {} MiB of {name}", mib(bytes), mib(found.file.size));
            self.context.report(self.report.examined, 0, &format!("{}; {far}", self.report.so_far()));
        }
        if self.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
