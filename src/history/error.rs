//! What can go wrong in a store of history, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::core::id::Seq;
use crate::disk::{self, FileError};

/// Why a store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused; a full disk, most often.
    #[error("read or write `{path}`: {source}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A partition cannot be read as what was written.
    #[error(
        "read the history partition `{path}`, which is damaged ({detail}); stop the daemon and delete the directory \
         above it: its rows are projected again as far back as the journal reaches (deleting only this partition \
         loses its rows, and keeps the others)",
        path = path.display()
    )]
    Damaged {
        /// The partition's directory.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A row is beyond the bounds of a store.
    #[error("keep a row of commit {seq}: {detail}")]
    RowRefused {
        /// The commit that brought it.
        seq: Seq,
        /// Which bound, and by how much.
        detail: String,
    },
    /// A commit was waited for that nobody handed in.
    #[error("wait until commit {up_to} is in the history: only commits up to {appended} were handed in")]
    NotAppended {
        /// The commit waited for.
        up_to: Seq,
        /// The last one handed in.
        appended: Seq,
    },
    /// Writing stopped at an earlier error; what was on disk then still is.
    #[error("write the history: it stopped at an earlier error: {reason}")]
    Stopped {
        /// The text of that error.
        reason: String,
    },
}

impl Error {
    /// An error of the operating system at `path`.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    }

    /// Damage in the partition at `path`.
    pub(super) fn damaged(path: &Path, detail: impl Into<String>) -> Error {
        Error::Damaged { path: path.to_owned(), detail: detail.into() }
    }
}

impl From<FileError> for Error {
    fn from(FileError { path, source, .. }: FileError) -> Error {
        Error::Io { path, source }
    }
}

impl From<disk::Error> for Error {
    fn from(error: disk::Error) -> Error {
        match error {
            disk::Error::File(error) => error.into(),
            disk::Error::Busy { dir: path, source } => Error::Io { path, source },
            disk::Error::Damaged { dir: path, detail, .. } => Error::Damaged { path, detail },
        }
    }
}
