//! What is reported about an attempt, with the sentences a person reads, and how an attempt is asked to stop.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::id::JobId;

use crate::shim::Stragglers;

use super::identity::Identity;
use super::result::DROPPED;

/// A message about one attempt. Each start is answered by at most one `Spawned`, then exactly one `Ended`.
#[derive(Clone, Debug)]
pub enum Report {
    /// The process runs, and has run for a moment.
    Spawned { job: JobId, attempt: u32, identity: Identity },
    /// The attempt is over: its process is gone, its output is complete.
    Ended(Ended),
    /// Instead of `Ended`: what looked after the attempt has panicked. Whether anything of it still runs, nobody knows.
    Lost { job: JobId, attempt: u32 },
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub job: JobId,
    pub attempt: u32,
    pub outcome: Outcome,
    /// What the job wrote into `DAYBOOK_RESULT`, as JSON; at most
    /// [`RESULT_BYTES_MAX`](crate::core::limits::RESULT_BYTES_MAX).
    pub result: Option<String>,
    pub output: OutputSize,
    /// Processes that outlived the main one: ended, or left if the task says so.
    pub stragglers: Stragglers,
    /// What went wrong beside the outcome and changed nothing about it: a result too large, a full disk.
    pub notes: Vec<String>,
}

impl Ended {
    /// For an attempt of which no process ever ran.
    pub(super) fn without_process(job: JobId, attempt: u32, outcome: Outcome) -> Ended {
        Ended {
            job,
            attempt,
            outcome,
            result: None,
            output: OutputSize::default(),
            stragglers: Stragglers::default(),
            notes: Vec::new(),
        }
    }

    /// Why there is no result although the job left one.
    pub fn lost_result(&self) -> Option<&str> {
        self.notes.iter().map(String::as_str).find(|note| note.starts_with(DROPPED))
    }
}

/// Bytes that an attempt printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSize {
    /// In the file, without the line that tells of dropped ones.
    pub kept: u64,
    /// Read and thrown away: beyond `output_max`, or not writable.
    pub dropped: u64,
}

/// The end of an attempt. Its `Display` is the sentence shown to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The main process ended by itself, with an exit code that means success.
    Succeeded { exit_code: i32 },
    /// The main process ended by itself, otherwise.
    Failed { exit: Exit },
    /// It was ended because it ran for longer than `after`, whatever its exit code then was.
    TimedOut {
        after: Duration,
        /// Whether it took SIGKILL.
        killed: bool,
    },
    /// It was ended by [`Stop::Cancel`].
    Cancelled,
    /// It was ended because the daemon stops; the job is to be resumed.
    Interrupted,
    /// There never was a process: the program cannot be run.
    NotStarted { error: String },
    /// Nobody knows how it ended, as its shim was killed.
    Lost { cause: String },
}

impl Outcome {
    /// The kind of end in a word; nothing of what the job said or was given.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Succeeded { .. } => "succeeded",
            Outcome::Failed { .. } => "failed",
            Outcome::TimedOut { .. } => "timed out",
            Outcome::Cancelled => "cancelled",
            Outcome::Interrupted => "interrupted",
            Outcome::NotStarted { .. } => "not started",
            Outcome::Lost { .. } => "lost",
        }
    }

    /// The sentence for a job's `error` field; none for a success.
    pub fn error(&self) -> Option<String> {
        match self {
            Outcome::Succeeded { .. } => None,
            other => Some(crate::core::limits::message(other.to_string())),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Succeeded { exit_code } => write!(f, "exit code {exit_code}"),
            Outcome::Failed { exit } => exit.fmt(f),
            Outcome::TimedOut { after, killed } => {
                write!(f, "timed out after {}", humantime::format_duration(*after))?;
                if *killed { f.write_str(", and had to be killed") } else { Ok(()) }
            }
            Outcome::Cancelled => f.write_str("cancelled"),
            Outcome::Interrupted => f.write_str("interrupted: the daemon stopped"),
            Outcome::NotStarted { error } => f.write_str(error),
            Outcome::Lost { cause } => f.write_str(cause),
        }
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It exited.
    Code(i32),
    /// A signal ended it.
    Signal { number: i32, core_dumped: bool },
    /// The kernel did not tell: somebody else reaped the process.
    Unknown { error: String },
}

impl Exit {
    /// The exit code, if it exited.
    pub fn code(&self) -> Option<i32> {
        if let Exit::Code(code) = self { Some(*code) } else { None }
    }

    /// The number of the signal, if one ended it.
    pub fn signal(&self) -> Option<i32> {
        if let Exit::Signal { number, .. } = self { Some(*number) } else { None }
    }
}

impl From<std::io::Result<ExitStatus>> for Exit {
    fn from(status: std::io::Result<ExitStatus>) -> Exit {
        match status {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Exit::Code(code),
                (None, Some(number)) => Exit::Signal { number, core_dumped: status.core_dumped() },
                (None, None) => Exit::Unknown { error: status.to_string() },
            },
            Err(error) => Exit::Unknown { error: error.to_string() },
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(126) => f.write_str("exit code 126 (what a shell gives for a program it may not run)"),
            Exit::Code(127) => f.write_str("exit code 127 (what a shell gives for a program it does not find)"),
            Exit::Code(code) => match signal_name(code - 128) {
                // A shell reports so that a signal ended the program it ran last.
                Some(name) if *code > 128 => write!(f, "exit code {code} (128 + {}, {name})", code - 128),
                _ => write!(f, "exit code {code}"),
            },
            Exit::Signal { number, core_dumped } => {
                write!(f, "killed by signal {number}")?;
                if let Some(name) = signal_name(*number) {
                    write!(f, " ({name})")?;
                }
                if *core_dumped { f.write_str(", core dumped") } else { Ok(()) }
            }
            Exit::Unknown { error } => write!(f, "ended, but its exit status is not known: {error}"),
        }
    }
}

/// The name of a signal that programs die of; none for the others.
fn signal_name(number: i32) -> Option<&'static str> {
    use rustix::process::Signal;
    const NAMES: [(Signal, &str); 17] = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
    ];
    NAMES.iter().find(|(signal, _)| signal.as_raw() == number).map(|(_, name)| *name)
}

/// Why a running attempt is to end. A later, stronger wish adds to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody cancelled the job: SIGTERM, grace, SIGKILL; the outcome is [`Outcome::Cancelled`].
    Cancel,
    /// The daemon stops: SIGTERM, grace, SIGKILL; the outcome is [`Outcome::Interrupted`].
    Shutdown,
    /// The daemon stops at once: SIGKILL now. The outcome is that of an earlier stop, else `Interrupted`.
    Kill,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(outcome: Outcome, expected: &str) {
        assert_eq!(outcome.to_string(), expected);
    }

    #[test]
    fn outcomes_read_as_sentences() {
        let failed = |exit| Outcome::Failed { exit };
        check(failed(Exit::Code(3)), "exit code 3");
        check(failed(Exit::Code(137)), "exit code 137 (128 + 9, SIGKILL)");
        check(failed(Exit::Code(200)), "exit code 200");
        check(failed(Exit::Code(127)), "exit code 127 (what a shell gives for a program it does not find)");
        check(failed(Exit::Signal { number: 9, core_dumped: false }), "killed by signal 9 (SIGKILL)");
        check(failed(Exit::Signal { number: 6, core_dumped: true }), "killed by signal 6 (SIGABRT), core dumped");
        check(failed(Exit::Signal { number: 40, core_dumped: false }), "killed by signal 40");
        let timed_out = |killed| Outcome::TimedOut { after: Duration::from_secs(7200), killed };
        check(timed_out(false), "timed out after 2h");
        check(timed_out(true), "timed out after 2h, and had to be killed");
    }

    #[test]
    fn an_error_is_bounded_and_a_success_has_none() {
        assert_eq!(Outcome::Succeeded { exit_code: 0 }.error(), None);
        let error = "x".repeat(1_000_000);
        let kept = Outcome::NotStarted { error }.error().map(|text| text.len());
        assert_eq!(kept, Some(crate::core::limits::MESSAGE_BYTES_MAX));
    }
}
