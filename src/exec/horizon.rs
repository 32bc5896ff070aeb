//! How far pruning has come: what lies behind may be missing from the folder of outputs, and what does not was taken away
//! by somebody else. A small file in that folder, replaced whenever pruning has deleted something.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::core::id::JobId;
use crate::core::time::Timestamp;
use crate::disk::FileError;
use crate::disk::directory::replace_file;

const NAME: &str = "pruned";

/// Held while files go and until the note says so: whoever asks in between would take them for lost.
static PRUNING: Mutex<()> = Mutex::new(());

/// Waits until no pruning is under way, and lets none begin.
pub(super) fn hold() -> MutexGuard<'static, ()> {
    PRUNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What pruning has deleted, or may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Horizon {
    /// Jobs up to this one, to make room.
    pub jobs: JobId,
    /// Files last written to before this instant, for their age.
    pub before: Timestamp,
}

impl Horizon {
    /// Whether the output of an attempt that began at `began` may be missing.
    pub fn may_lack(&self, job: JobId, began: Timestamp) -> bool {
        job <= self.jobs || began < self.before
    }

    /// The horizon of the outputs in `folder`; none where nothing was ever pruned. A note that cannot be read says
    /// that everything may be missing.
    pub(super) fn read(folder: &Path) -> Horizon {
        match std::fs::read_to_string(folder.join(NAME)) {
            Ok(text) => Horizon::parse(&text).unwrap_or(Horizon { jobs: JobId(u64::MAX), before: Timestamp(i64::MAX) }),
            Err(_) => Horizon::default(),
        }
    }

    fn parse(text: &str) -> Option<Horizon> {
        let (jobs, before) = text.trim().split_once(' ')?;
        Some(Horizon { jobs: JobId(jobs.parse().ok()?), before: Timestamp(before.parse().ok()?) })
    }

    /// Moves the horizon on, after something was deleted: a full disk may have no room for the note before. It never
    /// goes back. For whoever holds it, by [`hold`].
    pub(super) fn advance(folder: &Path, jobs: Option<JobId>, before: Option<SystemTime>) -> Result<(), FileError> {
        let old = Horizon::read(folder);
        let before = before.map(|at| Timestamp(at.duration_since(UNIX_EPOCH).map_or(0, milliseconds)));
        let new = Horizon {
            jobs: old.jobs.max(jobs.unwrap_or_default()),
            before: old.before.max(before.unwrap_or(old.before)),
        };
        match new == old {
            true => Ok(()),
            false => replace_file(&folder.join(NAME), format!("{} {}\n", new.jobs, new.before.0).as_bytes()),
        }
    }
}

fn milliseconds(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_horizon_only_moves_on_and_what_cannot_be_read_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, at) = (dir.path(), |seconds| UNIX_EPOCH + Duration::from_secs(seconds));
        assert!(!Horizon::read(folder).may_lack(JobId(1), Timestamp(1)));
        Horizon::advance(folder, Some(JobId(7)), None).unwrap();
        Horizon::advance(folder, Some(JobId(3)), Some(at(5))).unwrap();
        Horizon::advance(folder, None, Some(at(2))).unwrap();
        let horizon = Horizon::read(folder);
        assert_eq!(horizon, Horizon { jobs: JobId(7), before: Timestamp(5000) });
        assert!(horizon.may_lack(JobId(7), Timestamp(9000)) && horizon.may_lack(JobId(8), Timestamp(4999)));
        assert!(!horizon.may_lack(JobId(8), Timestamp(5000)));
        std::fs::write(folder.join(NAME), "half").unwrap();
        assert!(Horizon::read(folder).may_lack(JobId(8), Timestamp(9000)));
    }
}
