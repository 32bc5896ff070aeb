//! A task as the config says it: its policy, which the core decides by, and its handler, which `exec` runs.

mod batch;
mod clean_logs;
mod handler;
mod http;
mod passivate_users;
mod policy;
mod process;
mod rights;
mod schedule;
mod sql;
mod things;

use std::time::Duration;

use crate::workers::{CleanLogs, Http, PassivateUsers, Sql};
pub use batch::{Batch, Each, Hours, ItemSource, Rate};
pub use process::{Environment, Process, UMASK_DEFAULT};

use super::table::Table;
use super::value::Zones;
use crate::core::policy::TaskPolicy;

pub(super) use handler::{DatabaseUse, Statements};

/// A task: a definition, not a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// When and how often.
    pub policy: TaskPolicy,
    /// What.
    pub handler: Handler,
    /// For people.
    pub description: Option<String>,
    /// An attempt that runs longer is ended and has failed; of a batch, a run or repair as a whole.
    pub timeout: Option<Duration>,
    /// The time between TERM and KILL when an attempt is ended.
    pub grace: Duration,
    /// Bytes of an attempt's output that are kept.
    pub output_max: u64,
}

impl Task {
    /// Default of `grace`.
    pub const GRACE_DEFAULT: Duration = Duration::from_secs(10);
    /// Default of `output_max`: 1 MiB.
    pub const OUTPUT_MAX_DEFAULT: u64 = 1 << 20;
}

/// What a task runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Handler {
    /// A program or a line of shell.
    Process(Box<Process>),
    /// A built-in worker.
    Worker(WorkerConfig),
    /// Something done with each of many items.
    Batch(Box<Batch>),
}

/// What a [`Process`] executes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A program and its arguments; at least the program.
    Command(Vec<String>),
    /// A line for `/bin/sh -c`.
    Shell(String),
}

/// A built-in worker with what it was told, or what the daemon runs in the same way: statements of `sql`, and requests.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerConfig {
    PassivateUsers(Box<PassivateUsers>),
    CleanLogs(CleanLogs),
    Sql(Sql),
    Http(Http),
}

/// Reads a task; `None` if its handler cannot be told. Databases that it uses are taken down in `uses`.
pub(super) fn read(table: &Table<'_>, zones: &Zones, uses: &mut Vec<DatabaseUse>) -> Option<Task> {
    let batch = table.has("items").then(|| batch::Parts::open(table));
    let policy = policy::read(table, zones, batch.as_ref());
    let handler = match &batch {
        Some(parts) => batch::read(table, parts, uses).map(Box::new).map(Handler::Batch),
        None => handler::read(table, uses),
    };
    let description = table.text("description").map(str::to_owned);
    let timeout = table.duration("timeout");
    let grace = table.duration("grace").unwrap_or(Task::GRACE_DEFAULT);
    let output_max = table.size("output_max").unwrap_or(Task::OUTPUT_MAX_DEFAULT);
    Some(Task { policy, handler: handler?, description, timeout, grace, output_max })
}
