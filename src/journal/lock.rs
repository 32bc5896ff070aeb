//! The lock of the state directory: one daemon at a time.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// How long to wait for a lock whose holder is dead. A process that it was about to start when it was killed holds
/// the lock too, from its fork to its exec.
const DEAD_HOLDER_WAIT: Duration = Duration::from_secs(5);
const DEAD_HOLDER_LOOK: Duration = Duration::from_millis(5);

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
    file: File,
}

impl Drop for StateLock {
    /// Closing would do, were it not for a process that is just being started and still has the file.
    fn drop(&mut self) {
        // A lock that cannot be given back goes with the process.
        let _: Result<(), Errno> = flock(&self.file, FlockOperation::Unlock);
    }
}

impl StateLock {
    /// Takes the lock of `state_dir`, which must exist, and writes our pid into it.
    pub fn take(state_dir: &Path) -> Result<StateLock, LockError> {
        let path = state_dir.join("lock");
        let deadline = Instant::now() + DEAD_HOLDER_WAIT;
        loop {
            match attempt(&path) {
                Ok(Some(file)) => return Ok(StateLock { file }),
                Ok(None) => {}
                Err(source) => return Err(LockError::Io { path, source }),
            }
            let pid = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            // A lock without a number has just been taken: the number is about to come.
            if pid.is_some_and(is_alive) || Instant::now() > deadline {
                return Err(LockError::Held { path: state_dir.to_owned(), pid });
            }
            std::thread::sleep(DEAD_HOLDER_LOOK);
        }
    }
}

fn is_alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
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
    fn who_takes_the_lock_of_a_dead_one_waits_until_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateLock::take(dir.path()).unwrap();
        // As if its holder had died, and a process that it was about to start still had the file.
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        std::fs::write(dir.path().join("lock"), format!("{}\n", dead.id())).unwrap();
        assert!(attempt(&dir.path().join("lock")).unwrap().is_none());
        std::thread::scope(|scope| {
            let second = scope.spawn(|| StateLock::take(dir.path()).map(drop));
            drop(first);
            second.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(StateLock::take(&dir.path().join("no")), Err(LockError::Io { .. })));
    }
}
