//! The two steps in which a job with a user, limits or priorities comes to be: the shim starts this program once more,
//! as `daybook shim enter`; that process makes itself into what the job is to be, and then gives its place to the job's
//! program. So nothing runs between a fork and an exec, and the process is single: what it sets holds for all of it.
//!
//! Its standard input is a socket. On it comes the [`Order`]; back goes a sentence if the job cannot be started, or
//! nothing: the socket closes when the program takes its place. The shim does not wait for either: that process is the
//! job's main process from the first moment on, with its deadline and all, and what it has said is read when it has
//! ended. So a folder that cannot be entered, as its server is gone, keeps nobody from cancelling the job.
//!
//! It starts with an empty environment. What the job's variables say to a dynamic linker, and they may come from a file
//! of the job's user, is not for a process that is still root.

use std::io::{PipeWriter, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use ioprio::{BePriorityLevel, Class, Priority, RtPriorityLevel, Target};
use rustix::io::Errno;
use rustix::process::{Gid, Pid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::child::stdin;
use super::limits::Known;
use super::order::{Io, IoClass, Order, User};
use super::program::{self, diagnose, plain};
use crate::core::codec;

/// Bytes of the answer that are read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// What a process that was to become a job can say for itself.
#[derive(Debug)]
pub(super) struct Answer(UnixStream);

impl Answer {
    /// Why it has not become the job, once it has ended; none if it has.
    pub fn read(self) -> Option<String> {
        // All that was said is there. Were the other end still open, there would be nothing to wait for.
        self.0.set_nonblocking(true).ok()?;
        let mut answer = Vec::new();
        // What came before an error counts.
        let _: Result<_, _> = self.0.take(ANSWER_BYTES_MAX).read_to_end(&mut answer);
        (!answer.is_empty()).then(|| String::from_utf8_lossy(&answer).into_owned())
    }
}

/// The first step, in the shim.
///
/// # Errors
/// Why the job cannot be started; then there is no process.
pub(super) fn spawn(order: &Order, output: PipeWriter) -> Result<(Pid, Answer), String> {
    let (mut ours, theirs) = UnixStream::pair().map_err(|error| plain(&error))?;
    let errors = output.try_clone().map_err(|error| plain(&error))?;
    let mut bytes = Vec::new();
    codec::put(order, &mut bytes).map_err(|error| format!("its order cannot be written: {error}"))?;
    let mut command = Command::new("/proc/self/exe");
    command.args(["shim", "enter"]).env_clear().current_dir("/").process_group(0);
    command.stdin(OwnedFd::from(theirs)).stdout(output).stderr(errors);
    let mut child = command.spawn().map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::AGAIN) => "no process may be added: a limit on processes is reached".to_owned(),
        _ => plain(&error),
    })?;
    // It holds the other ends.
    drop(command);
    // It reads this before it does anything else.
    let told = ours.write_all(&bytes).and_then(|()| ours.shutdown(Shutdown::Write));
    told.map(|()| (Pid::from_child(&child), Answer(ours))).map_err(|error| {
        // If it lives it is not the job.
        let _ = child.kill();
        let _ = child.wait();
        format!("the process that was to become it: {}", plain(&error))
    })
}

/// The second step: the process that becomes the job.
pub(super) fn run() -> ExitCode {
    let socket = match rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) {
        Ok(socket) => UnixStream::from(socket),
        Err(_) => return ExitCode::FAILURE,
    };
    let why = match Order::read(&socket) {
        Ok(order) => become_job(&order),
        Err(error) => format!("its order cannot be read: {error}"),
    };
    // Fails when the shim is gone.
    let _ = (&socket).write_all(why.as_bytes());
    ExitCode::FAILURE
}

/// Answers why it has not become the job.
fn become_job(order: &Order) -> String {
    let start = || {
        let spec = &order.spec;
        for (name, limit) in &spec.limits {
            let known = Known::find(name).ok_or_else(|| format!("its limit `{name}` is not known"))?;
            known.set(*limit)?;
        }
        if let Some(nice) = spec.nice {
            let set = rustix::process::setpriority_process(None, nice.into());
            set.map_err(|error| format!("its `nice` of {nice}: {}", plain(&error.into())))?;
        }
        if let Some(io) = spec.io {
            set_io(io)?;
        }
        if let Some(user) = &spec.user {
            become_user(user)?;
        }
        if let Some(cwd) = &spec.cwd {
            enter_folder(cwd)?;
        }
        let input = stdin(order)?;
        rustix::stdio::dup2_stdin(&input).map_err(|error| format!("its standard input: {}", plain(&error.into())))?;
        drop(input);
        let (mut command, program) = program::command(order)?;
        // It also sets SIGPIPE back, which every Rust program ignores.
        Err(diagnose(&command.exec(), &program, spec.cwd.as_deref()))
    };
    let started: Result<(), String> = start();
    started.err().unwrap_or_default()
}

fn set_io(io: Io) -> Result<(), String> {
    let wrong = |why: &str| format!("its `ionice`: {why}");
    let class = match io.class {
        IoClass::RealTime => RtPriorityLevel::from_level(io.level).map(Class::Realtime),
        IoClass::BestEffort => BePriorityLevel::from_level(io.level).map(Class::BestEffort),
        IoClass::Idle => Some(Class::Idle),
    };
    let class = class.ok_or_else(|| wrong("the level is none of 0 to 7"))?;
    let set = ioprio::set_priority(Target::Process(ioprio::Pid::from_raw(0)), Priority::new(class));
    set.map_err(|error| wrong(&error.to_string()))
}

/// Becomes another user for good: with the real, effective and saved numbers root's capabilities go as well.
fn become_user(user: &User) -> Result<(), String> {
    let User { uid, gid, ref groups } = *user;
    let wrong = |what: &str, error: Errno| {
        let why = plain(&error.into());
        format!("becoming user {uid}, {what}: {why} (the daemon must be root, with CAP_SETUID and CAP_SETGID)")
    };
    // So that the job can open `/dev/stdout` and `/dev/stderr`. It is a pipe that belongs to its attempt only; if it
    // cannot be given away, what is written to it still arrives.
    let _ = rustix::fs::fchown(rustix::stdio::stdout(), Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    let groups: Vec<Gid> = groups.iter().map(|group| Gid::from_raw(*group)).collect();
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&groups).map_err(|error| wrong("supplementary groups", error))?;
    set_thread_res_gid(gid, gid, gid).map_err(|error| wrong("group", error))?;
    set_thread_res_uid(uid, uid, uid).map_err(|error| wrong("number", error))
}

fn enter_folder(cwd: &Path) -> Result<(), String> {
    std::env::set_current_dir(cwd)
        .map_err(|error| format!("its working directory `{}`: {}", cwd.display(), plain(&error)))
}
