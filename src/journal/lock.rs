//! The lock of the state directory: one daemon at a time.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Why the state directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon works on it.
    #[error(
        "`{}` is held by another daemon{}: stop that one first, or use another `state_dir`",
        path.display(),
        pid.map(|pid| format!(" with pid {pid}")).unwrap_or_default()
    )]
    Held { path: PathBuf, pid: Option<u32> },
    /// The lock file could not be made or locked.
    #[error("lock `{}`: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Holds `STATE/lock` until it is dropped or the process ends in whatever way.
///
/// The file stays: removing it would let two processes lock two files of one name.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock of `state_dir`, which must exist, and writes our pid into it.
    pub fn take(state_dir: &Path) -> Result<StateLock, LockError> {
        let path = state_dir.join("lock");
        match attempt(&path) {
            Ok(Some(file)) => Ok(StateLock { _file: file }),
            Ok(None) => {
                let pid = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
                Err(LockError::Held { path: state_dir.to_owned(), pid })
            }
            Err(source) => Err(LockError::Io { path, source }),
        }
    }
}

/// `None` if another holds it.
fn attempt(path: &Path) -> io::Result<Option<File>> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_taker_is_told_the_first_ones_pid() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("lock"), "left by one that died long ago, and longer than a pid\n").unwrap();
        let first = StateLock::take(dir.path()).unwrap();
        let error = StateLock::take(dir.path()).unwrap_err();
        assert!(matches!(&error, LockError::Held { pid, .. } if *pid == Some(std::process::id())));
        assert!(error.to_string().contains(&format!("with pid {}", std::process::id())), "{error}");
        drop(first);
        StateLock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(StateLock::take(&dir.path().join("no")), Err(LockError::Io { .. })));
    }
}
