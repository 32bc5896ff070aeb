//! Walking folders and deleting files without ever following a symbolic link. What matches, and what is to go, is not
//! decided here.
//!
//! Paths are never handed to the kernel as a whole: who may write into a folder could swap one of its folders for a
//! link to `/etc` between looking and deleting. Each folder is opened by its name within its
//! parent, refusing links, and files are looked at and deleted by their name within an open folder.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat, unlinkat};
use rustix::io::Errno;

use crate::core::time::Timestamp;

/// Folders within folders; as many files are open at once.
const FOLDERS_DEEP_MAX: usize = 200;

/// Only a folder, never through a link. `O_PATH`, as passing through takes no right to read.
const PASS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// The same, to read its entries.
const READ: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A regular file as it was when it was looked at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct File {
    pub name: OsString,
    pub modified: Timestamp,
    /// In bytes.
    pub size: u64,
    /// Device and inode: the file's identity.
    identity: (u64, u64),
}

impl File {
    #[expect(clippy::unnecessary_cast, reason = "the types of these fields differ between architectures")]
    fn new(name: &OsStr, stat: &Stat) -> Option<File> {
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return None;
        }
        let modified =
            (stat.st_mtime as i64).saturating_mul(1000).saturating_add(stat.st_mtime_nsec as i64 / 1_000_000);
        let identity = (stat.st_dev as u64, stat.st_ino as u64);
        Some(File { name: name.to_owned(), modified: Timestamp(modified), size: stat.st_size as u64, identity })
    }
}

/// What became of a file that was to be deleted.
#[derive(Debug, PartialEq)]
pub(super) enum Deletion {
    Done,
    /// Somebody else deleted it.
    Gone,
    /// It was written to or replaced since it was looked at, so the reason to delete it may be void.
    Changed,
}

/// Opens an absolute folder from the root, refusing links at every step. On failure, the folder that refused.
pub(super) fn open(path: &Path) -> Result<OwnedFd, (PathBuf, Errno)> {
    let mut walked = PathBuf::from("/");
    let mut folder = openat(CWD, "/", PASS, Mode::empty()).map_err(|error| (walked.clone(), error))?;
    for name in path.components() {
        if let Component::Normal(name) = name {
            walked.push(name);
            folder = openat(&folder, name, PASS, Mode::empty()).map_err(|error| (walked.clone(), error))?;
        }
    }
    Ok(folder)
}

/// Deletes `file` from `folder` if it still is what was looked at; with `dry_run`, only tells.
pub(super) fn delete(folder: BorrowedFd<'_>, file: &File, dry_run: bool) -> Result<Deletion, Errno> {
    let found = match statat(folder, &file.name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(Deletion::Gone),
        found => found?,
    };
    if File::new(&file.name, &found).as_ref() != Some(file) {
        return Ok(Deletion::Changed);
    }
    if dry_run {
        return Ok(Deletion::Done);
    }
    match unlinkat(folder, &file.name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(Deletion::Gone),
        other => other.map(|()| Deletion::Done),
    }
}

/// A folder that is being read.
struct Level {
    entries: Dir,
    path: Arc<Path>,
}

/// One step of a walk.
#[derive(Debug)]
pub(super) enum Step {
    /// A regular file in a folder.
    File(Arc<Path>, File),
    /// An entry that is nothing to delete.
    Other,
    /// A folder has been read to its end.
    Left(Arc<Path>),
    /// Something vanished while it was looked at.
    Vanished(PathBuf),
    /// Something could not be read; the walk goes on behind it.
    Unreadable(PathBuf, Errno),
}

/// A walk through a folder and, down to a depth, the folders in it.
pub(super) struct Walk {
    levels: Vec<Level>,
    depth_max: usize,
}

impl Walk {
    /// Starts at `base`, whose path is `path`.
    pub fn start(base: &OwnedFd, path: Arc<Path>, depth_max: Option<usize>) -> Result<Walk, Errno> {
        let level = Level { entries: read(base.as_fd(), OsStr::new("."))?, path };
        Ok(Walk { levels: vec![level], depth_max: depth_max.unwrap_or(usize::MAX) })
    }

    /// The next step, or none at the end.
    pub fn next(&mut self) -> Option<Step> {
        let depth = self.levels.len();
        let level = self.levels.last_mut()?;
        let entry = match level.entries.read() {
            Some(Ok(entry)) => entry,
            // The end of the folder comes next: after an error there are no more entries.
            Some(Err(error)) => return Some(Step::Unreadable(level.path.to_path_buf(), error)),
            None => return self.levels.pop().map(|level| Step::Left(level.path)),
        };
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            return Some(Step::Other);
        }
        Some(match level.look(name, entry.file_type()) {
            Ok(Looked::File(file)) => Step::File(level.path.clone(), file),
            Ok(Looked::Folder) if depth > self.depth_max => Step::Other,
            Ok(Looked::Folder) if depth >= FOLDERS_DEEP_MAX => {
                Step::Unreadable(level.path.join(name), Errno::NAMETOOLONG)
            }
            Ok(Looked::Folder) => match level.enter(name) {
                Ok(below) => {
                    self.levels.push(below);
                    Step::Other
                }
                Err(Errno::NOENT) => Step::Vanished(level.path.join(name)),
                Err(error) => Step::Unreadable(level.path.join(name), error),
            },
            Ok(Looked::Neither) => Step::Other,
            Err(Errno::NOENT) => Step::Vanished(level.path.join(name)),
            Err(error) => Step::Unreadable(level.path.join(name), error),
        })
    }
}

enum Looked {
    File(File),
    Folder,
    Neither,
}

impl Level {
    /// What `name` is; `kind` spares a call where the file system told it already.
    fn look(&self, name: &OsStr, kind: FileType) -> Result<Looked, Errno> {
        match kind {
            FileType::Directory => return Ok(Looked::Folder),
            FileType::RegularFile | FileType::Unknown => {}
            _ => return Ok(Looked::Neither),
        }
        let stat = statat(self.entries.fd()?, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            return Ok(Looked::Folder);
        }
        Ok(File::new(name, &stat).map_or(Looked::Neither, Looked::File))
    }

    /// The folder `name` in this one: the only way down, and it refuses links.
    fn enter(&self, name: &OsStr) -> Result<Level, Errno> {
        Ok(Level { entries: read(self.entries.fd()?, name)?, path: self.path.join(name).into() })
    }
}

fn read(parent: BorrowedFd<'_>, name: &OsStr) -> Result<Dir, Errno> {
    Dir::new(openat(parent, name, READ, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with `inside/x.log` and, as somebody else's, `outside/x.log`, of the same size.
    fn folders() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["inside", "outside"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("x.log"), "line").unwrap();
        }
        folder
    }

    fn files(walk: &mut Walk) -> Vec<(Arc<Path>, File)> {
        std::iter::from_fn(|| walk.next())
            .filter_map(|step| if let Step::File(folder, file) = step { Some((folder, file)) } else { None })
            .collect()
    }

    #[test]
    fn a_folder_swapped_for_a_link_is_not_entered_and_nothing_behind_it_deleted() {
        let folder = folders();
        let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
        let base = open(folder.path()).unwrap();
        let path: Arc<Path> = folder.path().into();
        let found = files(&mut Walk::start(&base, path.clone(), None).unwrap());
        let (_, file) = found.iter().find(|(folder, _)| folder.ends_with("inside")).unwrap();
        let held = open(&inside).unwrap();

        std::fs::rename(&inside, folder.path().join("moved")).unwrap();
        symlink(&outside, &inside).unwrap();
        // The way down that the walk would take if it had seen the folder before the swap.
        let level = Level { entries: read(base.as_fd(), OsStr::new(".")).unwrap(), path: path.clone() };
        assert!(matches!(level.enter(OsStr::new("inside")), Err(Errno::NOTDIR | Errno::LOOP)));
        // The way by path that deletions take, at the end and in the middle of a path.
        assert_eq!(open(&inside).unwrap_err(), (inside.clone(), Errno::NOTDIR));
        assert_eq!(open(&inside.join("deeper")).unwrap_err(), (inside.clone(), Errno::NOTDIR));
        // A folder that was open before the swap still is the same one.
        assert_eq!(delete(held.as_fd(), file, false), Ok(Deletion::Done));
        assert!(outside.join("x.log").exists() && !folder.path().join("moved/x.log").exists());
    }

    #[test]
    fn a_file_that_changed_or_went_is_left() {
        let folder = folders();
        let inside = open(&folder.path().join("inside")).unwrap();
        let (_, file) = files(&mut Walk::start(&inside, folder.path().into(), None).unwrap()).remove(0);
        let path = folder.path().join("inside/x.log");

        assert_eq!(delete(inside.as_fd(), &file, true), Ok(Deletion::Done));
        std::fs::write(&path, "another line").unwrap();
        assert_eq!(delete(inside.as_fd(), &file, false), Ok(Deletion::Changed));
        std::fs::remove_file(&path).unwrap();
        symlink(folder.path().join("outside/x.log"), &path).unwrap();
        assert_eq!(delete(inside.as_fd(), &file, false), Ok(Deletion::Changed));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(delete(inside.as_fd(), &file, false), Ok(Deletion::Gone));
        assert!(folder.path().join("outside/x.log").exists());
    }

    #[test]
    fn a_walk_keeps_to_its_depth_and_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut deep = folder.path().to_path_buf();
        for _ in 0..FOLDERS_DEEP_MAX + 2 {
            std::fs::write(deep.join("f"), "").unwrap();
            deep.push("d");
            std::fs::create_dir(&deep).unwrap();
        }
        let base = open(folder.path()).unwrap();
        let count = |depth| files(&mut Walk::start(&base, folder.path().into(), depth).unwrap()).len();
        assert_eq!(count(Some(0)), 1);
        assert_eq!(count(Some(3)), 4);
        assert_eq!(count(None), FOLDERS_DEEP_MAX);
    }
}
