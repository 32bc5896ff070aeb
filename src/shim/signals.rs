//! What a shim is told by signals, and that its job inherits neither a mask nor an ignored signal.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::SigSet;
use signal_hook::consts::{
    SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGPIPE, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
};
use signal_hook::low_level::pipe;

/// Signals that end a process which does not know of them, and mean nothing to a shim.
const UNHEARD: [i32; 9] = [SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGXFSZ];

/// What has been asked for so far: wishes add up, none is taken back.
#[derive(Debug)]
pub(super) struct Signals {
    cancel: Arc<AtomicBool>,
    shutdown: Arc<AtomicBool>,
    kill: Arc<AtomicBool>,
    /// Has something to read after a signal.
    bell: PipeReader,
}

impl Signals {
    /// Listens from now on. All signals are caught, none ignored, as an ignored one would be ignored by the job too:
    /// what is caught is back at its default in a new program.
    ///
    /// # Errors
    /// When there is no descriptor for it.
    pub fn listen() -> io::Result<Signals> {
        let (bell, ring) = io::pipe()?;
        rustix::io::ioctl_fionbio(&bell, true)?;
        let listen = |signal| -> io::Result<Arc<AtomicBool>> {
            let flag = Arc::new(AtomicBool::new(false));
            // The flag before the bell, which is looked at when the bell has rung.
            signal_hook::flag::register(signal, flag.clone())?;
            pipe::register(signal, ring.try_clone()?)?;
            Ok(flag)
        };
        let (cancel, shutdown, kill) = (listen(SIGUSR1)?, listen(SIGTERM)?, listen(SIGUSR2)?);
        pipe::register(SIGCHLD, ring.try_clone()?)?;
        let nobody = Arc::new(AtomicBool::new(false));
        for signal in UNHEARD.into_iter().chain(ignored()) {
            // Some of the kernel's 64 are the C library's own, and stay as they are.
            let _: Result<_, _> = signal_hook::flag::register(signal, nobody.clone());
        }
        SigSet::empty().thread_set_mask()?;
        Ok(Signals { cancel, shutdown, kill, bell })
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

    /// What to poll for a signal.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Makes the bell silent until the next signal.
    pub fn hush(&mut self) {
        let mut rings = [0; 64];
        while self.bell.read(&mut rings).is_ok_and(|length| length == rings.len()) {}
    }
}

/// The signals that were ignored by whoever started us, but for those that no program can catch reasonably.
fn ignored() -> impl Iterator<Item = i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    let mask = mask.unwrap_or(0);
    let heard = [SIGUSR1, SIGTERM, SIGUSR2, SIGCHLD];
    let catchable = move |signal: &i32| {
        let forbidden = signal_hook::consts::FORBIDDEN.contains(signal);
        !forbidden && !heard.contains(signal) && !UNHEARD.contains(signal)
    };
    (1..=64).filter(move |signal| mask & (1 << (signal - 1)) != 0).filter(catchable)
}
