//! Deleting outputs: those of one job, those too old, those too many.
//! Files of running attempts are never touched, nor anything whose name is not that of a file of ours.

use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::core::id::JobId;
use crate::disk::FileError;
use crate::shim;

use super::error::Error;
use super::horizon::{self, Horizon};
use super::output::{JOBS_PER_FOLDER, Outputs, delete};

/// What one pruning has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub files: u64,
    pub bytes: u64,
}

/// A file of an attempt.
pub(super) struct Entry {
    pub job: JobId,
    pub attempt: u32,
    /// And not a result that its attempt did not live to hand over.
    pub is_output: bool,
    path: PathBuf,
    entry: DirEntry,
}

/// A file of an attempt that does not run, as it was when it was looked at.
#[derive(Clone, Debug)]
pub struct OutputFile {
    pub job: JobId,
    pub attempt: u32,
    /// And not a result.
    pub is_output: bool,
    pub modified: SystemTime,
    path: PathBuf,
}

impl OutputFile {
    /// The jobs whose files share its folder.
    pub fn folder(&self) -> String {
        let first = self.job.0 / JOBS_PER_FOLDER * JOBS_PER_FOLDER;
        format!("{first} to {}", first.saturating_add(JOBS_PER_FOLDER - 1))
    }
}

impl Outputs {
    /// Deletes the outputs of all attempts of `job` that are over. It blocks.
    ///
    /// # Errors
    /// When the folder cannot be read or a file not be deleted.
    pub fn remove(&self, job: JobId) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        for file in self.files(&self.folder_of(job))? {
            if file.job == job {
                self.delete(&file, &mut pruned)?;
            }
        }
        Ok(pruned)
    }

    /// Deletes the outputs last written to before `oldest`; then, while all of them have more than
    /// `bytes_max`, those of the jobs added first. It blocks, for as long as it takes to look at each file once or twice.
    ///
    /// # Errors
    /// When a folder cannot be read or a file not be deleted; the next call goes on from there.
    pub fn prune(&self, oldest: Option<SystemTime>, bytes_max: Option<u64>) -> Result<Pruned, Error> {
        let _held = horizon::hold();
        let mut pruned = Pruned::default();
        let mut folders = self.folders()?;
        folders.sort_unstable();
        let (mut bytes_left, mut last) = (0, None);
        for &folder in &folders {
            let path = self.folder().join(folder.to_string());
            for file in self.files(&path)? {
                let Ok(metadata) = file.entry.metadata() else { continue }; // gone since
                let is_old = oldest.is_some_and(|oldest| metadata.modified().is_ok_and(|at| at < oldest));
                if !is_old || !self.delete(&file, &mut pruned)? {
                    bytes_left += metadata.len();
                }
            }
            self.remove_if_empty(folder, &path)?;
        }
        let aged = oldest.filter(|_| pruned.files > 0);
        for folder in folders {
            if bytes_max.is_none_or(|bytes_max| bytes_left <= bytes_max) {
                break;
            }
            let path = self.folder().join(folder.to_string());
            let mut files = self.files(&path)?;
            files.sort_unstable_by_key(|file| (file.job, file.attempt));
            for file in files {
                let before = pruned.bytes;
                if bytes_max.is_some_and(|bytes_max| bytes_left > bytes_max) {
                    self.delete(&file, &mut pruned)?;
                    last = last.max(Some(file.job));
                }
                bytes_left = bytes_left.saturating_sub(pruned.bytes - before);
            }
            self.remove_if_empty(folder, &path)?;
        }
        if let Err(FileError { what, path, source }) = Horizon::advance(self.folder(), last, aged) {
            return Err(Error::file(what, &path)(source));
        }
        Ok(pruned)
    }

    /// How far pruning has come, that under way included: it blocks until that is over.
    pub fn horizon(&self) -> Horizon {
        let _held = horizon::hold();
        Horizon::read(self.folder())
    }

    /// Those of the attempts that run whose file is gone although something was written to it: as far as is known, since
    /// shims write without telling, from the last such look. It blocks.
    pub fn lost_live(&self) -> Vec<(JobId, u32)> {
        let live: Vec<_> = self.live().iter().map(|(key, length)| (*key, *length.borrow())).collect();
        let mut lost = Vec::new();
        for ((job, attempt), known) in live {
            match self.size(job, attempt) {
                // One that has ended meanwhile is looked at with the others.
                0 if known > 0 && self.live().contains_key(&(job, attempt)) => lost.push((job, attempt)),
                0 => {}
                length => self.announce(job, attempt, length),
            }
        }
        lost
    }

    /// The files of attempts that do not run, in one of the [`Outputs::folders`]. It blocks.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn idle_files(&self, folder: u64) -> Result<Vec<OutputFile>, Error> {
        let entries = self.files(&self.folder().join(folder.to_string()))?;
        let live = self.live();
        let idle = entries.into_iter().filter(|file| !live.contains_key(&(file.job, file.attempt)));
        let seen = idle.filter_map(|Entry { job, attempt, is_output, path, entry }| {
            let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok()?; // else it is gone since
            Some(OutputFile { job, attempt, is_output, modified, path })
        });
        Ok(seen.collect())
    }

    /// Deletes the file unless its attempt runs by now. It blocks.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub fn discard(&self, file: &OutputFile) -> Result<(), Error> {
        // Under the lock no attempt begins.
        let live = self.live();
        if live.contains_key(&(file.job, file.attempt)) {
            return Ok(());
        }
        delete(&file.path).map(drop).map_err(Error::file("delete the output", &file.path))
    }

    /// The name of a file as a person finds it, below the state folder.
    pub fn shown(&self, file: &OutputFile) -> String {
        let below = self.folder().parent().unwrap_or(self.folder());
        file.path.strip_prefix(below).unwrap_or(&file.path).display().to_string()
    }

    /// The numbers of all folders, in no order. It blocks.
    ///
    /// # Errors
    /// When the folder of outputs cannot be read.
    pub fn folders(&self) -> Result<Vec<u64>, Error> {
        let read = || -> io::Result<Vec<u64>> {
            let mut folders = Vec::new();
            for entry in std::fs::read_dir(self.folder())? {
                folders.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
            }
            Ok(folders)
        };
        read().map_err(Error::file("list the outputs in", self.folder()))
    }

    /// The files of attempts in one folder, in no order; none if the folder is not there.
    pub(super) fn files(&self, folder: &Path) -> Result<Vec<Entry>, Error> {
        let read = || -> io::Result<Vec<Entry>> {
            let mut files = Vec::new();
            let entries = match std::fs::read_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
                entries => entries?,
            };
            for entry in entries {
                files.extend(Entry::of(entry?));
            }
            Ok(files)
        };
        read().map_err(Error::file("list the outputs in", folder))
    }

    /// Deletes the file unless its attempt runs; the answer is whether it is gone.
    fn delete(&self, file: &Entry, pruned: &mut Pruned) -> Result<bool, Error> {
        if self.live().contains_key(&(file.job, file.attempt)) {
            return Ok(false);
        }
        let bytes = file.entry.metadata().map(|metadata| metadata.len()).unwrap_or(0);
        if delete(&file.path).map_err(Error::file("delete the output", &file.path))? {
            pruned.files += 1;
            pruned.bytes += bytes;
        }
        Ok(true)
    }

    fn remove_if_empty(&self, folder: u64, path: &Path) -> Result<(), Error> {
        // An attempt begins, then makes its folder. Under the lock, none can begin without us seeing it.
        let live = self.live();
        if live.keys().any(|key| key.0.0 / JOBS_PER_FOLDER == folder) {
            return Ok(());
        }
        match std::fs::remove_dir(path) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
                Err(Error::file("remove the folder", path)(error))
            }
            _ => Ok(()),
        }
    }
}

impl Entry {
    /// None if the name is not one of ours.
    fn of(entry: DirEntry) -> Option<Entry> {
        let name = entry.file_name();
        let (attempt, kind) = name.to_str()?.rsplit_once('.')?;
        let is_output = match kind {
            "log" => true,
            "result" => false,
            _ => return None,
        };
        let (job, attempt) = shim::parse_name(attempt)?;
        Some(Entry { job, attempt, is_output, path: entry.path(), entry })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn write(outputs: &Outputs, job: u64, attempt: u32, bytes: usize) {
        outputs.begin(JobId(job), attempt);
        outputs.prepare(JobId(job), attempt).unwrap();
        std::fs::write(outputs.path(JobId(job), attempt), vec![b'x'; bytes]).unwrap();
        outputs.end(JobId(job), attempt);
    }

    fn new() -> (tempfile::TempDir, Outputs) {
        let folder = tempfile::tempdir().unwrap();
        let outputs = Outputs::new(folder.path().join("state/outputs")).unwrap();
        (folder, outputs)
    }

    #[test]
    fn a_thousand_jobs_share_a_folder() {
        let (_folder, outputs) = new();
        assert!(outputs.path(JobId(999), 1).ends_with("outputs/0/999.1.log"));
        assert!(outputs.path(JobId(4_711_000), 12).ends_with("outputs/4711/4711000.12.log"));
    }

    #[test]
    fn latest_and_remove_concern_one_job() {
        let (_folder, outputs) = new();
        (1..=10).for_each(|attempt| write(&outputs, 7, attempt, 10));
        write(&outputs, 77, 11, 10);
        assert_eq!(outputs.latest(JobId(7)).unwrap(), Some(10));
        assert_eq!(outputs.latest(JobId(8)).unwrap(), None);
        assert_eq!(outputs.latest(JobId(123_456)).unwrap(), None);
        outputs.begin(JobId(7), 12);
        assert_eq!(outputs.latest(JobId(7)).unwrap(), Some(12), "a live attempt has an output, even if empty yet");
        assert_eq!(outputs.remove(JobId(7)).unwrap(), Pruned { files: 10, bytes: 100 });
        assert!(outputs.path(JobId(77), 11).exists());
    }

    /// Both paths are in the environment of the job, or can be guessed from what is.
    #[test]
    fn what_a_job_put_in_the_place_of_a_file_goes_with_all_that_is_in_it() {
        let (folder, outputs) = new();
        let kept = folder.path().join("kept");
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("file"), "of somebody else").unwrap();
        let place = |link: bool| {
            outputs.begin(JobId(7), 1);
            let result = outputs.prepare(JobId(7), 1).unwrap();
            let log = outputs.path(JobId(7), 1);
            for path in [&result, &log] {
                match link {
                    true => std::os::unix::fs::symlink(&kept, path).unwrap(),
                    false => {
                        std::fs::create_dir_all(path.join("a/b")).unwrap();
                        std::fs::write(path.join("a/file"), "").unwrap();
                        std::os::unix::fs::symlink(&kept, path.join("a/link")).unwrap();
                    }
                }
            }
            outputs.end(JobId(7), 1);
            move || [&result, &log].iter().any(|path| path.symlink_metadata().is_ok())
        };
        for link in [false, true] {
            let is_there = place(link);
            assert_eq!(outputs.remove(JobId(7)).unwrap().files, 2);
            assert!(!is_there());
            let is_there = place(link);
            assert_eq!(outputs.prune(None, Some(0)).unwrap().files, 2);
            assert!(!is_there());
            let is_there = place(link);
            outputs.idle_files(0).unwrap().iter().for_each(|file| outputs.discard(file).unwrap());
            assert!(!is_there());
            // The next attempt of that number, after a crash that forgot this one.
            let is_there = place(link);
            outputs.prepare(JobId(7), 1).unwrap();
            assert!(!is_there());
            assert!(kept.join("file").exists(), "no link is followed");
        }
    }

    #[test]
    fn size_takes_the_oldest_jobs_and_spares_live_ones_and_strangers() {
        let (_folder, outputs) = new();
        for job in [1, 2, 3, 1001, 20_001] {
            write(&outputs, job, 1, 100);
        }
        outputs.begin(JobId(2), 2);
        std::fs::write(outputs.path(JobId(2), 2), "still running").unwrap();
        let stranger = outputs.folder().join("0/notes.txt");
        std::fs::write(&stranger, "mine").unwrap();
        assert_eq!(outputs.prune(None, Some(213)).unwrap(), Pruned { files: 3, bytes: 300 });
        assert!(outputs.path(JobId(1001), 1).exists() && outputs.path(JobId(20_001), 1).exists());
        assert_eq!(outputs.prune(None, Some(0)).unwrap(), Pruned { files: 2, bytes: 200 });
        assert!(outputs.path(JobId(2), 2).exists() && stranger.exists());
        assert!(!outputs.folder().join("1").exists() && !outputs.folder().join("20").exists(), "empty folders go");
    }

    #[test]
    fn age_is_that_of_the_last_write() {
        let (_folder, outputs) = new();
        write(&outputs, 1, 1, 100);
        write(&outputs, 2, 1, 100);
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        std::fs::File::options().write(true).open(outputs.path(JobId(2), 1)).unwrap().set_modified(old).unwrap();
        let limit = old + Duration::from_secs(1);
        assert_eq!(outputs.prune(Some(limit), None).unwrap(), Pruned { files: 1, bytes: 100 });
        assert!(outputs.path(JobId(1), 1).exists());
        assert_eq!(outputs.prune(Some(old), None).unwrap(), Pruned::default());
    }
}
