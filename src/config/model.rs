//! What a config says once it is read: plain values, all of them checked. Tasks are in `task`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::task::Task;

/// Everything that the config files say. [`Config::default`] is what an empty file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The folder of the journal, the history and the outputs. Read at start only.
    pub state_dir: PathBuf,
    /// The control socket. Read at start only.
    pub socket: PathBuf,
    /// `false`: this daemon takes jobs in and starts none.
    pub execution: bool,
    /// How long a stop waits for what is running.
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
    pub databases: BTreeMap<String, Database>,
    /// Tasks by name.
    pub tasks: BTreeMap<String, Task>,
    /// The files that were read: the main file first, then the included ones in their order.
    pub sources: Vec<PathBuf>,
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

/// Where a database is. Its address may hold a password, so it is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// The address itself.
    Url(String),
    /// A file that holds the address and nothing else. It is read when a connection is made, so
    /// that a new password needs no reload.
    UrlFile(PathBuf),
}

impl Database {
    /// Bytes of an address file.
    const FILE_BYTES_MAX: u64 = 64 * 1024;

    /// The address, read from its file if it is in one.
    ///
    /// # Errors
    /// If the file cannot be read, is empty, is not UTF-8 or is larger than 64 KiB.
    pub fn url(&self) -> io::Result<String> {
        let file = match self {
            Database::Url(url) => return Ok(url.clone()),
            Database::UrlFile(file) => file,
        };
        let mut text = String::new();
        std::fs::File::open(file)?.take(Self::FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > Self::FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an address file has at most 64 KiB"));
        }
        match text.trim() {
            "" => Err(io::Error::new(io::ErrorKind::InvalidData, "the address file is empty")),
            url => Ok(url.to_owned()),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Url(url) => {
                let scheme = url.split(':').next().unwrap_or_default();
                write!(f, "Url({scheme}:…)")
            }
            Database::UrlFile(file) => write!(f, "UrlFile({})", file.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_credentials() {
        let database = Database::Url("postgres://app:secret@db/app".into());
        assert_eq!(format!("{database:?}"), "Url(postgres:…)");
    }

    #[test]
    fn an_address_file_is_trimmed_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        std::fs::write(&file, "sqlite:///a.db\n").unwrap();
        assert_eq!(Database::UrlFile(file.clone()).url().unwrap(), "sqlite:///a.db");
        std::fs::write(&file, " \n").unwrap();
        assert_eq!(Database::UrlFile(file.clone()).url().unwrap_err().to_string(), "the address file is empty");
        std::fs::write(&file, "x".repeat(70_000)).unwrap();
        assert!(Database::UrlFile(file).url().unwrap_err().to_string().contains("64 KiB"));
    }
}
