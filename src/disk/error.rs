//! What can go wrong with a sled directory. What an operator can do about it, journal and history say.

use std::io;
use std::path::{Path, PathBuf};

/// The operating system refused; a full disk, for example.
#[derive(Debug, thiserror::Error)]
#[error("{what} `{}`: {source}", path.display())]
pub struct FileError {
    /// What was tried.
    pub what: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

/// Why a database could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] FileError),
    /// Another thread or process has it open.
    #[error("open `{}`: {source}", dir.display())]
    Busy { dir: PathBuf, source: io::Error },
    /// sled panicked, or says that its files are damaged.
    #[error("cannot {what} `{}`: {detail}", dir.display())]
    Damaged { what: &'static str, dir: PathBuf, detail: String },
}

impl FileError {
    /// For `map_err`: what was tried on which path.
    pub(super) fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
        let path = path.to_owned();
        move |source| FileError { what, path, source }
    }
}
