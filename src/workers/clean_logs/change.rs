//! Deleting and truncating one file of an open folder, if it still is what was looked at.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Access, AtFlags, Mode, OFlags, accessat, fstat, ftruncate, openat, statat, unlinkat};
use rustix::io::Errno;

use super::folder::File;

/// How a file is opened: never through a link, and without waiting for the other end should it have become a fifo.
const OPEN: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// What became of a file that was to be changed.
#[derive(Debug, PartialEq)]
pub(super) enum Change {
    /// Done; in a dry run: it would be done. So many bytes are free.
    Done { freed: i64 },
    /// There is nothing to do: a leftover is none, as a run is writing it.
    Nothing,
    /// Somebody else deleted it.
    Gone,
    /// It is left as it is, and why.
    Left(&'static str),
    /// The run is to end, and the file is as it was.
    Stopped,
}

/// It was written to or replaced since it was looked at, so the reason to touch it may be void.
pub(super) const CHANGED: Change = Change::Left("it was changed meanwhile");
/// It has other names, outside perhaps.
pub(super) const LINKED: Change = Change::Left("it has other hard links");

/// What could not be done, and why.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
pub(super) struct Failure {
    pub doing: &'static str,
    pub source: io::Error,
}

/// For `map_err`: what was being done.
pub(super) fn while_doing<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Failure {
    move |source| Failure { doing, source: source.into() }
}

/// Deletes `file` from `folder`.
pub(super) fn delete(folder: BorrowedFd<'_>, file: &File, dry_run: bool) -> Result<Change, Failure> {
    if let Some(other) = differs(folder, file)? {
        return Ok(other);
    }
    if dry_run {
        writable(folder)?;
    } else {
        match unlinkat(folder, &file.name, AtFlags::empty()) {
            Err(Errno::NOENT) => return Ok(Change::Gone),
            other => other.map_err(while_doing("delete it"))?,
        }
    }
    Ok(Change::Done { freed: bytes(file.size) })
}

/// Makes `file` empty, in place.
pub(super) fn truncate(folder: BorrowedFd<'_>, file: &File, dry_run: bool) -> Result<Change, Failure> {
    let Some(opened) = open(folder, &file.name, OFlags::WRONLY)? else { return Ok(Change::Gone) };
    if !is(&opened, file)? {
        return Ok(CHANGED);
    }
    if file.links > 1 {
        return Ok(LINKED);
    }
    if !dry_run {
        ftruncate(&opened, 0).map_err(while_doing("truncate it"))?;
    }
    Ok(Change::Done { freed: bytes(file.size) })
}

/// Opens a file of a folder; none if it is gone. What is a link by now is opened as nothing.
pub(super) fn open(folder: BorrowedFd<'_>, name: &OsStr, access: OFlags) -> Result<Option<OwnedFd>, Failure> {
    match openat(folder, name, access | OPEN, Mode::empty()) {
        Err(Errno::NOENT | Errno::LOOP) => Ok(None),
        opened => opened.map(Some).map_err(while_doing("open it")),
    }
}

/// Whether what is open is `file`, unchanged.
pub(super) fn is(opened: &impl AsFd, file: &File) -> Result<bool, Failure> {
    let stat = fstat(opened).map_err(while_doing("look at it"))?;
    Ok(File::new(&file.name, &stat).as_ref() == Some(file))
}

/// What to answer if the name no longer is that of `file`, unchanged.
pub(super) fn differs(folder: BorrowedFd<'_>, file: &File) -> Result<Option<Change>, Failure> {
    match statat(folder, &file.name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(Some(Change::Gone)),
        Err(error) => Err(while_doing("look at it")(error)),
        Ok(stat) => Ok((File::new(&file.name, &stat).as_ref() != Some(file)).then_some(CHANGED)),
    }
}

/// Whether entries of the folder could be made and removed: a dry run tells of the errors that a real one would meet.
pub(super) fn writable(folder: BorrowedFd<'_>) -> Result<(), Failure> {
    accessat(folder, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(while_doing("change its folder"))
}

/// A size as a difference.
pub(super) fn bytes(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
