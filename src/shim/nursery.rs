//! The process that shims are forked from: `daybook shim nursery`, one for each daemon.
//!
//! To load this program anew for each attempt costs more than all that a shim does: hundreds of page faults. So the
//! daemon loads it once, as a process without threads that waits for orders, and each shim is a fork of it: it shares its
//! memory, and starts in a fraction of the time. The daemon itself is large and has threads, so it is never forked.
//!
//! It ends when its daemon does; the shims go on. One that was killed is replaced at the next start.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use rustix::process::{Pid, PidfdFlags, WaitOptions};

use super::order::Order;
use super::run_file::RunFile;
use super::signals::Signals;
use super::{attempt, cgroup, setup};
use crate::exec::Identity;

/// Descriptors of one message: the order and the run file.
const DESCRIPTORS: usize = 2;
/// Bytes of an order that is read before the fork.
const ORDER_BYTES_MAX: u64 = 64 * 1024;

/// Asks a nursery for a shim: its number, and a descriptor of it. It blocks for the time of a fork.
///
/// # Errors
/// When the nursery is gone, or has no room for one more process.
pub fn ask(nursery: BorrowedFd<'_>, order: &File, run: BorrowedFd<'_>) -> io::Result<(u32, OwnedFd)> {
    send(nursery, &[0; 4], &[order.as_fd(), run])?;
    let (said, mut descriptors) = receive(nursery)?;
    let said = i32::from_le_bytes(said.ok_or(io::ErrorKind::UnexpectedEof)?);
    match descriptors.pop() {
        Some(pidfd) => Ok((said.unsigned_abs(), pidfd)),
        None => Err(io::Error::from_raw_os_error(said)),
    }
}

/// What that process does; its standard input is a socket whose other end the daemon has.
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
            let code = i32::from(shim.look_after() != ExitCode::SUCCESS);
            // What else a program does at its end touches memory that is shared with the nursery, which is then copied.
            signal_hook::low_level::exit(code)
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

struct Nursery {
    daemon: OwnedFd,
    signals: Signals,
}

/// The order of a fork, or where it stands.
enum Known {
    Read(Box<io::Result<Order>>),
    File(File),
}

/// What can be known before the fork: that touches no page of this program which is not there already, and a fork would
/// have to load it. A large order is for the fork to read, as what it takes of memory here stays, and is copied for each.
fn known(file: File) -> Known {
    if file.metadata().map_or(0, |meta| meta.len()) > ORDER_BYTES_MAX {
        return Known::File(file);
    }
    let order = Order::read(file);
    if let Some(cgroup) = order.as_ref().ok().and_then(|order| order.cgroup.as_deref()) {
        cgroup::know_home(cgroup);
    }
    Known::Read(Box::new(order))
}

/// What a fork is to do.
struct Shim {
    order: Known,
    run: RunFile,
    nursery: Option<Pid>,
    signals: Signals,
}

impl Shim {
    fn look_after(self) -> ExitCode {
        let order = match self.order {
            Known::Read(order) => *order,
            Known::File(file) => Order::read(file),
        };
        attempt::run(order, self.run, self.nursery, Ok(self.signals))
    }
}

impl Nursery {
    fn new(daemon: OwnedFd) -> io::Result<Nursery> {
        // What this finds out once for all, no fork needs to.
        Identity::of(std::process::id())?;
        setup::our_preference();
        Ok(Nursery { daemon, signals: Signals::listen()? })
    }

    /// Serves until the daemon is gone. In a fork it returns what that is to do.
    fn serve(self) -> io::Result<Option<Shim>> {
        loop {
            let is_asked = !self.signals.wait_for_children(self.daemon.as_fd()).is_empty();
            reap();
            if !is_asked {
                continue;
            }
            let (Some(_), descriptors) = receive(self.daemon.as_fd())? else { return Ok(None) };
            let Ok([order, run]) = <[OwnedFd; DESCRIPTORS]>::try_from(descriptors) else {
                self.refuse(rustix::io::Errno::BADF.raw_os_error())?;
                continue;
            };
            let order = known(File::from(order));
            let nursery = Some(rustix::process::getpid());
            // There is no thread but this one, so a fork is as whole as the process that it is made of.
            match fork::fork() {
                Ok(fork::Fork::Child) => {
                    let (run, signals) = (RunFile::inherited(run), self.signals);
                    return Ok(Some(Shim { order, run, nursery, signals }));
                }
                Ok(fork::Fork::Parent(number)) => self.tell(number)?,
                Err(error) => self.refuse(error.raw_os_error().unwrap_or_default())?,
            }
        }
    }

    /// Hands out a shim that has just been made. It is not reaped before, so its number is its own.
    fn tell(&self, number: i32) -> io::Result<()> {
        let pid = Pid::from_raw(number).ok_or_else(|| io::Error::other("a process without a number"))?;
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => send(self.daemon.as_fd(), &number.to_le_bytes(), &[pidfd.as_fd()]),
            // Nobody would look after it: it ends without a mark, as if it had never been.
            Err(error) => {
                rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
                self.refuse(error.raw_os_error())
            }
        }
    }

    fn refuse(&self, error: i32) -> io::Result<()> {
        send(self.daemon.as_fd(), &error.to_le_bytes(), &[])
    }
}

/// Takes notice of shims that have ended; how they did stands in their run files.
fn reap() {
    while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
}

fn send(socket: BorrowedFd<'_>, bytes: &[u8; 4], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    loop {
        match rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            sent => return sent.map(drop).map_err(Into::into),
        }
    }
}

/// The next message, none at the end, and the descriptors that came with it, which no job inherits.
fn receive(socket: BorrowedFd<'_>) -> io::Result<(Option<[u8; 4]>, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 4];
    let received = loop {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        match rustix::net::recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?,
        }
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        // A limit on descriptors is reached. What was made is made, and cannot be told here.
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(((received.bytes == bytes.len()).then_some(bytes), descriptors))
}

/// A pair of sockets, one end for a daemon and one for its nursery.
///
/// # Errors
/// When there is no descriptor for it.
pub fn sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}
