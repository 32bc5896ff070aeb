//! Why a worker refused its settings or ended early. What a single file or user did wrong is no
//! error of the run: it is written to the output and counted in the result.

use std::io;

use crate::database;

/// Why a worker refused its settings or ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value in the config that cannot be used; known before anything runs.
    #[error("use `{key} = {value}`: {problem}")]
    Setting { key: &'static str, value: String, problem: String },
    /// The job's arguments cannot be used.
    #[error("use the job's arguments: {problem}")]
    Argument { problem: String },
    /// Asked to end; the next run goes on from here.
    #[error("finish: cancelled, {so_far}; the next run goes on from there")]
    Cancelled { so_far: String },
    /// The table is not there, or is a view.
    #[error("find table `{table}` in database `{database}`: {problem}; correct `table`")]
    NoTable { database: String, table: String, problem: String },
    /// A column is not there.
    #[error(
        "find column `{column}` in table `{table}` of database `{database}`: {problem}; correct `columns.{setting}`"
    )]
    NoColumn { database: String, table: String, column: String, setting: &'static str, problem: String },
    /// A column of a type that holds no moments.
    #[error(
        "read moments from `{column}` of table `{table}`: it is of the type `{kind}`; it must be a timestamp, a datetime or a date"
    )]
    Moments { table: String, column: String, kind: String },
    /// Users were found and locked, and not all of them were changed.
    #[error(
        "change {wanted} users of table `{table}`: only {changed} were changed; look for a trigger or a rule that interferes"
    )]
    NotChanged { table: String, changed: u64, wanted: usize },
    /// The database said no, or could not be reached.
    #[error("{source}{hint}")]
    Database { hint: &'static str, source: database::Error },
    /// What a query gave cannot be the items of a batch.
    #[error("read items from database `{database}`: {problem}")]
    Items { database: String, problem: String },
    /// A server did not do what it was called for, or could not be reached. `call` is the method and the host.
    #[error("call `{call}`: {problem}")]
    Call { call: String, problem: String },
    /// A key that can be neither paged through nor shown.
    #[error(
        "page through `{column}` of table `{table}`: it holds a {kind}; a key is an integer, a text, a uuid or bytes"
    )]
    Key { table: String, column: String, kind: String },
    /// A folder in the literal part of a path is a symbolic link, which nobody but the operator may decide to follow.
    #[error("clean `{pattern}`: `{folder}` is a symbolic link or no folder; write the path that it leads to")]
    Link { pattern: String, folder: String },
    /// It cannot be known which files are being written to.
    #[error("tell which files are open for writing: {source}; they are not asked for with `open_files = \"include\"`")]
    OpenFiles { source: io::Error },
    /// A thread of the run could not be had, or panicked.
    #[error("run a part of the work on a thread: {0}")]
    Thread(io::Error),
}

impl Error {
    /// Whether the run ended because it was asked to.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Error::Cancelled { .. })
    }

    /// Says where to look for the mistake, if the database refused a statement that the config has a part in.
    pub(super) fn with_hint(self, hint: &'static str) -> Error {
        match self {
            Error::Database { source, .. } if source.cause() == database::Cause::Refused => {
                Error::Database { hint, source }
            }
            other => other,
        }
    }
}

impl From<database::Error> for Error {
    fn from(source: database::Error) -> Error {
        Error::Database { hint: "", source }
    }
}

/// ` (did you mean ...)` for the known name nearest to `name`, or the known names if none is near.
pub(super) fn known_names(name: &str, known: &[String]) -> String {
    const SHOWN_MAX: usize = 20;
    let nearest = known.iter().map(|known| (strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase()), known));
    match nearest.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((likeness, nearest)) if likeness > 0.8 => format!("it does not exist (nearest: `{nearest}`)"),
        Some(_) => {
            let more = if known.len() > SHOWN_MAX { ", ..." } else { "" };
            let shown: Vec<String> = known.iter().take(SHOWN_MAX).map(|known| format!("`{known}`")).collect();
            format!("it does not exist (there are: {}{more})", shown.join(", "))
        }
        None => "it does not exist (there are none)".into(),
    }
}
