//! Reads on for processes that an attempt leaves behind on purpose: they would die of SIGPIPE at their next line.

use std::io::{self, PipeReader};
use std::process::{Command, ExitCode, Stdio};

/// Starts a process that does so, as the shim is about to end.
///
/// # Errors
/// When it cannot be started.
pub(super) fn start(pipe: PipeReader) -> io::Result<()> {
    rustix::io::ioctl_fionbio(&pipe, false)?;
    let mut command = Command::new("/proc/self/exe");
    command.args(["shim", "drain"]).env_clear().stdin(pipe).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop)
}

/// What that process does.
pub(super) fn run() -> ExitCode {
    let _: Result<_, _> = rustix::thread::set_name(c"daybook-drain");
    match io::copy(&mut io::stdin().lock(), &mut io::sink()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
