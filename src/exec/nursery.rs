//! The daemon's end of its nursery: starts it, and asks it for shims. What the nursery does stands in `shim/nursery.rs`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::Timeout;

use crate::shim::{RunFile, nursery};

/// How long it may take to make a shim: a fork.
const ANSWER: Duration = Duration::from_secs(10);

/// Gives out shims, one at a time.
#[derive(Debug)]
pub(super) struct Nursery {
    /// The program that is started as `daybook shim nursery`.
    program: PathBuf,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    socket: OwnedFd,
    child: Child,
}

impl Nursery {
    pub fn new(program: PathBuf) -> Nursery {
        Nursery { program, running: Mutex::default() }
    }

    /// Waits for its turn: whatever is open for a start is open for one at a time. It blocks.
    pub fn turn(&self) -> Turn<'_> {
        Turn { nursery: self, running: self.running.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    fn start(&self) -> io::Result<Running> {
        let (socket, theirs) = nursery::sockets()?;
        // One that does not answer would hold up every start.
        rustix::net::sockopt::set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER))?;
        let mut command = Command::new(&self.program);
        command.arg0("daybook").args(["shim", "nursery"]).env_clear().current_dir("/");
        let child = command.stdin(theirs).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Running { socket, child })
    }
}

/// The turn of one start.
pub(super) struct Turn<'a> {
    nursery: &'a Nursery,
    running: MutexGuard<'a, Option<Running>>,
}

impl Turn<'_> {
    /// A new shim with its order and its run file: its number, and a descriptor of it. It blocks.
    ///
    /// # Errors
    /// When no process may be added, or the nursery cannot be started. `ConnectionAborted`: it was killed over this, and
    /// may have made the shim before.
    pub fn ask(mut self, order: &File, run: &RunFile) -> io::Result<(u32, OwnedFd)> {
        let it = match &mut *self.running {
            Some(it) => it,
            none => none.insert(self.nursery.start()?),
        };
        let told = nursery::ask(it.socket.as_fd(), order, run.as_fd());
        if told.as_ref().is_err_and(is_gone)
            && let Some(Running { socket, mut child }) = self.running.take()
        {
            tracing::warn!("the process that shims are made by was killed or hangs, starts another");
            drop(socket);
            // One that hangs does not end by itself; one that is gone needs no killing.
            let _: io::Result<()> = child.kill();
            child.wait()?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        told
    }
}

/// Whether somebody has killed it, or stopped it.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof, WouldBlock};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof | WouldBlock)
}
