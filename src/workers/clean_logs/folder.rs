//! Walking folders without ever following a symbolic link. What matches, and what is to be done, is not decided here.
//!
//! Paths are never handed to the kernel as a whole: who may write into a folder could swap one of its folders for a
//! link to `/etc` between looking and deleting. Each folder is opened by its name within its
//! parent, refusing links, and files are looked at and changed by their name within an open folder.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

use super::pattern::Patterns;
use crate::core::time::Timestamp;

/// Folders within folders; as many files are open at once.
const FOLDERS_DEEP_MAX: usize = 200;

/// Only a folder, never through a link. `O_PATH`, as passing through takes no right to read.
const PASS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// The same, to read its entries.
const READ: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An instant as file systems know it: seconds since 1970, and nanoseconds.
pub(super) type Instant = (i64, u32);
/// Device and inode.
pub(super) type Identity = (u64, u64);

/// What opening says of a folder that is the daemon's own; with `O_PATH` or for reading the kernel says it of none.
pub(super) const OWN: Errno = Errno::PERM;

/// The daemon's own folders, which are neither entered nor passed through: the state folder and those in it, by what they
/// are and not by name, so that no link, mount or second path leads into them.
#[derive(Debug, Default)]
pub(super) struct Own(Vec<Identity>);

impl Own {
    /// Those of this state folder, as they are now. One in it may be a link to another disk.
    pub fn of(state_dir: &Path) -> Own {
        let inside = std::fs::read_dir(state_dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let folders = std::iter::once(state_dir.to_owned()).chain(inside);
        let metadata = folders.filter_map(|folder| std::fs::metadata(folder).ok()).filter(std::fs::Metadata::is_dir);
        Own(metadata.map(|folder| (folder.dev(), folder.ino())).collect())
    }

    /// The folder, unless it is one of them.
    #[allow(clippy::unnecessary_cast, reason = "the types of these fields differ between architectures")]
    fn refuse(&self, folder: OwnedFd) -> Result<OwnedFd, Errno> {
        if self.0.is_empty() {
            return Ok(folder);
        }
        let stat = fstat(&folder)?;
        if self.0.contains(&(stat.st_dev as u64, stat.st_ino as u64)) { Err(OWN) } else { Ok(folder) }
    }
}

/// A regular file as it was when it was looked at. Two that are equal are the same file, not written to in between.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct File {
    pub name: OsString,
    pub modified: Instant,
    /// When its content, owner, mode or links were last changed: this cannot be set back.
    changed: Instant,
    /// In bytes.
    pub size: u64,
    pub identity: Identity,
    /// Names that it has.
    pub links: u64,
}

impl File {
    /// None if it is no regular file.
    #[allow(clippy::unnecessary_cast, reason = "the types of these fields differ between architectures")]
    pub fn new(name: &OsStr, stat: &Stat) -> Option<File> {
        FileType::from_raw_mode(stat.st_mode).is_file().then(|| File {
            name: name.to_owned(),
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u32),
            size: stat.st_size as u64,
            identity: (stat.st_dev as u64, stat.st_ino as u64),
            links: stat.st_nlink as u64,
        })
    }

    /// When it was last written to, in whole milliseconds.
    pub fn modified_at(&self) -> Timestamp {
        let (seconds, nanoseconds) = self.modified;
        Timestamp(seconds.saturating_mul(1000).saturating_add(i64::from(nanoseconds / 1_000_000)))
    }
}

/// A file in its folder.
pub(super) struct Found {
    pub folder: Arc<Path>,
    pub file: File,
}

/// Opens an absolute folder from the root, refusing links and the daemon's own folders at every step. On failure, the
/// folder that refused.
pub(super) fn open(path: &Path, own: &Own) -> Result<OwnedFd, (PathBuf, Errno)> {
    let mut walked = PathBuf::from("/");
    let mut folder = openat(CWD, "/", PASS, Mode::empty()).map_err(|error| (walked.clone(), error))?;
    for name in path.components() {
        if let Component::Normal(name) = name {
            walked.push(name);
            folder = openat(&folder, name, PASS, Mode::empty())
                .and_then(|folder| own.refuse(folder))
                .map_err(|error| (walked.clone(), error))?;
        }
    }
    Ok(folder)
}

/// A folder that is being read.
struct Level {
    entries: Dir,
    path: Arc<Path>,
}

/// One step of a walk.
pub(super) enum Step {
    /// A regular file in a folder.
    File(Found),
    /// An entry that is none.
    Other,
    /// A folder has been read to its end.
    Left(Arc<Path>),
    /// A folder of the daemon's own: it was not entered.
    Own(PathBuf),
    /// Something vanished while it was looked at.
    Vanished(PathBuf),
    /// Something could not be read; the walk goes on behind it.
    Unreadable(PathBuf, Errno),
}

/// A walk through a folder and the folders in it that patterns reach.
pub(super) struct Walk {
    levels: Vec<Level>,
    patterns: Arc<Patterns>,
    own: Arc<Own>,
}

impl Walk {
    /// Starts at `base`, whose path is `path`.
    pub fn start(base: &OwnedFd, path: Arc<Path>, patterns: Arc<Patterns>, own: Arc<Own>) -> Result<Walk, Errno> {
        let level = Level { entries: read(base.as_fd(), OsStr::new("."), &own)?, path };
        Ok(Walk { levels: vec![level], patterns, own })
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
            Ok(Looked::File(file)) => Step::File(Found { folder: level.path.clone(), file }),
            Ok(Looked::Folder) if !self.patterns.enters(&level.path.join(name)) => Step::Other,
            Ok(Looked::Folder) if depth >= FOLDERS_DEEP_MAX => {
                Step::Unreadable(level.path.join(name), Errno::NAMETOOLONG)
            }
            Ok(Looked::Folder) => match level.enter(name, &self.own) {
                Ok(below) => {
                    self.levels.push(below);
                    Step::Other
                }
                Err(Errno::NOENT) => Step::Vanished(level.path.join(name)),
                Err(OWN) => Step::Own(level.path.join(name)),
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
    fn enter(&self, name: &OsStr, own: &Own) -> Result<Level, Errno> {
        Ok(Level { entries: read(self.entries.fd()?, name, own)?, path: self.path.join(name).into() })
    }
}

fn read(parent: BorrowedFd<'_>, name: &OsStr, own: &Own) -> Result<Dir, Errno> {
    Dir::new(own.refuse(openat(parent, name, READ, Mode::empty())?)?)
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

    fn walk(folder: &Path, patterns: &[&str]) -> Vec<PathBuf> {
        let texts: Vec<String> = patterns.iter().map(|pattern| format!("{}/{pattern}", folder.display())).collect();
        let patterns = Arc::new(Patterns::parse(&texts).unwrap());
        let mut walk =
            Walk::start(&open(folder, &Own::default()).unwrap(), folder.into(), patterns, Arc::default()).unwrap();
        std::iter::from_fn(|| walk.next())
            .filter_map(
                |step| if let Step::File(Found { folder, file }) = step { Some(folder.join(file.name)) } else { None },
            )
            .collect()
    }

    #[test]
    fn a_folder_swapped_for_a_link_is_not_entered() {
        let folder = folders();
        let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
        let base = open(folder.path(), &Own::default()).unwrap();
        std::fs::rename(&inside, folder.path().join("moved")).unwrap();
        symlink(&outside, &inside).unwrap();
        // The way down that the walk would take if it had seen the folder before the swap.
        let level = Level {
            entries: read(base.as_fd(), OsStr::new("."), &Own::default()).unwrap(),
            path: folder.path().into(),
        };
        assert!(matches!(level.enter(OsStr::new("inside"), &Own::default()), Err(Errno::NOTDIR | Errno::LOOP)));
        // The way by path that changes take, at the end and in the middle of a path.
        assert_eq!(open(&inside, &Own::default()).unwrap_err(), (inside.clone(), Errno::NOTDIR));
        assert_eq!(open(&inside.join("deeper"), &Own::default()).unwrap_err(), (inside.clone(), Errno::NOTDIR));
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
        let count = |pattern| walk(folder.path(), &[pattern]).len();
        assert_eq!(count("*"), 1);
        assert_eq!(count("*/*/*/f"), 4);
        assert_eq!(count("**/f"), FOLDERS_DEEP_MAX);
        assert_eq!(walk(folder.path(), &["*", "d/d/f"]).len(), 1, "another base is not entered");
    }
}
