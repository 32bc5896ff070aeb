//! A shim's life: one attempt, and another one when that has ended in the most common way. What it does for an attempt
//! stands in `attempt.rs`.
//!
//! To fork a process and to end it costs more than to look after a short attempt. So a shim whose attempt has ended by
//! itself, with nothing left of it and nothing odd to tell, may be given the next of its task: it never has two. Each
//! attempt has its own order, run file, cgroup and folder. In all other cases the shim ends with its attempt. It ends as
//! well when it is told anything while it has none, and when its daemon, which does not keep it for long, closes the line.

use std::fs::File;
use std::io::{self, ErrorKind::NotFound};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::{Pid, WaitOptions};
use serde::{Deserialize, Serialize};

use super::order::Order;
use super::run_file::{Ended, RunFile};
use super::signals::Signals;
use super::{attempt, line, setup};
use crate::core::codec;
use crate::exec::{Exit, Outcome};

/// A longer reply is not sent: the daemon finds the end in the run file.
const REPLY_BYTES_MAX: usize = 16 * 1024;

/// What a shim says when its attempt is over and the end is noted, so that nobody needs to read the run file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    pub ended: Ended,
    /// There is something where the result of the job would be.
    pub has_result: bool,
    /// It can be given another attempt.
    pub goes_on: bool,
}

/// Gives an attempt to a shim that has none. The lock of the run file goes along.
///
/// # Errors
/// When the shim has ended.
pub fn give(shim: BorrowedFd<'_>, order: &File, run: &RunFile) -> io::Result<()> {
    line::send(shim, &[0], &[order.as_fd(), run.as_fd()])
}

/// What a shim has replied, if anything; none if it has ended without a reply. It does not wait.
///
/// # Errors
/// `WouldBlock` when the attempt goes on.
pub fn reply(shim: BorrowedFd<'_>) -> io::Result<Option<Reply>> {
    let mut bytes = vec![0; REPLY_BYTES_MAX];
    match line::receive(shim, &mut bytes, RecvFlags::DONTWAIT) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
        Err(_) | Ok((0, _)) => Ok(None),
        Ok((length, _)) => Ok(codec::take(&mut &bytes[..length]).ok()),
    }
}

/// A shim that was forked by a nursery.
pub(super) struct Life {
    daemon: OwnedFd,
    /// Which ends with the daemon.
    nursery: Pid,
    signals: Signals,
}

impl Life {
    pub fn new(daemon: OwnedFd, nursery: Pid, signals: Signals) -> Life {
        Life { daemon, nursery, signals }
    }

    /// From the first attempt to the last.
    pub fn live(self) {
        let notes: Vec<String> = setup::lead().into_iter().collect();
        while let Some((order, run)) = self.next() {
            let order = Order::read(order);
            let result = order.as_ref().ok().and_then(Order::result_path);
            let Some(ended) = attempt::run(order, &run, Some(self.nursery), Ok(&self.signals), notes.clone()) else {
                return;
            };
            // Its lock: this attempt has nobody any more who looks after it, nor needs it one.
            drop(run);
            let is_there = |path: PathBuf| !matches!(path.symlink_metadata(), Err(error) if error.kind() == NotFound);
            let has_result = result.is_some_and(is_there);
            let goes_on = self.goes_on(&ended);
            let mut reply = Vec::new();
            if codec::put(&Reply { ended, has_result, goes_on }, &mut reply).is_err()
                || reply.len() > REPLY_BYTES_MAX
                || line::send(self.daemon.as_fd(), &reply, &[]).is_err()
                || !goes_on
            {
                return;
            }
        }
    }

    /// Whether there may be another attempt after this one. What its job has told us last may not have got in yet, and is
    /// not for the next one.
    fn goes_on(&self, ended: &Ended) -> bool {
        self.signals.hear();
        is_common(ended) && !self.signals.any() && has_no_child()
    }

    /// Waits for an order; none if there will be no more.
    fn next(&self) -> Option<(File, RunFile)> {
        while self.signals.wait(Some(self.daemon.as_fd()), None).1.is_empty() && !self.signals.any() {}
        // An order that has come meanwhile is not begun, which the daemon sees: what it has told us itself it knows.
        if self.signals.any() {
            return None;
        }
        let (_, files) = line::receive(self.daemon.as_fd(), &mut [0; 1], RecvFlags::DONTWAIT).ok()?;
        let [order, run] = <[OwnedFd; 2]>::try_from(files).ok()?;
        Some((order.into(), RunFile::inherited(run)))
    }
}

/// Whether an attempt has ended so that nothing of it can be left.
fn is_common(ended: &Ended) -> bool {
    let by_itself = match &ended.outcome {
        Outcome::Succeeded { .. } => true,
        Outcome::Failed { exit } => !matches!(exit, Exit::Unknown { .. }),
        _ => false,
    };
    by_itself && ended.stragglers.count == 0 && ended.notes.is_empty()
}

fn has_no_child() -> bool {
    rustix::process::wait(WaitOptions::NOHANG).is_err_and(|error| error == Errno::CHILD)
}
