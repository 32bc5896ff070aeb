//! What there is of the attempts of an earlier daemon, as their run files say.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::core::id::JobId;
use crate::shim::{self, Look, Marked, RunFile};

use super::identity::Identity;

/// How long a shim that has just been started may take to say so.
const MARK_WAIT: Duration = Duration::from_secs(2);

/// One attempt of an earlier daemon.
#[derive(Debug)]
pub struct Earlier {
    pub job: JobId,
    pub attempt: u32,
    pub what: What,
}

/// What there is of it.
#[derive(Debug)]
pub enum What {
    /// It runs.
    Alive(Alive),
    /// It has ended, and how is noted.
    Ended,
    NeverStarted,
    /// Its shim was killed; what is left of the job, if anything, has no one to look after it.
    Lost(Marked, Option<Identity>),
    /// A run file that is not what it says: nothing is done because of it.
    Forged,
}

/// The shim of an attempt that runs: a descriptor of the process.
#[derive(Debug)]
pub struct Alive(pub(super) OwnedFd);

impl Alive {
    /// Asks it to end, and waits for nothing.
    pub fn end(self) {
        // One that has ended since needs none.
        let _: rustix::io::Result<()> = rustix::process::pidfd_send_signal(&self.0, Signal::TERM);
    }
}

/// All of them, in the folder of run files. It blocks.
///
/// # Errors
/// When the folder is there and cannot be read.
pub fn earlier(runs: &Path) -> std::io::Result<Vec<Earlier>> {
    let entries = match std::fs::read_dir(runs) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let Some((job, attempt)) = name.to_str().and_then(shim::parse_name) else { continue };
        let path = shim::path(runs, job, attempt);
        let what = match look(&path) {
            Ok(what) => what,
            Err(error) => {
                tracing::warn!(job = job.0, attempt, %error, "cannot read the run file of an attempt");
                What::Forged
            }
        };
        all.push(Earlier { job, attempt, what });
    }
    Ok(all)
}

/// What there is of one attempt. It blocks, for two seconds at most.
fn look(path: &Path) -> std::io::Result<What> {
    let limit = Instant::now() + MARK_WAIT;
    loop {
        return Ok(match RunFile::look(path)? {
            None => What::Forged,
            Some(Look::Ended(_)) => What::Ended,
            Some(Look::NeverStarted) => What::NeverStarted,
            Some(Look::Lost(marked, main)) => What::Lost(marked, main),
            Some(Look::Alive(Some(marked))) => match open(&marked.shim) {
                Some(pidfd) => What::Alive(Alive(pidfd)),
                // It may have ended between the two looks; else somebody else holds the lock.
                None if Instant::now() < limit => {
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
                None => What::Forged,
            },
            Some(Look::Alive(None)) if Instant::now() < limit => {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            Some(Look::Alive(None)) => What::Forged,
        });
    }
}

/// Opens a process, if it is still the one that it was.
fn open(identity: &Identity) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(identity.pid).ok()?)?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // In this order: what the number names now, the descriptor names for good.
    identity.is_alive().then_some(pidfd)
}
