//! What a config says once it is read: plain values, all of them checked. Tasks are in `task`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::task::Task;
use crate::database::Address;

/// Everything that the config files say. [`Config::default`] is what an empty file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The folder of the journal, the history and the outputs. Read at start only.
    pub state_dir: PathBuf,
    /// The control socket. Read at start only.
    pub socket: PathBuf,
    /// `false`: this daemon takes jobs in and starts none.
    pub execution: bool,
    /// How long a stop waits for workers.
    pub stop_timeout: Duration,
    /// The time from one sweep to the next.
    pub repair_every: Duration,
    /// What is kept of the journal beyond what recovery needs.
    pub journal_keep: Keep,
    /// What is kept of finished jobs.
    pub history_keep: Keep,
    /// What is kept of the outputs of attempts.
    pub outputs_keep: Keep,
    /// What the daemon says about itself.
    pub log: Logs,
    /// Databases by name.
    pub databases: BTreeMap<String, Address>,
    /// Tasks by name.
    pub tasks: BTreeMap<String, Task>,
    /// The files that were read: the main file first, then the included ones in their order.
    pub sources: Vec<PathBuf>,
    /// What is no mistake in the files and yet seems wrong: a program that is not there, an include that matches nothing.
    pub warnings: Vec<Problem>,
}

impl Default for Config {
    fn default() -> Self {
        const GIGABYTE: u64 = 1_000_000_000;
        let keep = |days: u64| Keep { age: Duration::from_secs(days * 86_400), size: GIGABYTE };
        Config {
            state_dir: "/var/lib/daybook".into(),
            socket: "/run/daybook/control.sock".into(),
            execution: true,
            stop_timeout: Duration::from_secs(30),
            repair_every: Duration::from_secs(300),
            journal_keep: keep(30),
            history_keep: keep(90),
            outputs_keep: keep(30),
            log: Logs::default(),
            databases: BTreeMap::new(),
            tasks: BTreeMap::new(),
            sources: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// How much of something is kept; whichever bound is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// What is older goes.
    pub age: Duration,
    /// Bytes; beyond them the oldest goes.
    pub size: u64,
}

/// What the daemon says about itself, in the system's journal or on its standard error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logs {
    pub level: LogLevel,
    /// Levels of parts, by name, where they are not `level`.
    pub levels: BTreeMap<&'static str, LogLevel>,
    /// Read at start only.
    pub format: LogFormat,
}

/// The least important kind of line that is still written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// How a line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
