//! Where a daemon has its shims from: those that wait for another attempt, or else new ones of its nursery, which it
//! starts. What the nursery does stands in `shim/nursery.rs`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::Timeout;
use tokio::time::Instant;

use crate::shim::line;
use crate::shim::nursery::{self, Made};

use super::shims::Shim;

/// How long it may take to make a shim: a fork.
const ANSWER: Duration = Duration::from_secs(10);
/// How often a nursery may be killed over one start.
const TRIES: usize = 3;
/// Shims that wait for another attempt of their task, at most, and for how long: under load the next one comes at once.
const IDLE_MAX: usize = 32;
const IDLE_FOR: Duration = Duration::from_secs(1);

/// Gives out shims.
#[derive(Debug)]
pub(super) struct Nursery {
    /// The program that is started as `daybook shim nursery`.
    program: PathBuf,
    running: Mutex<Option<Running>>,
    idle: Mutex<Idle>,
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct Idle {
    /// Those that wait, and until when; the last one came last.
    shims: Vec<(Instant, Shim)>,
    /// Somebody will let them go.
    is_seen_to: bool,
}

#[derive(Debug)]
struct Running {
    line: OwnedFd,
    child: Child,
}

impl Nursery {
    pub fn new(program: PathBuf) -> Nursery {
        Nursery { program, running: Mutex::default(), idle: Mutex::default(), turn: Mutex::default() }
    }

    /// Waits for its turn to give a shim an attempt: what is open for a start is open for one at a time. It blocks.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shim that waits for another attempt of a task. It may have been killed meanwhile.
    pub fn waiting(&self, task: &str) -> Option<Shim> {
        let mut idle = self.idle();
        let last = idle.shims.iter().rposition(|(_, shim)| shim.is_for(task))?;
        Some(idle.shims.remove(last).1)
    }

    /// Takes back a shim that can be given another attempt. It ends if none comes soon, and at once if its descriptors are
    /// of those that are kept for others.
    pub fn give_back(self: &Arc<Nursery>, shim: Shim) {
        if shim.is_short() {
            return;
        }
        let mut idle = self.idle();
        if idle.shims.len() >= IDLE_MAX {
            idle.shims.remove(0);
        }
        idle.shims.push((Instant::now() + IDLE_FOR, shim));
        if !std::mem::replace(&mut idle.is_seen_to, true) {
            tokio::spawn(self.clone().let_go());
        }
    }

    /// Lets those go that wait, now: they have as many descriptors as attempts.
    pub fn empty(&self) {
        self.idle().shims.clear();
    }

    /// Ends the shims that have waited for too long, until none waits. That their line is closed ends them.
    async fn let_go(self: Arc<Nursery>) {
        while let Some(next) = self.next_to_go() {
            tokio::time::sleep_until(next).await;
            let now = Instant::now();
            self.idle().shims.retain(|(until, _)| *until > now);
        }
    }

    fn next_to_go(&self) -> Option<Instant> {
        let mut idle = self.idle();
        let next = idle.shims.first().map(|(until, _)| *until);
        idle.is_seen_to = next.is_some();
        next
    }

    /// A new shim, for the attempts of a task. It blocks.
    ///
    /// # Errors
    /// When no process may be added, or the nursery cannot be started.
    pub fn make(&self, task: &str) -> io::Result<Shim> {
        for _ in 0..TRIES {
            match self.ask() {
                Err(error) if is_gone(&error) => {}
                told => return told.map(|made| Shim::ours(made, task)),
            }
        }
        Err(io::Error::other("what makes it is killed again and again"))
    }

    fn ask(&self) -> io::Result<Made> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let it = match &mut *running {
            Some(it) => it,
            none => none.insert(self.start()?),
        };
        let told = nursery::ask(it.line.as_fd());
        if told.as_ref().is_err_and(is_gone)
            && let Some(Running { line, mut child }) = running.take()
        {
            tracing::warn!("the process that shims are made by was killed or hangs, starts another");
            drop(line);
            // One that hangs does not end by itself; one that is gone needs no killing.
            let _: io::Result<()> = child.kill();
            child.wait()?;
        }
        told
    }

    fn start(&self) -> io::Result<Running> {
        let (line, theirs) = line::pair()?;
        // One that does not answer would hold up every start.
        rustix::net::sockopt::set_socket_timeout(&line, Timeout::Recv, Some(ANSWER))?;
        let mut command = Command::new(&self.program);
        command.arg0("daybook").args(["shim", "nursery"]).env_clear().current_dir("/");
        let child = command.stdin(theirs).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Running { line, child })
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether somebody has killed it, or stopped it.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof, WouldBlock};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof | WouldBlock)
}
