//! What can fail in here besides an attempt: the files that outputs and results live in.

use std::io;
use std::path::{Path, PathBuf};

/// A file operation that failed; attempts that fail are [`Outcome`](super::Outcome)s, not errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `action` is a verb phrase, such as "read the output".
    #[error("cannot {action} `{}`: {source}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
}

impl Error {
    /// For `map_err`: names what was being done, and to which file.
    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::File { action, path: path.to_path_buf(), source }
    }
}
