//! What the daemon says about itself: tracing to the system's journal, or as text or JSON lines to standard error.
//!
//! Messages are constant and values are fields. Payloads are in no line at any level: no arguments, results, outputs,
//! environments, SQL arguments or addresses; a test looks for them. The config alone says what is written (`[log]`);
//! no environment variable does, so that `daybook check`, a reload and the file tell the truth.

mod journald;
mod levels;
mod limit;

use std::io::IsTerminal;
use std::sync::{Arc, OnceLock};

use tracing::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::clock::SystemClock;
use crate::config::{LogFormat, Logs};
use journald::Journald;
use limit::{Limit, Limits};

/// What can be changed while the daemon runs.
struct Running {
    levels: reload::Handle<Targets, Registry>,
    limits: Arc<Limits>,
}

static RUNNING: OnceLock<Running> = OnceLock::new();

/// Starts logging. A second start in one process (tests) keeps the first.
pub fn start(logs: &Logs) {
    let (filter, levels) = reload::Layer::new(levels::targets(logs));
    let limits = Arc::new(Limits::new(Arc::new(SystemClock)));
    let subscriber = tracing_subscriber::registry().with(filter).with(Limit(limits.clone())).with(output(logs.format));
    if subscriber.try_init().is_ok() {
        // The one that was set is the one that is kept.
        let _: Result<(), Running> = RUNNING.set(Running { levels, limits });
    }
}

/// Has the levels of another config from now on.
pub fn set_levels(logs: &Logs) {
    if let Some(Err(error)) = RUNNING.get().map(|running| running.levels.reload(levels::targets(logs))) {
        tracing::warn!(%error, "could not change the levels of the log, the old ones stay");
    }
}

/// Says of warnings and errors that were left out how many they were. Called now and then, and at the end.
pub fn tell_suppressed() {
    if let Some(running) = RUNNING.get() {
        running.limits.tell();
    }
}

fn output<S: Subscriber + for<'span> LookupSpan<'span>>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync> {
    if let Some(journald) = Journald::of_standard_error() {
        return journald.boxed();
    }
    let lines = fmt::layer().with_writer(std::io::stderr);
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match format {
        LogFormat::Text => lines.with_ansi(colour).boxed(),
        LogFormat::Json => lines.json().boxed(),
    }
}
