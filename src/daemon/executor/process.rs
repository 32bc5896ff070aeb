//! Attempts that are processes: from what the config says to what `exec` starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attempts::{Attempts, Known, Lease};
use crate::config::{Action, Process, Task};
use crate::core::effect::StartAttempt;
use crate::exec::{Program, Spec, Start};

/// The umask that the daemon runs with; a job with another one is started through a shell that sets it.
pub const UMASK: u32 = crate::config::UMASK_DEFAULT;

impl Attempts {
    pub(super) fn start_process(&self, attempt: StartAttempt, lease: Option<Lease>, task: &Task, process: &Process) {
        self.know(&attempt, Known { lease, ..Known::default() });
        self.processes.start(Start {
            job: attempt.job,
            attempt: attempt.attempt,
            task: attempt.task.into(),
            args: attempt.args.as_str().to_owned(),
            scheduled_at: attempt.occurrence.map(|occurrence| occurrence.at),
            spec: Arc::new(spec(task, process)),
            about: BTreeMap::new(),
        });
    }
}

pub(super) fn spec(task: &Task, process: &Process) -> Spec {
    Spec {
        program: match &process.action {
            Action::Command(argv) => Program::Command(argv.clone()),
            Action::Shell(text) => Program::Shell(text.clone()),
        },
        cwd: Some(process.cwd.clone()),
        env: process.env.0.clone(),
        umask: (process.umask != UMASK).then_some(process.umask),
        success_exit_codes: process.success_exit_codes.iter().map(|code| i32::from(*code)).collect(),
        timeout: task.timeout,
        grace: task.grace,
        output_max: task.output_max,
        leave_background: process.leave_background,
        stdin: process.stdin.clone(),
        env_file: process.env_file.clone(),
        run_as: process.run_as.clone(),
        user: None,
        nice: process.nice,
        io: process.io,
        limits: process.limits.clone(),
        memory_max: process.memory_max,
        tasks_max: process.tasks_max,
    }
}
