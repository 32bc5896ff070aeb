//! The lines between a daemon and what it starts: its nursery, and each shim. A line is a pair of sockets that keep
//! messages apart and carry open files. What is said on them stands in `nursery.rs` and `life.rs`.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, socketpair,
};

/// Open files of one message, at most.
const FILES_MAX: usize = 2;

/// Both ends of a new line, which no job inherits.
///
/// # Errors
/// When there is no descriptor for it.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends a message, which is not empty, with up to [`FILES_MAX`] open files. It waits for nobody.
///
/// # Errors
/// When nobody has the other end any more, or does not take what was sent before.
pub(super) fn send(line: BorrowedFd<'_>, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(files));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    loop {
        match rustix::net::sendmsg(line, &[IoSlice::new(bytes)], &mut control, flags) {
            Err(rustix::io::Errno::INTR) => {}
            sent => return sent.map(drop).map_err(Into::into),
        }
    }
}

/// The length of the next message, which is written to `room`, and the files that came with it; 0 at the end of the line.
///
/// # Errors
/// `WouldBlock` if there is none and `flags` say not to wait, `InvalidData` for a message that is too long, and `EMFILE`
/// for one whose files are more than there may be: what came of it is closed.
pub(super) fn receive(line: BorrowedFd<'_>, room: &mut [u8], flags: RecvFlags) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut slices = [IoSliceMut::new(room)];
        match rustix::net::recvmsg(line, &mut slices, &mut control, flags | RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?,
        }
    };
    let mut files = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            files.extend(rights);
        }
    }
    // A file is left out when a limit on descriptors is reached.
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(rustix::io::Errno::MFILE.into());
    }
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((received.bytes, files))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn messages_stay_apart_carry_files_and_end_with_the_other_end() {
        let (here, there) = pair().unwrap();
        let receive = |room: &mut [u8]| receive(there.as_fd(), room, RecvFlags::DONTWAIT);
        assert_eq!(receive(&mut [0; 4]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let file = File::open("/proc/self/comm").unwrap();
        send(here.as_fd(), b"one", &[file.as_fd()]).unwrap();
        send(here.as_fd(), b"two", &[]).unwrap();
        send(here.as_fd(), b"longer", &[]).unwrap();
        drop(here);
        let mut room = [0; 4];
        let (length, mut files) = receive(&mut room).unwrap();
        assert_eq!((&room[..length], files.len()), (&b"one"[..], 1));
        let mut text = String::new();
        File::from(files.pop().unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, std::fs::read_to_string("/proc/self/comm").unwrap());
        assert_eq!(receive(&mut room).unwrap().0, 3);
        assert_eq!(receive(&mut room).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(receive(&mut room).unwrap().0, 0);
        assert_eq!(send(there.as_fd(), b"one", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
