//! A compressed file while it has no name of its own yet, and what a killed run has left of one.
//!
//! It is named after the original's inode and locked while it is written, so a leftover can be told from a file that
//! another run is writing.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags, flock, linkat, openat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::change::{Change, Failure, delete, is, open, while_doing};
use super::folder::File;

/// What it is called, with the original's inode in between.
const PREFIX: &str = ".daybook-clean-logs-";
const SUFFIX: &str = ".tmp";

/// A compressed file that is being written. It is locked, and removed when this is dropped.
pub(super) struct Temporary<'a> {
    folder: BorrowedFd<'a>,
    name: OsString,
    pub file: fs::File,
    renamed: bool,
}

impl<'a> Temporary<'a> {
    /// None if another run has one for the same file.
    pub fn make(folder: BorrowedFd<'a>, file: &File) -> Result<Option<Temporary<'a>>, Failure> {
        let name = OsString::from(format!("{PREFIX}{:x}{SUFFIX}", file.identity.1));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = match openat(folder, &name, flags, Mode::RUSR | Mode::WUSR) {
            Err(Errno::EXIST) => return Ok(None),
            made => made.map_err(while_doing("make a file beside it"))?,
        };
        let temporary = Temporary { folder, name, file: made.into(), renamed: false };
        flock(&temporary.file, FlockOperation::NonBlockingLockExclusive)
            .map_err(while_doing("lock a file beside it"))?;
        Ok(Some(temporary))
    }

    /// Gives it its name; false if there is a file of that name.
    pub fn rename(mut self, name: &OsStr) -> Result<bool, Failure> {
        let renamed = match renameat_with(self.folder, &self.name, self.folder, name, RenameFlags::NOREPLACE) {
            // A file system without this way of renaming: a second name does not replace anything either.
            Err(Errno::INVAL | Errno::NOSYS) => linkat(self.folder, &self.name, self.folder, name, AtFlags::empty()),
            renamed => renamed.inspect(|()| self.renamed = true),
        };
        match renamed {
            Err(Errno::EXIST) => Ok(false),
            other => other.map(|()| true).map_err(while_doing("give the compressed file its name")),
        }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            // What cannot be removed is a leftover that the next run removes.
            let _: Result<(), _> = unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}

/// Whether a file has the name of one that a killed run has left unfinished.
pub(super) fn is_leftover(name: &OsStr) -> bool {
    let inode = name.as_bytes().strip_prefix(PREFIX.as_bytes());
    let inode = inode.and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()));
    inode.is_some_and(|inode| (1..=16).contains(&inode.len()) && inode.iter().all(u8::is_ascii_hexdigit))
}

/// Removes what a killed run has left unfinished, unless a run is writing it.
pub(super) fn remove_leftover(folder: BorrowedFd<'_>, file: &File, dry_run: bool) -> Result<Change, Failure> {
    let Some(opened) = open(folder, &file.name, OFlags::RDWR)? else { return Ok(Change::Gone) };
    match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(Change::Nothing),
        locked => locked.map_err(while_doing("lock it"))?,
    }
    if !is(&opened, file)? {
        return Ok(Change::Nothing);
    }
    delete(folder, file, dry_run)
}
