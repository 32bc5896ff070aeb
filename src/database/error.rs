//! What went wrong with a database, and whether it may go right a moment later.

use std::path::PathBuf;
use std::time::Duration;

use super::Kind;

/// Why a database could not be opened or a statement failed. Names the database by its name in the config; holds
/// neither url nor password, in none of its forms.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The url could not be had.
    #[error("read the address of database `{database}`: {problem}")]
    Address { database: String, problem: String },
    /// The url names no kind of database that is known.
    #[error(
        "use database `{database}`: its url must begin with `sqlite:`, `postgres:` or `mysql:` (the last for MariaDB too)"
    )]
    Kind { database: String },
    /// The url cannot be read.
    #[error("read the url of database `{database}`: {}", how_to_write(*.kind))]
    Url { database: String, kind: Kind },
    /// The url has a parameter that nobody knows.
    #[error(
        "read the url of database `{database}`: it has a parameter that is not known (there are: {known}); \
         in a password, write `?`, `&`, `/`, `#`, `@` and `%` percent-encoded"
    )]
    Parameter { database: String, known: String },
    /// The url names no file that could be opened.
    #[error("open database `{database}` at `{path}`: {problem}; correct its url (a database is never created)")]
    NoFile { database: String, path: PathBuf, problem: String },
    /// No connection, or none with the session as it must be.
    #[error("connect to database `{database}`: {problem}")]
    Connect { database: String, problem: String, cause: Cause },
    /// A statement failed.
    #[error("{doing} in database `{database}`: {problem}")]
    Statement { database: String, doing: String, problem: String, cause: Cause },
}

fn how_to_write(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "it is written `sqlite:///path/to/file.db`",
        Kind::Postgres => {
            "it is written `postgres://user:password@host:5432/name`, with all but letters and digits of user and password percent-encoded"
        }
        Kind::MySql => {
            "it is written `mysql://user:password@host:3306/name`, with all but letters and digits of user and password percent-encoded"
        }
    }
}

/// Why a statement or a connection failed, as far as it decides whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Two transactions waited for each other, or could not be put in an order; this one was rolled back.
    Deadlock,
    /// A lock was not to be had in time.
    Locked,
    /// No connection: refused, lost, the name not found, the server starting, stopping or full.
    Lost,
    /// The statement took longer than it may.
    Slow,
    /// All else: a wrong password, no such table. The same again would fail the same way.
    Refused,
}

impl Cause {
    /// Whether the same may succeed a moment later.
    pub fn is_retryable(self) -> bool {
        match self {
            Cause::Deadlock | Cause::Locked | Cause::Lost => true,
            Cause::Slow | Cause::Refused => false,
        }
    }
}

impl Error {
    /// Why, as far as it decides whether to try again.
    pub fn cause(&self) -> Cause {
        match self {
            Error::Connect { cause, .. } | Error::Statement { cause, .. } => *cause,
            Error::Address { .. }
            | Error::Kind { .. }
            | Error::Url { .. }
            | Error::Parameter { .. }
            | Error::NoFile { .. } => Cause::Refused,
        }
    }

    /// Whether the same may succeed a moment later.
    pub fn is_retryable(&self) -> bool {
        self.cause().is_retryable()
    }

    /// `doing` is what was tried, in words: "list the tables".
    pub(super) fn statement(database: &str, kind: Kind, doing: &str, error: &sqlx::Error) -> Error {
        let (problem, cause) = told(kind, error);
        Error::Statement { database: database.to_owned(), doing: doing.to_owned(), problem, cause }
    }

    pub(super) fn connect(database: &str, kind: Kind, error: &sqlx::Error) -> Error {
        let (problem, cause) = told(kind, error);
        Error::Connect { database: database.to_owned(), problem, cause }
    }

    /// Says how often it was tried, if that was more than once.
    pub(super) fn after(mut self, tries: u32) -> Error {
        if let Error::Connect { problem, .. } | Error::Statement { problem, .. } = &mut self
            && tries > 1
        {
            problem.push_str(&format!(" (tried {tries} times)"));
        }
        self
    }

    pub(super) fn no_answer(database: &str, doing: Option<&str>, after: Duration) -> Error {
        let (database, cause) = (database.to_owned(), Cause::Lost);
        let problem = format!("no answer within {}", humantime::format_duration(after));
        match doing {
            None => Error::Connect { database, problem, cause },
            Some(doing) => Error::Statement { database, doing: doing.to_owned(), problem, cause },
        }
    }
}

/// What an error of sqlx says, without its wrapping, and what it means.
fn told(kind: Kind, error: &sqlx::Error) -> (String, Cause) {
    match error {
        sqlx::Error::Database(error) => {
            let cause = match kind {
                Kind::Sqlite => error.code().map_or(Cause::Refused, |code| sqlite(&code)),
                Kind::Postgres => error.code().map_or(Cause::Refused, |code| postgres(&code)),
                Kind::MySql => {
                    let error = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>();
                    error.map_or(Cause::Refused, |error| mysql(error.number()))
                }
            };
            (error.message().to_owned(), cause)
        }
        sqlx::Error::Io(error) => (error.to_string(), Cause::Lost),
        sqlx::Error::WorkerCrashed => (error.to_string(), Cause::Lost),
        // sqlx's reason may quote what was configured, and with it the url.
        sqlx::Error::Configuration(_) => ("it cannot be connected to as its url says".to_owned(), Cause::Refused),
        other => (other.to_string(), Cause::Refused),
    }
}

/// The low byte of an extended code is the plain one: 5 is SQLITE_BUSY, 6 is SQLITE_LOCKED.
fn sqlite(code: &str) -> Cause {
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(5 | 6) => Cause::Locked,
        _ => Cause::Refused,
    }
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn postgres(code: &str) -> Cause {
    match code {
        "40001" | "40P01" => Cause::Deadlock,
        "55P03" => Cause::Locked,
        "57014" => Cause::Slow,
        // Shutting down, crashed, starting up, idle for too long; too many connections.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300" => Cause::Lost,
        code if code.starts_with("08") => Cause::Lost,
        _ => Cause::Refused,
    }
}

/// By the numbers that MySQL and MariaDB share, and the few that only one of them has.
fn mysql(number: u16) -> Cause {
    match number {
        // A deadlock; MariaDB's "record has changed since last read".
        1213 | 1020 => Cause::Deadlock,
        1205 | 3572 => Cause::Locked,
        // MariaDB's max_statement_time, MySQL's max_execution_time.
        1969 | 3024 => Cause::Slow,
        // Too many connections, of all or of this user; shutting down; killed; the network; idle for too long.
        1040 | 1203 | 1053 | 1152..=1161 | 1184 | 1317 | 1927 | 4031 => Cause::Lost,
        _ => Cause::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_apart() {
        assert_eq!((sqlite("5"), sqlite("517"), sqlite("1")), (Cause::Locked, Cause::Locked, Cause::Refused));
        assert_eq!((postgres("40P01"), postgres("55P03")), (Cause::Deadlock, Cause::Locked));
        assert_eq!((postgres("57014"), postgres("08006")), (Cause::Slow, Cause::Lost));
        assert_eq!((postgres("28P01"), postgres("42P01")), (Cause::Refused, Cause::Refused));
        assert_eq!((mysql(1213), mysql(1205), mysql(1969)), (Cause::Deadlock, Cause::Locked, Cause::Slow));
        assert_eq!((mysql(1053), mysql(1045)), (Cause::Lost, Cause::Refused));
        assert!(!Cause::Slow.is_retryable() && !Cause::Refused.is_retryable() && Cause::Lost.is_retryable());
    }
}
