//! The door that the engine knows: each attempt goes to the handler of its task.

use std::sync::Arc;

use super::attempts::{Attempts, Known, Lease};
use crate::clock::{Clock, SystemClock};
use crate::config::Handler;
use crate::core::command::{Command, Ending};
use crate::core::effect::{AdvanceItem, StartAttempt};
use crate::core::id::JobId;
use crate::engine::run::{Executor, Seen};
use crate::exec::Stop;
use crate::repair::attempts::OVERDUE_AFTER;

/// The engine's side: starts and stops what the core has decided.
pub struct Door(pub Arc<Attempts>);

impl Executor for Door {
    fn start(&self, attempt: StartAttempt) {
        let config = self.0.config();
        tracing::debug!(job = attempt.job.0, task = &*attempt.task, attempt = attempt.attempt, "attempt starts");
        let lease = config.tasks.get(&*attempt.task).and_then(|task| {
            let length = task.timeout?.saturating_add(task.grace).saturating_add(OVERDUE_AFTER);
            Some(Lease { started: SystemClock.now(), length })
        });
        let task = config.tasks.get(&*attempt.task);
        match task.map(|task| (task, &task.handler)) {
            Some((_, Handler::Process(_) | Handler::Worker(_))) if attempt.is_batch => {
                // Its task has changed since: what handles jobs would do something else, and once for all items.
                self.0.know(&attempt, Known::default());
                self.0.fail(&attempt, "its task handles no items any more".to_owned());
            }
            Some((task, Handler::Process(process))) => self.0.start_process(attempt, lease, task, process),
            Some((task, Handler::Batch(batch))) => self.0.start_batch(attempt, task, batch),
            Some((task, Handler::Worker(worker))) => self.0.start_worker(attempt, lease, task, worker),
            None => {
                // It left while this attempt was on its way here: nothing has run, and the job waits for its return.
                self.0.know(&attempt, Known::default());
                let ending =
                    Ending::Interrupted { reason: "its task is no longer in the config".into(), suspect: false };
                self.0.report(Command::ReportEnded { job: attempt.job, attempt: attempt.attempt, ending });
            }
        }
    }

    fn stop(&self, job: JobId, attempt: u32) {
        self.0.processes.stop(job, attempt, Stop::Cancel);
        self.0.known().get_mut(&(job, attempt)).into_iter().for_each(Known::cancel);
        self.0.stop_calls(job);
    }

    fn advance(&self, item: AdvanceItem) {
        self.0.advance(item);
    }

    fn look(&self, job: JobId, attempt: u32) -> Seen {
        self.0.seen(job, attempt, SystemClock.now().awake)
    }

    fn kill(&self, job: JobId, attempt: u32) {
        self.0.processes.stop(job, attempt, Stop::Kill);
        self.0.known().get_mut(&(job, attempt)).into_iter().for_each(Known::cancel);
    }
}
