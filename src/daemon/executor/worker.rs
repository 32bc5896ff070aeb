//! Attempts that are workers, each on a task of the runtime: from settings to worker, and from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;

use super::attempts::{Attempts, Known, Lease};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Task, WorkerConfig};
use crate::core::command::{Command, Ending};
use crate::core::effect::StartAttempt;
use crate::core::json::Json;
use crate::core::limits;
use crate::core::view::Progress;
use crate::daemon::retention::WithOwn;
use crate::database::Database;
use crate::exec::Lines;
use crate::workers::{self, Cancelled, PassivateUsers, Worker};

impl Attempts {
    pub(super) fn start_worker(
        self: &Arc<Self>,
        attempt: StartAttempt,
        lease: Option<Lease>,
        task: &Task,
        config: &WorkerConfig,
    ) {
        let cancel = watch::Sender::new(false);
        self.know(&attempt, Known { lease, cancel: Some(cancel.clone()), ..Known::default() });
        let worker = match self.worker(config) {
            Ok(worker) => worker,
            Err(error) => return self.fail(&attempt, error),
        };
        let (this, timeout, grace, output_max) = (self.clone(), task.timeout, task.grace, task.output_max);
        tokio::spawn(async move {
            let ending = match this.context(&attempt, &cancel, timeout, output_max) {
                Ok(context) => this.work(&*worker, context, &cancel, grace).await,
                Err(error) => Ending::Failed { error: limits::message(error).into() },
            };
            let (outputs, job, number) = (this.outputs.clone(), attempt.job, attempt.attempt);
            let bytes = tokio::task::spawn_blocking(move || outputs.size(job, number)).await.unwrap_or(0);
            if bytes > 0 {
                this.report(Command::ReportOutput { job, attempt: number, bytes });
            }
            this.report(Command::ReportEnded { job, attempt: number, ending });
        });
    }

    pub(super) fn worker(&self, config: &WorkerConfig) -> Result<Arc<dyn Worker>, String> {
        let all = self.config();
        let made = match config {
            WorkerConfig::PassivateUsers(users) => {
                PassivateUsers::clone(users).worker(database(&users.database, &all)?)
            }
            WorkerConfig::CleanLogs(logs) => {
                let retention = self.retention.clone();
                let with_own = |worker| Arc::new(WithOwn { worker, retention, config: all.clone() }) as Arc<dyn Worker>;
                logs.clone().worker().map(with_own)
            }
            WorkerConfig::Http(http) => http.clone().worker(),
            WorkerConfig::Sql(sql) => Ok(sql.clone().worker(database(&sql.database, &all)?)),
        };
        made.map_err(|error| error.to_string())
    }

    /// Runs a worker to its end. One that takes too long is asked to end, and gets `grace` for that.
    async fn work(
        &self,
        worker: &dyn Worker,
        context: workers::Context,
        cancel: &watch::Sender<bool>,
        grace: Duration,
    ) -> Ending {
        let failed = |error: String| Ending::Failed { error: limits::message(error).into() };
        let (job, number, timeout) = (context.job, context.attempt, context.timeout);
        // A panic in a worker is a failed attempt and not the end of the daemon's bookkeeping.
        let run = std::panic::AssertUnwindSafe(worker.run(context)).catch_unwind();
        tokio::pin!(run);
        let outcome = match timeout {
            None => run.await,
            Some(timeout) => match tokio::time::timeout(timeout, &mut run).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    cancel.send_replace(true);
                    match tokio::time::timeout(grace, run).await {
                        // It got there after all, so that there is nothing to try again.
                        Ok(Ok(Ok(result))) => Ok(Ok(result)),
                        Ok(_) | Err(_) => {
                            return failed(format!("timed out after {}", humantime::format_duration(timeout)));
                        }
                    }
                }
            },
        };
        match outcome {
            Ok(Ok(result)) => Ending::Succeeded { result: Some(Json::trusted(result.to_string())), note: None },
            Ok(Err(workers::Error::Cancelled { .. })) => match self.told(job, number) {
                Some(why) => Ending::Interrupted { reason: why.into(), suspect: false },
                None => Ending::Stopped,
            },
            Ok(Err(error)) => failed(error.to_string()),
            Err(_panic) => failed("the worker panicked; this is a bug, and the daemon's log says where".to_owned()),
        }
    }

    /// What a worker may use; an error if its output cannot be opened, or its arguments not be read.
    fn context(
        self: &Arc<Self>,
        attempt: &StartAttempt,
        cancel: &watch::Sender<bool>,
        timeout: Option<Duration>,
        output_max: u64,
    ) -> Result<workers::Context, String> {
        let args = arguments(&attempt.args)?;
        let lines = Lines::begin(&self.outputs, attempt.job, attempt.attempt, output_max).map_err(|e| e.to_string())?;
        let (this, job, number) = (self.clone(), attempt.job, attempt.attempt);
        let progress = move |current, total, message: &str| {
            let progress = Progress { current, total, message: limits::message(message.to_owned()).into() };
            this.report(Command::ReportProgress { job, attempt: Some(number), progress });
        };
        Ok(workers::Context {
            job,
            attempt: number,
            args,
            now: SystemClock.now().wall,
            progress: Arc::new(progress),
            log: Arc::new(move |line| lines.write(line)),
            state_dir: self.config().state_dir.clone(),
            timeout,
            cancelled: Cancelled::new(cancel.subscribe()),
        })
    }
}

/// The arguments as a worker reads them. JSON may say more than that, as `1e999` or lists a thousand deep: a
/// worker that were given none instead would not know that it was asked for a dry run.
fn arguments(args: &Json) -> Result<serde_json::Value, String> {
    serde_json::from_str(args.as_str()).map_err(|error| format!("failed to read the job's arguments: {error}"))
}

/// A database by its name.
pub fn database(name: &str, all: &Config) -> Result<Database, String> {
    let address = all.databases.get(name).ok_or_else(|| format!("there is no database `{name}` in the config"))?;
    Ok(Database { name: name.to_owned(), address: address.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_a_worker_cannot_read_are_an_error_and_not_left_out() {
        assert_eq!(arguments(&Json::null()), Ok(serde_json::Value::Null));
        let deep = format!("{{\"dry_run\":true,\"n\":{}{}}}", "[".repeat(200), "]".repeat(200));
        for text in [r#"{"dry_run":true,"n":1e999}"#, r#"{"dry_run":true,"n":"\ud800"}"#, &deep] {
            let error = arguments(&Json::trusted(text)).unwrap_err();
            assert!(error.starts_with("failed to read the job's arguments: "), "{text}: {error}");
        }
    }
}
