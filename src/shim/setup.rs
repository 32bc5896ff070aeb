//! What a shim makes of itself before it looks at its order, and what its job is not to inherit.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::sync::OnceLock;

use rustix::fs::FileType;
use rustix::process::{Resource, Rlimit};

use super::run_file::RunFile;

/// The soft limit of descriptors that programs expect; the daemon has a higher one.
const DESCRIPTORS: u64 = 1024;
/// The first number behind the standard streams.
const FIRST_FREE: i32 = 3;

/// Says why there is nothing to do, to somebody who types `daybook shim`.
pub(super) fn refused(why: &str) -> ExitCode {
    eprintln!("Error: {why}\nHint: the daemon starts it, for each attempt; it is of no use otherwise");
    ExitCode::from(2)
}

/// Takes the order and the run file off the standard streams, which the job's are made of.
///
/// # Errors
/// When they are no such files.
pub(super) fn take_streams() -> io::Result<(File, RunFile)> {
    let order = take(rustix::stdio::stdin(), FileType::RegularFile)?;
    let run = take(rustix::stdio::stdout(), FileType::RegularFile)?;
    close_streams()?;
    Ok((order.into(), RunFile::inherited(run)))
}

/// Takes the socket off standard input.
///
/// # Errors
/// When it is none.
pub(super) fn take_socket() -> io::Result<OwnedFd> {
    let socket = take(rustix::stdio::stdin(), FileType::Socket)?;
    close_streams()?;
    Ok(socket)
}

fn close_streams() -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    Ok(rustix::stdio::dup2_stdout(&null)?)
}

/// The file of a stream under another number, which the job does not inherit. A lock goes along.
fn take(stream: BorrowedFd<'_>, kind: FileType) -> io::Result<OwnedFd> {
    let taken = rustix::io::fcntl_dupfd_cloexec(stream, FIRST_FREE)?;
    let is = FileType::from_raw_mode(rustix::fs::fstat(&taken)?.st_mode);
    if is == kind { Ok(taken) } else { Err(io::Error::other("its standard streams are not what a daemon gives")) }
}

/// Closes what the daemon inherited from whoever started it, and did not know of.
pub(super) fn close_inherited() {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers: Vec<i32> = open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The folder itself is closed by now.
    for number in numbers.into_iter().filter(|&number| number >= FIRST_FREE) {
        let _: Result<_, _> = nix::unistd::close(number);
    }
}

/// Leads a session of its own and takes in orphans; answers a note if these will be out of reach.
pub(super) fn lead() -> Option<String> {
    // It fails for the leader of a group, which then is the leader of a session or was started by hand.
    let _: Result<_, _> = rustix::process::setsid();
    let _: Result<_, _> = rustix::thread::set_name(c"daybook-shim");
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let soft = limit.maximum.map_or(DESCRIPTORS, |hard| hard.min(DESCRIPTORS));
    let _: Result<_, _> =
        rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum: limit.maximum });
    let orphans = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    orphans.err().map(|error| format!("processes that leave the job's tree are out of reach: {error}"))
}

/// The preference with which the kernel ends this process when memory runs out, if it has a lower one than others: what a
/// service manager gave its daemon, and all that are forked off it. Read once.
pub(super) fn our_preference() -> Option<&'static str> {
    static OURS: OnceLock<Option<String>> = OnceLock::new();
    let ours = OURS.get_or_init(|| {
        let ours = std::fs::read_to_string(OOM).ok()?;
        (ours.trim().parse::<i32>().ok()? < 0).then_some(ours)
    });
    ours.as_deref()
}

/// That preference is for us, not for the job. Answers what it was, if it was changed.
pub(super) fn lower_our_preference() -> Option<&'static str> {
    our_preference().filter(|_| std::fs::write(OOM, "0").is_ok())
}

/// Takes back what [`lower_our_preference`] did, once the job's process has been made. The kernel allows to go back
/// to where a privileged process, the service manager, had put us.
pub(super) fn restore_our_preference(before: &str) {
    let _: Result<_, _> = std::fs::write(OOM, before);
}

const OOM: &str = "/proc/self/oom_score_adj";
