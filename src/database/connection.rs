//! An open connection: statements with values, transactions, each within its time.

use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use super::value::{Readable, bound};
use super::{Cause, Error, Kind, Row, Value};

/// What a server gets beyond the time of a statement to say itself that it was too long.
const GRACE: Duration = Duration::from_secs(5);

/// The connection underneath.
pub(super) enum Link {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
    MySql(MySqlConnection),
}

/// An open connection to a named database.
///
/// After an error, and when a call's future was dropped, it is to be dropped as well: that ends an open
/// transaction with a rollback. Where the server does not end a statement in time (a dead network; SQLite, which has
/// no such bound; writing ones on MySQL), the call ends some seconds later with [`super::Cause::Lost`].
pub struct Connection {
    database: String,
    pub(super) link: Link,
    /// A statement that is not over then is given up.
    given_up_after: Duration,
}

/// Runs an expression on the connection underneath, whatever its kind.
macro_rules! on {
    ($connection:ident, $link:ident, $DB:ident => $future:expr) => {
        match &mut $connection.link {
            Link::Sqlite($link) => {
                type $DB = sqlx::Sqlite;
                $future
            }
            Link::Postgres($link) => {
                type $DB = sqlx::Postgres;
                $future
            }
            Link::MySql($link) => {
                type $DB = sqlx::MySql;
                $future
            }
        }
    };
}

impl Connection {
    pub(super) fn new(database: String, link: Link, statement: Duration) -> Connection {
        Connection { database, link, given_up_after: statement.saturating_add(GRACE) }
    }

    /// What speaks at the other end.
    pub fn kind(&self) -> Kind {
        match self.link {
            Link::Sqlite(_) => Kind::Sqlite,
            Link::Postgres(_) => Kind::Postgres,
            Link::MySql(_) => Kind::MySql,
        }
    }

    /// The database's name in the config.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Runs a statement and says how many rows it changed. `doing` is what it does, in words, for an error: "rebuild
    /// the index". Parameters are written `$1` for PostgreSQL, `?` for MySQL, either for SQLite.
    pub async fn execute(&mut self, doing: &str, sql: &str, values: &[Value]) -> Result<u64, Error> {
        let keep = self.keeps_statements();
        let run = async {
            on!(self, link, DB => {
                let query = bound::<DB>(sql, values).persistent(keep);
                query.execute(link).await.map(|done| done.rows_affected())
            })
        };
        match tokio::time::timeout(self.given_up_after, run).await {
            Ok(outcome) => outcome.map_err(|error| self.error(doing, &error)),
            Err(_) => Err(self.no_answer(doing)),
        }
    }

    /// Runs a statement and returns its rows, all of them: the statement itself bounds how many they are.
    pub async fn rows(&mut self, doing: &str, sql: &str, values: &[Value]) -> Result<Vec<Row>, Error> {
        let keep = self.keeps_statements();
        let run = async {
            on!(self, link, DB => {
                let query = bound::<DB>(sql, values).persistent(keep);
                query.fetch_all(link).await.and_then(|rows| rows.iter().map(row::<DB>).collect::<sqlx::Result<Vec<Row>>>())
            })
        };
        match tokio::time::timeout(self.given_up_after, run).await {
            Ok(outcome) => outcome.map_err(|error| self.error(doing, &error)),
            Err(_) => Err(self.no_answer(doing)),
        }
    }

    /// Runs a statement as plain text, not prepared: what servers do not prepare, such as `VACUUM` or `BEGIN`.
    pub async fn command(&mut self, doing: &str, sql: &str) -> Result<u64, Error> {
        let run = async {
            on!(self, link, DB => {
                let _: Option<DB> = None;
                let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(link).await;
                done.map(|done| done.rows_affected())
            })
        };
        match tokio::time::timeout(self.given_up_after, run).await {
            Ok(outcome) => outcome.map_err(|error| self.error(doing, &error)),
            Err(_) => Err(self.no_answer(doing)),
        }
    }

    /// Begins a transaction; see the head of this module for what kind of one.
    pub async fn begin(&mut self) -> Result<(), Error> {
        let sql = match self.link {
            // One that began with reading could be refused half-way, because somebody else wrote meanwhile.
            Link::Sqlite(_) => "BEGIN IMMEDIATE",
            Link::Postgres(_) => "BEGIN ISOLATION LEVEL READ COMMITTED",
            // Of the isolation level that the session was set up with.
            Link::MySql(_) => "START TRANSACTION",
        };
        self.command("begin a transaction", sql).await.map(drop)
    }

    /// Commits the transaction.
    pub async fn commit(&mut self) -> Result<(), Error> {
        self.command("commit a transaction", "COMMIT").await.map(drop)
    }

    /// Rolls the transaction back.
    pub async fn rollback(&mut self) -> Result<(), Error> {
        self.command("roll a transaction back", "ROLLBACK").await.map(drop)
    }

    /// Says goodbye to the server. What was committed is; so a failure changes nothing any more.
    pub async fn close(self) {
        let closed = async {
            match self.link {
                Link::Sqlite(link) => link.close().await,
                Link::Postgres(link) => link.close().await,
                Link::MySql(link) => link.close().await,
            }
        };
        if !matches!(tokio::time::timeout(GRACE, closed).await, Ok(Ok(()))) {
            tracing::debug!(database = self.database, "a connection was closed without a goodbye");
        }
    }

    /// An error of a statement that was done, but answered that it failed.
    pub fn refused(&self, doing: &str, problem: &str) -> Error {
        self.failed(doing, problem, Cause::Refused)
    }

    /// An error of a statement that was interrupted.
    pub fn interrupted(&self, doing: &str) -> Error {
        self.failed(doing, "it was interrupted", Cause::Slow)
    }

    fn failed(&self, doing: &str, problem: &str, cause: Cause) -> Error {
        let (database, doing, problem) = (self.database.clone(), doing.to_owned(), problem.to_owned());
        Error::Statement { database, doing, problem, cause }
    }

    /// Whether prepared statements are kept for the next time. On MySQL they are: there, sqlx closes one that is not by a
    /// packet that nobody answers, and as sqlx leaves Nagle's algorithm on, whatever is sent next waits for 40 ms. On
    /// PostgreSQL they are not, as a kept one may be planned without a look at its values, and poolers lose it.
    pub(super) fn keeps_statements(&self) -> bool {
        self.kind() == Kind::MySql
    }

    pub(super) fn error(&self, doing: &str, error: &sqlx::Error) -> Error {
        Error::statement(&self.database, self.kind(), doing, error)
    }

    fn no_answer(&self, doing: &str) -> Error {
        Error::no_answer(&self.database, Some(doing), self.given_up_after)
    }
}

pub(super) fn row<DB: Readable>(row: &DB::Row) -> sqlx::Result<Row> {
    use sqlx::Row as _;
    (0..row.len()).map(|column| DB::value(row, column)).collect()
}
