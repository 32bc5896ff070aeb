//! Why a worker refused its settings or ended early. What a single file or user did wrong is no
//! error of the run: it is written to the output and counted in the result.

use std::io;
use std::path::PathBuf;

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
    /// The database is of a kind that this worker does not speak.
    #[error("use a database of the kind `{scheme}`: this worker speaks `sqlite` (sqlite:///path/to/file.db)")]
    Scheme { scheme: String },
    /// The url names no file that could be opened.
    #[error(
        "open database `{path}`: {problem}; correct the url of `[databases.{database}]` (a worker never creates a database)"
    )]
    NoDatabase { database: String, path: PathBuf, problem: String },
    /// The table is not there, or is a view.
    #[error("find table `{table}` in database `{database}`: {problem}; correct `table`")]
    NoTable { database: String, table: String, problem: String },
    /// A column is not there.
    #[error(
        "find column `{column}` in table `{table}` of database `{database}`: {problem}; correct `columns.{setting}`"
    )]
    NoColumn { database: String, table: String, column: String, setting: &'static str, problem: String },
    /// Somebody else held the database's lock all the time.
    #[error("{doing} in database `{database}`: it was locked by another process for {seconds} s")]
    Busy { database: String, doing: &'static str, seconds: u64 },
    /// The database said no.
    #[error("{doing} in database `{database}`{hint}: {source}")]
    Database { database: String, doing: &'static str, hint: &'static str, source: sqlx::Error },
    /// A key that can be neither paged through nor shown.
    #[error("page through `{column}` of table `{table}`: it holds a {kind}; a key is an integer, a text or a blob")]
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
