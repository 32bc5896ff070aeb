//! What to run: the part of a task that starting a process needs, and one order to start it.
//! How it is run stands in `spawn.rs` and `process.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::user::RunAs;
use crate::core::id::JobId;
use crate::core::time::Timestamp;
use crate::shim::{Io, Limit, Stdin, User};

/// What a task runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// A program and its arguments. A name without `/` is looked up in the job's own PATH.
    Command(Vec<String>),
    /// A text for `/bin/sh -c`.
    Shell(String),
}

/// How the attempts of a task are run, resolved from the config and shared by all of them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub program: Program,
    /// The working directory; the daemon's own when absent.
    pub cwd: Option<PathBuf>,
    /// Added to the environment that every job gets; may replace all of it but the `DAYBOOK_` variables.
    pub env: BTreeMap<String, String>,
    /// The file mode mask; the daemon's own when absent.
    pub umask: Option<u32>,
    /// Exit codes that mean success; empty means only 0.
    pub success_exit_codes: Vec<i32>,
    /// How long an attempt may run, not counting time in which the machine is suspended.
    pub timeout: Option<Duration>,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// Bytes of output kept per attempt: the first ones. The rest is read, counted and dropped.
    pub output_max: u64,
    /// Whether processes that outlive the main process are left alone. Cancel and timeout end them anyway.
    pub leave_background: bool,
    pub stdin: Stdin,
    /// A file of further variables, read at each start; `env` goes before it.
    pub env_file: Option<PathBuf>,
    /// Whom it runs as, by name; the daemon's own user when absent.
    pub run_as: Option<RunAs>,
    /// Whom it runs as, by number: `run_as`, looked up when an attempt starts.
    pub user: Option<User>,
    /// -20 (first) to 19, added to nothing; the daemon's own when absent.
    pub nice: Option<i8>,
    pub io: Option<Io>,
    /// Bounds of `setrlimit(2)`, by the names that `ulimit` and systemd have for them: `nofile`, `core`, `as`, ...
    pub limits: BTreeMap<String, Limit>,
    /// Bytes of memory of all processes together. Needs a cgroup with the controller.
    pub memory_max: Option<u64>,
    /// Processes and threads together. Needs a cgroup with the controller.
    pub tasks_max: Option<u64>,
}

impl Spec {
    /// The default of [`Spec::grace`].
    pub const GRACE: Duration = Duration::from_secs(10);
    /// The default of [`Spec::output_max`], in bytes.
    pub const OUTPUT_MAX: u64 = 1024 * 1024;

    /// `program` with every default.
    pub fn new(program: Program) -> Spec {
        Spec {
            program,
            cwd: None,
            env: BTreeMap::new(),
            umask: None,
            success_exit_codes: Vec::new(),
            timeout: None,
            grace: Spec::GRACE,
            output_max: Spec::OUTPUT_MAX,
            leave_background: false,
            stdin: Stdin::Null,
            env_file: None,
            run_as: None,
            user: None,
            nice: None,
            io: None,
            limits: BTreeMap::new(),
            memory_max: None,
            tasks_max: None,
        }
    }

    /// Whether a process that ended with `code` has succeeded.
    pub(crate) fn is_success(&self, code: i32) -> bool {
        if self.success_exit_codes.is_empty() { code == 0 } else { self.success_exit_codes.contains(&code) }
    }
}

/// Names the variables of `env` without their values: those are often secrets.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec")
            .field("program", &self.program)
            .field("cwd", &self.cwd)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("umask", &self.umask)
            .field("success_exit_codes", &self.success_exit_codes)
            .field("timeout", &self.timeout)
            .field("grace", &self.grace)
            .field("output_max", &self.output_max)
            .field("leave_background", &self.leave_background)
            .field("run_as", &self.run_as)
            .finish_non_exhaustive()
    }
}

/// An order to run one attempt.
#[derive(Clone, Debug)]
pub struct Start {
    pub job: JobId,
    /// Counted from 1.
    pub attempt: u32,
    /// The task's name.
    pub task: String,
    /// The job's arguments, as JSON; at most [`ARGS_BYTES_MAX`](crate::core::limits::ARGS_BYTES_MAX).
    pub args: String,
    /// The occurrence that the job was created for, if a schedule did.
    pub scheduled_at: Option<Timestamp>,
    pub spec: Arc<Spec>,
    /// Further variables that say what the attempt is about; they replace any others.
    pub about: BTreeMap<&'static str, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_names_variables_and_hides_their_values() {
        let mut spec = Spec::new(Program::Shell("true".into()));
        spec.env.insert("TOKEN".into(), "hunter2".into());
        let text = format!("{spec:?}");
        assert!(text.contains("TOKEN"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn success_is_zero_unless_codes_are_given() {
        let mut spec = Spec::new(Program::Shell("true".into()));
        assert!(spec.is_success(0) && !spec.is_success(1));
        spec.success_exit_codes = vec![1, 24];
        assert!(!spec.is_success(0) && spec.is_success(1) && spec.is_success(24));
    }
}
