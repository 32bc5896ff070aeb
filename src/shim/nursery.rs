//! The process that shims are forked from: `daybook shim nursery`, one for each daemon.
//!
//! To load this program anew for each shim costs more than all that a shim does: hundreds of page faults. So the
//! daemon loads it once, as a process without threads that waits to be asked, and each shim is a fork of it: it shares its
//! memory, and starts in a fraction of the time. The daemon itself is large and has threads, so it is never forked.
//!
//! It ends when its daemon does; the shims go on. One that was killed is replaced at the next start.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use rustix::net::RecvFlags;
use rustix::process::{Pid, PidfdFlags, WaitOptions};

use super::life::Life;
use super::line;
use super::setup;
use super::signals::Signals;
use crate::exec::Identity;

/// A new shim.
#[derive(Debug)]
pub struct Made {
    /// Its own for as long as it lives.
    pub number: u32,
    /// A descriptor of the process.
    pub process: OwnedFd,
    /// The daemon's end of the line to it.
    pub line: OwnedFd,
}

/// Asks a nursery for a shim. It blocks for the time of a fork.
///
/// # Errors
/// When the nursery is gone, or has no room for one more process.
pub fn ask(nursery: BorrowedFd<'_>) -> io::Result<Made> {
    line::send(nursery, &[0], &[])?;
    let mut said = [0; 4];
    let (length, files) = line::receive(nursery, &mut said, RecvFlags::empty())?;
    let said = i32::from_le_bytes(said);
    match <[OwnedFd; 2]>::try_from(files) {
        Ok([process, line]) => Ok(Made { number: said.unsigned_abs(), process, line }),
        Err(_) if length < 4 => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(_) => Err(io::Error::from_raw_os_error(said)),
    }
}

/// What that process does; its standard input is a line whose other end the daemon has.
pub(super) fn run() -> ExitCode {
    setup::close_inherited();
    let daemon = match setup::take_socket() {
        Ok(daemon) => daemon,
        Err(error) => return setup::refused(&error.to_string()),
    };
    // What a terminal tells the daemon is not for the shims.
    let _: Result<_, _> = rustix::process::setsid();
    let _: Result<_, _> = rustix::thread::set_name(c"daybook-nursery");
    match Nursery::new(daemon).and_then(Nursery::serve) {
        Ok(Some(shim)) => {
            shim.live();
            // What else a program does at its end touches memory that is shared with the nursery, which is then copied.
            signal_hook::low_level::exit(0)
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

struct Nursery {
    daemon: OwnedFd,
    signals: Signals,
}

impl Nursery {
    fn new(daemon: OwnedFd) -> io::Result<Nursery> {
        // What this finds out once for all, no fork needs to.
        Identity::of(std::process::id())?;
        setup::our_preference();
        Ok(Nursery { daemon, signals: Signals::listen()? })
    }

    /// Serves until the daemon is gone. In a fork it returns what that is to do.
    fn serve(self) -> io::Result<Option<Life>> {
        loop {
            let is_asked = !self.signals.wait_for_children(self.daemon.as_fd()).is_empty();
            reap();
            if !is_asked {
                continue;
            }
            if line::receive(self.daemon.as_fd(), &mut [0; 1], RecvFlags::empty())?.0 == 0 {
                return Ok(None);
            }
            let (daemons, shims) = match line::pair() {
                Ok(ends) => ends,
                Err(error) => {
                    self.refuse(&error)?;
                    continue;
                }
            };
            let nursery = rustix::process::getpid();
            // There is no thread but this one, so a fork is as whole as the process that it is made of.
            match fork::fork() {
                // Its copy of the daemon's end goes with `daemons`: else it would never see the end of the line.
                Ok(fork::Fork::Child) => return Ok(Some(Life::new(shims, nursery, self.signals))),
                Ok(fork::Fork::Parent(number)) => self.tell(number, &daemons)?,
                Err(error) => self.refuse(&error)?,
            }
        }
    }

    /// Hands out a shim that has just been made. It is not reaped before, so its number is its own. If it cannot be handed
    /// out, nobody has the other end of its line, and it ends.
    fn tell(&self, number: i32, line: &OwnedFd) -> io::Result<()> {
        let pid = Pid::from_raw(number).ok_or_else(|| io::Error::other("a process without a number"))?;
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => line::send(self.daemon.as_fd(), &number.to_le_bytes(), &[process.as_fd(), line.as_fd()]),
            Err(error) => self.refuse(&error.into()),
        }
    }

    fn refuse(&self, error: &io::Error) -> io::Result<()> {
        line::send(self.daemon.as_fd(), &error.raw_os_error().unwrap_or_default().to_le_bytes(), &[])
    }
}

/// Takes notice of shims that have ended; how they did stands in their run files.
fn reap() {
    while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
}
