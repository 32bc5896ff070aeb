//! Shims that live, as their daemon knows them: how one is given an attempt, how it is told something, and how its
//! daemon hears that it is done. What makes them stands in `nursery.rs`, what they do in `shim`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::Signal;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::descriptors::{Purpose, are_short};
use crate::shim::RunFile;
use crate::shim::life::{self, Reply};
use crate::shim::nursery::Made;

use super::identity::Identity;

/// How often it is looked at what the runtime cannot watch.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A shim that has, or had, an attempt.
#[derive(Debug)]
pub(super) enum Shim {
    /// Made for this daemon. The number is that of `process` until it has ended. It has attempts of one task: what a job
    /// does to its parent, no other task is to feel.
    Ours { number: u32, process: OwnedFd, line: Watched, task: Box<str> },
    /// Of an earlier daemon, and the line to it went with that.
    Earlier(Watched),
}

impl Shim {
    /// To be called on the runtime that will wait for it.
    pub fn ours(Made { number, process, line }: Made, task: &str) -> Shim {
        Shim::Ours { number, process, line: Watched::new(line), task: task.into() }
    }

    /// The same, of an earlier daemon.
    pub fn earlier(process: OwnedFd) -> Shim {
        Shim::Earlier(Watched::new(process))
    }

    pub fn is_for(&self, of: &str) -> bool {
        matches!(self, Shim::Ours { task, .. } if **task == *of)
    }

    /// Whether its descriptors are of those that are kept for others.
    pub fn is_short(&self) -> bool {
        match self {
            Shim::Ours { line, .. } => are_short(line, Purpose::Attempt),
            Shim::Earlier(process) => are_short(process, Purpose::Attempt),
        }
    }

    /// Gives an attempt to one that has none.
    ///
    /// # Errors
    /// When it has ended.
    pub fn give(&self, order: &File, run: &RunFile) -> io::Result<()> {
        match self {
            Shim::Ours { line, .. } => life::give(line.as_fd(), order, run),
            Shim::Earlier(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits until its attempt is over: what it says of it, or nothing, if it has ended without a word.
    pub async fn reply(&self) -> Option<Reply> {
        match self {
            Shim::Ours { line, .. } => line.read(life::reply).await.ok().flatten(),
            Shim::Earlier(process) => {
                process.ended().await;
                None
            }
        }
    }

    /// Lets it go, and waits until it has ended. One whose attempt is over does so at once.
    pub async fn end(self) {
        match self {
            Shim::Ours { process, line, .. } => {
                drop(line);
                Watched::new(process).ended().await;
            }
            Shim::Earlier(process) => process.ended().await,
        }
    }

    /// One that has ended needs to be told nothing.
    pub fn tell(&self, signal: Signal) {
        let process = match self {
            Shim::Ours { process, .. } => process.as_fd(),
            Shim::Earlier(process) => process.as_fd(),
        };
        let _: rustix::io::Result<()> = rustix::process::pidfd_send_signal(process, signal);
    }

    /// Who it is; none if it has ended, or if the engine has known it from before this daemon.
    pub fn identity(&self) -> Option<Identity> {
        match self {
            // In this order: the number was its own if it has not ended by now.
            Shim::Ours { number, process, .. } => {
                Identity::of(*number).ok().filter(|_| look_for_end(process.as_fd()).is_err())
            }
            Shim::Earlier(_) => None,
        }
    }
}

/// Whether a process has ended; `WouldBlock` if not.
fn look_for_end(process: BorrowedFd<'_>) -> io::Result<()> {
    let mut it = [PollFd::new(&process, PollFlags::IN)];
    match rustix::event::poll(&mut it, Some(&Timespec::default()))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// A descriptor that is waited for until there is something to read: told by the runtime, or, where that cannot watch one
/// more, by looking.
#[derive(Debug)]
pub(super) enum Watched {
    ByRuntime(AsyncFd<OwnedFd>),
    ByLooking(OwnedFd),
}

impl Watched {
    fn new(descriptor: OwnedFd) -> Watched {
        // What is unsound there is a descriptor that somebody else could close; this one is owned.
        #[expect(
            deprecated,
            reason = "the replacement is `unsafe`, as it has to trust any type's word for its descriptor"
        )]
        let watched = AsyncFd::try_with_interest(descriptor, Interest::READABLE);
        watched.map_or_else(
            |error| {
                let (descriptor, error) = error.into_parts();
                tracing::warn!(%error, "cannot wait for the end of a shim, looks for it now and then");
                Watched::ByLooking(descriptor)
            },
            Watched::ByRuntime,
        )
    }

    /// What `read` answers once that is not `WouldBlock`. Nothing is lost when it is dropped before.
    async fn read<T>(&self, read: impl Fn(BorrowedFd<'_>) -> io::Result<T>) -> io::Result<T> {
        loop {
            let ready = match self {
                Watched::ByRuntime(watched) => Some(watched.readable().await?),
                Watched::ByLooking(_) => None,
            };
            match (read(self.as_fd()), ready) {
                (Err(error), Some(mut ready)) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                (Err(error), None) if error.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(LOOK_EVERY).await,
                (done, _) => return done,
            }
        }
    }

    /// Returns when the process that it is of has ended.
    async fn ended(&self) {
        while self.read(look_for_end).await.is_err() {
            // The runtime is going down, or memory is short.
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Watched::ByRuntime(watched) => watched.get_ref().as_fd(),
            Watched::ByLooking(descriptor) => descriptor.as_fd(),
        }
    }
}
