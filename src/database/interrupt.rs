//! Ends the statement that a connection runs, from outside of that connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::connection::Link;
use super::{Connection, Database, Error, Timeouts, Value};

/// SQLite's steps from one look at the flag to the next: far less than a millisecond.
const SQLITE_STEPS: i32 = 1000;
/// For the second connection: whoever asks for an end does not want to wait long for it.
const TIMEOUTS: Timeouts =
    Timeouts { connect: Duration::from_secs(5), statement: Duration::from_secs(5), lock: Duration::from_secs(1) };

/// Ends the statement that one connection runs; that statement then fails. May be used while its future is polled.
///
/// PostgreSQL cancels it and MySQL kills it (`KILL QUERY`), asked on a second connection of the same user. SQLite
/// stops at its next step, though not while it waits for another process's lock.
pub struct Interrupter {
    database: Database,
    how: How,
}

enum How {
    Sqlite(Arc<AtomicBool>),
    /// The number of the server's process.
    Postgres(i64),
    /// The number of the server's thread.
    MySql(i64),
}

impl Database {
    /// What interrupts the statements of a connection to this database.
    pub async fn interrupter(&self, connection: &mut Connection) -> Result<Interrupter, Error> {
        let how = match &mut connection.link {
            Link::Sqlite(link) => {
                let flag = Arc::new(AtomicBool::new(false));
                let seen = flag.clone();
                let set = link.lock_handle().await.map(|mut handle| {
                    handle.set_progress_handler(SQLITE_STEPS, move || !seen.load(Ordering::Relaxed));
                });
                set.map_err(|error| connection.error("prepare for an interrupt", &error))?;
                How::Sqlite(flag)
            }
            Link::Postgres(_) => How::Postgres(own_number(connection, "SELECT pg_backend_pid()").await?),
            Link::MySql(_) => How::MySql(own_number(connection, "SELECT CONNECTION_ID()").await?),
        };
        Ok(Interrupter { database: self.clone(), how })
    }
}

async fn own_number(connection: &mut Connection, sql: &str) -> Result<i64, Error> {
    let doing = "ask for the number of the connection";
    match connection.rows(doing, sql, &[]).await?.first().and_then(|row| row.first()) {
        Some(Value::Integer(number)) => Ok(*number),
        _ => Err(connection.refused(doing, "the answer is no number")),
    }
}

impl Interrupter {
    /// Asks for the end of the statement that runs; it has not ended yet when this returns. Where none runs, it has no
    /// effect on a server, and on SQLite it ends the next one.
    pub async fn interrupt(&self) -> Result<(), Error> {
        let sql = match &self.how {
            How::Sqlite(flag) => {
                flag.store(true, Ordering::Relaxed);
                return Ok(());
            }
            How::Postgres(number) => format!("SELECT pg_cancel_backend({number})"),
            How::MySql(number) => format!("KILL QUERY {number}"),
        };
        let mut second = self.database.connect(&TIMEOUTS).await?;
        let done = second.command("interrupt a statement", &sql).await;
        second.close().await;
        done.map(drop)
    }
}
