//! What a shim is told by signals, and that its job inherits neither a mask nor an ignored signal.
//!
//! All that can be caught is caught, before anything is forked, and none of it gets in but while a process waits for it:
//! so a fork inherits all of this, has nothing to set up, and misses nothing that it is sent from its first instant on.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::time::TimeSpec;
use signal_hook::consts::{
    SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
};
use signal_hook::flag::register;

/// Signals that end a process which does not know of them, and mean nothing to a shim; that a process has ended only
/// interrupts what waits.
const UNHEARD: [i32; 10] = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGXFSZ];

/// What has been asked for so far: wishes add up, none is taken back.
#[derive(Debug)]
pub(super) struct Signals {
    cancel: Arc<AtomicBool>,
    shutdown: Arc<AtomicBool>,
    kill: Arc<AtomicBool>,
}

impl Signals {
    /// Catches signals from now on, and keeps them out. None is ignored, as an ignored one would be ignored by the job
    /// too: what is caught is back at its default in a new program.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn listen() -> io::Result<Signals> {
        SigSet::all().thread_set_mask()?;
        let listen = |signal| -> io::Result<Arc<AtomicBool>> {
            let flag = Arc::new(AtomicBool::new(false));
            register(signal, flag.clone())?;
            Ok(flag)
        };
        let (cancel, shutdown, kill) = (listen(SIGUSR1)?, listen(SIGTERM)?, listen(SIGUSR2)?);
        let nobody = Arc::new(AtomicBool::new(false));
        for signal in UNHEARD.into_iter().chain(ignored()) {
            // Some of the kernel's 64 are the C library's own, and stay as they are.
            let _: Result<_, _> = register(signal, nobody.clone());
        }
        Ok(Signals { cancel, shutdown, kill })
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::SeqCst)
    }

    pub fn is_shutdown(&self) -> bool {
        self.shutdown.load(Ordering::SeqCst)
    }

    pub fn is_kill(&self) -> bool {
        self.kill.load(Ordering::SeqCst)
    }

    pub fn any(&self) -> bool {
        self.is_cancelled() || self.is_shutdown() || self.is_kill()
    }

    /// Takes notice of what has come, waits for nothing.
    pub fn hear(&self) {
        wait(None, Some(Duration::ZERO), SigSet::empty());
    }

    /// Waits until there is something in `pipe`, a signal comes, or `time` is over. Answers whether a signal came, and
    /// what is with the pipe.
    pub fn wait(&self, pipe: Option<BorrowedFd<'_>>, time: Option<Duration>) -> (bool, PollFlags) {
        match wait(pipe, time, SigSet::empty()) {
            // The kernel looks at signals only when nothing is in the pipe, and one that never is empty is no reason to
            // hear of none.
            (false, seen) if !seen.is_empty() => (wait(None, Some(Duration::ZERO), SigSet::empty()).0, seen),
            waited => waited,
        }
    }

    /// The same, where no signal gets in but that of a process that has ended.
    pub fn wait_for_children(&self, pipe: BorrowedFd<'_>) -> PollFlags {
        let mut others = SigSet::all();
        others.remove(Signal::SIGCHLD);
        wait(Some(pipe), None, others).1
    }

    /// Makes a process, which is to have all signals let in.
    pub fn let_in<T>(&self, make: impl FnOnce() -> T) -> io::Result<T> {
        SigSet::empty().thread_set_mask()?;
        let made = make();
        SigSet::all().thread_set_mask()?;
        Ok(made)
    }
}

/// Waits with the signals of `mask` kept out. Answers whether one got in.
fn wait(pipe: Option<BorrowedFd<'_>>, time: Option<Duration>, mask: SigSet) -> (bool, PollFlags) {
    let mut pipe = pipe.map(|pipe| PollFd::new(pipe, PollFlags::POLLIN));
    let waited = ppoll(pipe.as_mut_slice(), time.map(TimeSpec::from_duration), Some(mask));
    let seen = pipe.and_then(|pipe| pipe.revents()).filter(|_| waited.is_ok());
    (waited == Err(Errno::EINTR), seen.unwrap_or(PollFlags::empty()))
}

/// The signals that were ignored by whoever started us, but for those that no program can catch reasonably.
fn ignored() -> impl Iterator<Item = i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    let mask = mask.unwrap_or(0);
    let heard = [SIGUSR1, SIGTERM, SIGUSR2];
    let catchable = move |signal: &i32| {
        let forbidden = signal_hook::consts::FORBIDDEN.contains(signal);
        !forbidden && !heard.contains(signal) && !UNHEARD.contains(signal)
    };
    (1..=64).filter(move |signal| mask & (1 << (signal - 1)) != 0).filter(catchable)
}
