//! What a worker may use while it runs: its job, the time, and sinks for progress and lines.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use super::Error;
use crate::core::id::JobId;
use crate::core::limits;
use crate::core::time::Timestamp;

/// Takes `(current, total, message)`. A total of 0 means that it is not known yet.
/// Called from any thread, at most once a chunk; it must not wait.
pub type ProgressSink = Arc<dyn Fn(u64, u64, &str) + Send + Sync>;

/// Takes one line without its line end. Called from any thread, once for each action;
/// it may write to a file, and bounds what it writes.
pub type LineSink = Arc<dyn Fn(&str) + Send + Sync>;

/// What a worker may use while it runs.
#[derive(Clone)]
pub struct Context {
    /// The job that this run is an attempt of.
    pub job: JobId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The job's arguments: `null` or an object; the only one known is `dry_run`.
    pub args: Value,
    /// The instant at which the run started: every age is measured from it.
    pub now: Timestamp,
    /// Where progress goes.
    pub progress: ProgressSink,
    /// Where lines go: the attempt's output file.
    pub log: LineSink,
    /// The daemon's own folder, which no worker touches.
    pub state_dir: std::path::PathBuf,
    /// After how long the run is cancelled, for a worker that has to tell somebody else.
    pub timeout: Option<std::time::Duration>,
    /// Whether the run should end.
    pub cancelled: Cancelled,
}

impl Context {
    /// Writes a line to the attempt's output.
    pub(super) fn line(&self, line: &str) {
        (self.log)(line);
    }

    /// Reports how far the run is; a total of 0 means that it is not known yet.
    pub(super) fn report(&self, current: u64, total: u64, message: &str) {
        (self.progress)(current, total, message);
    }

    /// Whether the run only prints what it would do: the setting, unless the job's argument
    /// `dry_run` says otherwise. An argument nobody knows is refused, because a mistyped
    /// `dry_run` must not delete anything.
    pub(super) fn dry_run(&self, setting: bool) -> Result<bool, Error> {
        let refuse = |problem: String| Err(Error::Argument { problem });
        let arguments = match &self.args {
            Value::Null => return Ok(setting),
            Value::Object(arguments) => arguments,
            _ => return refuse("they must be an object".into()),
        };
        if let Some(unknown) = arguments.keys().find(|key| *key != "dry_run") {
            let unknown = limits::message(unknown.clone());
            return refuse(format!("`{unknown}` is not known; the only one is `dry_run`"));
        }
        match arguments.get("dry_run") {
            None => Ok(setting),
            Some(Value::Bool(dry_run)) => Ok(*dry_run),
            // What `--arg dry_run=true` may arrive as.
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(_) => refuse("`dry_run` must be true or false".into()),
        }
    }
}

/// Tells a run that it should end. Made from the receiving half of a `watch` channel whose value
/// becomes true; when the sending half is dropped before that, the run is never cancelled.
#[derive(Clone, Debug)]
pub struct Cancelled(watch::Receiver<bool>);

impl Cancelled {
    /// Follows `receiver`.
    pub fn new(receiver: watch::Receiver<bool>) -> Self {
        Cancelled(receiver)
    }

    /// Whether the run should end now.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for `pause` or until cancelled, whichever is first.
    pub async fn pause(&self, pause: std::time::Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.set() => {}
        }
    }

    /// Waits until the run should end.
    pub async fn set(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|set| *set).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    /// A context whose lines and progress a test can read, and that it can cancel.
    pub(in crate::workers) struct Recorder {
        pub lines: Arc<Mutex<Vec<String>>>,
        pub progress: Arc<Mutex<Vec<(u64, u64)>>>,
        pub cancel: Arc<watch::Sender<bool>>,
    }

    impl Recorder {
        pub fn new() -> Self {
            Recorder { lines: Arc::default(), progress: Arc::default(), cancel: Arc::new(watch::channel(false).0) }
        }

        pub fn context(&self, now: Timestamp) -> Context {
            let (lines, progress) = (self.lines.clone(), self.progress.clone());
            Context {
                job: JobId(7),
                attempt: 1,
                args: Value::Null,
                now,
                state_dir: std::path::PathBuf::new(),
                timeout: None,
                progress: Arc::new(move |current, total, _| progress.lock().unwrap().push((current, total))),
                log: Arc::new(move |line| lines.lock().unwrap().push(line.to_owned())),
                cancelled: Cancelled::new(self.cancel.subscribe()),
            }
        }

        pub fn text(&self) -> String {
            self.lines.lock().unwrap().join("\n")
        }
    }

    fn with_arguments(args: Value) -> Result<bool, String> {
        let context = Context { args, ..Recorder::new().context(Timestamp(0)) };
        context.dry_run(false).map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_can_ask_for_a_dry_run_and_mistakes_are_refused() {
        assert_eq!(with_arguments(Value::Null), Ok(false));
        assert_eq!(with_arguments(serde_json::json!({})), Ok(false));
        assert_eq!(with_arguments(serde_json::json!({"dry_run": true})), Ok(true));
        assert_eq!(with_arguments(serde_json::json!({"dry_run": "true"})), Ok(true));
        assert!(with_arguments(serde_json::json!({"dry-run": true})).unwrap_err().contains("`dry-run` is not known"));
        assert!(with_arguments(serde_json::json!({"dry_run": 3})).unwrap_err().contains("must be true or false"));
        assert!(with_arguments(serde_json::json!([1])).unwrap_err().contains("must be an object"));
    }

    #[tokio::test]
    async fn a_pause_ends_when_cancelled_and_survives_a_dropped_sender() {
        let (sender, receiver) = watch::channel(false);
        let cancelled = Cancelled::new(receiver);
        sender.send(true).unwrap();
        cancelled.pause(Duration::from_secs(86_400)).await;
        assert!(cancelled.is_set());

        let cancelled = Cancelled::new(watch::channel(false).1);
        cancelled.pause(Duration::from_millis(1)).await;
        assert!(!cancelled.is_set());
    }
}
