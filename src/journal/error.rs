//! What can go wrong in the journal, and what an operator can do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::Epoch;
use crate::core::id::Seq;
use crate::disk::FileError;

/// Why the journal refused or failed.
///
/// After [`Error::Io`] of an append the journal is [`Error::Poisoned`]: memory is ahead of the disk,
/// and only a restart tells what the disk holds.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another writer has appended, or the caller's number is not the next one.
    #[error("append commit {got} as writer {epoch}: the journal expects commit {expected} from writer {seen} or later")]
    Fenced { epoch: Epoch, seen: Epoch, got: Seq, expected: Seq },
    /// One commit or chunk is above its bound.
    #[error("store {what} of {bytes} bytes: the bound is {bytes_max}")]
    TooLarge { what: &'static str, bytes: usize, bytes_max: usize },
    /// What is stored is not what was written. `seq` is the first commit that is affected.
    #[error("read the journal at commit {seq}: {what} ({hint})")]
    Damaged { seq: Seq, what: String, hint: &'static str },
    /// A checkpoint of a state that is not that of a durable commit, or older than the one there is.
    #[error("put a checkpoint as of commit {seq}: {what}")]
    Misplaced { seq: Seq, what: String },
    /// The commit was dropped with its generation.
    #[error("read commit {seq}: the journal begins at commit {first}")]
    Dropped { seq: Seq, first: Seq },
    /// The operating system refused; a full disk, for example.
    #[error("{what} `{}`: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    /// Another process has the files open.
    #[error("open `{}`: another process holds it", path.display())]
    Busy { path: PathBuf },
    /// An earlier append failed.
    #[error("use the journal: an earlier write to it failed, restart to find out what the disk holds")]
    Poisoned,
}

/// The hint for damage inside what must be read to recover.
pub(super) const HINT_RESTORE: &str =
    "restore the state directory from a backup; `daybook journal verify` shows how far the journal is whole";
/// The hint for a journal that is shorter than its head file says.
pub(super) const HINT_SHORT: &str = "acknowledged commits are missing: restore the state directory from a backup, or, to go on without them, \
     move `journal/head` away";
/// The hint for a format that this build does not know.
pub(super) const HINT_VERSION: &str = "install the version of daybook that wrote it, or a later one";

impl Error {
    /// For `map_err`: an I/O error with what was tried on which path.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { what, path, source }
    }

    pub(super) fn damaged(seq: Seq, what: impl Into<String>) -> Error {
        Error::Damaged { seq, what: what.into(), hint: HINT_RESTORE }
    }
}

impl From<FileError> for Error {
    fn from(FileError { what, path, source }: FileError) -> Error {
        Error::Io { what, path, source }
    }
}
