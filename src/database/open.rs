//! Opening a connection and setting up its session: time-outs above all.

use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Executor, Row};

use super::connection::{Connection, Link};
use super::url::{self, Options};
use super::{Error, Kind, Timeouts};

/// How the daemon calls itself, where a server shows who is connected.
const APPLICATION_NAME: &str = "daybook";

/// Opens the database at `url` and sets up the session.
pub(super) async fn open(database: &str, url: &str, timeouts: &Timeouts) -> Result<Connection, Error> {
    let options = url::read(database, url)?;
    let kind = match &options {
        Options::Sqlite(options) => {
            refuse_missing(database, options.get_filename())?;
            Kind::Sqlite
        }
        Options::Postgres(_) => Kind::Postgres,
        Options::MySql(_) => Kind::MySql,
    };
    match tokio::time::timeout(timeouts.connect, link(options, timeouts)).await {
        Ok(Ok(link)) => Ok(Connection::new(database.to_owned(), link, timeouts.statement)),
        Ok(Err(error)) => Err(Error::connect(database, kind, &error)),
        Err(_) => Err(Error::no_answer(database, None, timeouts.connect)),
    }
}

fn refuse_missing(database: &str, path: &std::path::Path) -> Result<(), Error> {
    let problem = match std::fs::metadata(path) {
        Ok(found) if found.is_file() => return Ok(()),
        Ok(_) => "it is no file".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Error::NoFile { database: database.to_owned(), path: path.to_owned(), problem })
}

async fn link(options: Options, timeouts: &Timeouts) -> sqlx::Result<Link> {
    match options {
        // SQLite waits for locks by itself; how long a statement takes is bounded at our end only.
        Options::Sqlite(options) => {
            options.create_if_missing(false).busy_timeout(timeouts.lock).connect().await.map(Link::Sqlite)
        }
        Options::Postgres(options) => {
            let named = options.get_application_name().is_some();
            let options = if named { options } else { options.application_name(APPLICATION_NAME) };
            let mut connection = options.connect().await?;
            postgres(&mut connection, timeouts).await?;
            Ok(Link::Postgres(connection))
        }
        Options::MySql(options) => {
            let mut connection = options.connect().await?;
            mysql(&mut connection, timeouts).await?;
            Ok(Link::MySql(connection))
        }
    }
}

/// Set by statements and not as parameters of the start-up, which poolers such as pgbouncer refuse.
async fn postgres(connection: &mut PgConnection, timeouts: &Timeouts) -> sqlx::Result<()> {
    let (statement, lock) = (milliseconds(timeouts.statement), milliseconds(timeouts.lock));
    let sql = format!(
        "SET statement_timeout = {statement}; SET lock_timeout = {lock}; \
         SET idle_in_transaction_session_timeout = {statement}"
    );
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await?;
    // The server ends a statement when it sees that we are gone, and so frees its locks. Versions before 14 do not know it,
    // and some systems cannot; there a statement is bounded by its time alone.
    let sql = "SET client_connection_check_interval = 1000";
    match connection.execute(sqlx::raw_sql(sql)).await {
        Ok(_) | Err(sqlx::Error::Database(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn mysql(connection: &mut MySqlConnection, timeouts: &Timeouts) -> sqlx::Result<()> {
    let version: String = connection.fetch_one(sqlx::raw_sql("SELECT VERSION()")).await?.try_get_unchecked(0)?;
    let statement = match version.contains("MariaDB") {
        true => format!("max_statement_time = {}", timeouts.statement.as_secs_f64()),
        // MySQL bounds reading statements only; writing ones are bounded by their locks and given up at this end.
        false => format!("max_execution_time = {}", milliseconds(timeouts.statement)),
    };
    let lock = timeouts.lock.as_millis().div_ceil(1000).max(1);
    let sql = format!("SET SESSION {statement}, innodb_lock_wait_timeout = {lock}, lock_wait_timeout = {lock}");
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await?;
    connection.execute(sqlx::raw_sql("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")).await.map(drop)
}

/// At least 1: zero would mean no bound.
fn milliseconds(duration: Duration) -> u128 {
    duration.as_millis().clamp(1, i32::MAX as u128)
}
