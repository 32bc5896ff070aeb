//! The table of users in an open database: reading pages, passivating a chunk, trying again. The statements are
//! `sql.rs`'s; what is done in which order, and when to stop, is `run.rs`'s.

use std::fmt;
use std::time::Duration;

use super::super::{Cancelled, Error};
use super::sql::Sql;
use super::statement::Statement;
use super::{PassivateUsers, plan, table};
use crate::core::time::Timestamp;
use crate::database::{self, Database, Kind, Retry, Row, Session, Timeouts, Value};

/// A user's key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key(pub(super) Value);

impl Key {
    #[cfg(test)]
    pub fn of(number: i64) -> Key {
        Key(Value::Integer(number))
    }
}

/// As it is written to the output: one line, whatever it holds.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Value::Integer(number) => number.fmt(f),
            Value::Text(text) => text.escape_debug().fmt(f),
            Value::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Value::Null | Value::Boolean(_) | Value::Real(_) => f.write_str("?"),
        }
    }
}

/// Rows that follow one another by their key: those behind `after`, up to `last`, where there are such bounds.
#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    pub after: Option<Key>,
    pub last: Option<Key>,
}

/// What a span holds.
#[derive(Debug)]
pub(super) struct Counts {
    pub rows: u64,
    /// Users who would be passivated.
    pub candidates: u64,
    /// Active users without a readable moment.
    pub unreadable: u64,
}

/// A user who is, or was, to be passivated, and when it was last seen (seconds since 1970).
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub key: Key,
    pub seen: i64,
    pub tenant: Option<String>,
}

/// The table of users in a database.
pub(super) struct Users<'a> {
    sql: Sql<'a>,
    session: Session,
    retry: Retry,
    cancelled: Cancelled,
}

impl<'a> Users<'a> {
    /// Opens the database and finds the table and its columns. Creates nothing.
    pub async fn open(
        settings: &'a PassivateUsers,
        database: &Database,
        (timeouts, retry): (Timeouts, Retry),
        cutoff: Timestamp,
        cancelled: Cancelled,
    ) -> Result<Self, Error> {
        let mut session = Session::new(database.clone(), timeouts);
        let mut failed = 0;
        let found = loop {
            let found = match session.connection().await {
                Ok(connection) => table::find(connection, settings).await,
                Err(error) => Err(error),
            };
            match found {
                Ok(found) => break found,
                Err(error) => wait(&mut session, &retry, &cancelled, &mut failed, error).await?,
            }
        };
        match found {
            Ok(table) => Ok(Users { sql: Sql { settings, table, cutoff }, session, retry, cancelled }),
            Err(error) => {
                session.close().await;
                Err(error)
            }
        }
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.session.close().await;
    }

    /// Whether reading in the order of the key takes a sort of the table for each page.
    pub fn sorts(&self) -> bool {
        !self.sql.table.key_is_indexed
    }

    /// All candidates, if an index leads to them and they are at most `most`; and how many more there would be if they
    /// had a key.
    pub async fn few(&mut self, most: usize) -> Result<Option<(Vec<Candidate>, u64)>, Error> {
        let statement = self.sql.all(most + 1);
        self.mind_the_index("off").await?;
        let found = if self.uses_index(&statement).await? {
            let rows = self.rows("look for users", &statement).await?;
            let is_few = rows.len() <= most;
            let (keyed, without): (Vec<Row>, Vec<Row>) =
                rows.into_iter().partition(|row| row.first().is_some_and(|key| *key != Value::Null));
            let candidates = || keyed.iter().map(|row| self.candidate(row)).collect::<Result<_, Error>>();
            is_few.then(candidates).transpose()?.map(|few| (few, without.len() as u64))
        } else {
            None
        };
        self.mind_the_index("on").await?;
        Ok(found)
    }

    /// PostgreSQL believes its statistics, which know nothing of what the last run has changed a minute ago.
    async fn mind_the_index(&mut self, scans: &str) -> Result<(), Error> {
        if self.sql.table.kind == Kind::Postgres {
            let mut statement = Statement::new(Kind::Postgres);
            statement.push(&format!(
                "SELECT set_config(name, '{scans}', false) FROM unnest(
                 ARRAY['enable_seqscan', 'enable_bitmapscan', 'enable_sort', 'jit']) AS name"
            ));
            self.rows("choose a plan", &statement).await?;
        }
        Ok(())
    }

    /// Whether the server finds the rows of a statement by their moments in an index.
    async fn uses_index(&mut self, statement: &Statement) -> Result<bool, Error> {
        let mut explain = statement.clone();
        explain.sql.insert_str(0, plan::explain(self.sql.table.kind));
        let plan = self.rows("explain a query", &explain).await?;
        Ok(plan::uses(self.sql.table.kind, &plan, &self.sql.settings.columns.last_login))
    }

    /// The next span of at most `rows_max` rows behind `after`, and what it holds.
    pub async fn page(&mut self, after: Option<&Key>, rows_max: u32) -> Result<(Span, Counts), Error> {
        let mut span = Span { after: after.cloned(), last: None };
        let end = self.sql.end_of_page(&span, rows_max);
        let rows = self.rows("look through users", &end).await?;
        span.last = rows.first().map(|row| self.key(row)).transpose()?;

        let counts = self.sql.counts(&span);
        let rows = self.rows("count users", &counts).await?;
        let count = |column| count(&rows, column);
        Ok((span, Counts { rows: count(0), candidates: count(1), unreadable: count(2) }))
    }

    /// How many would be candidates if they had a key. No page has them: nothing tells them apart.
    pub async fn without_key(&mut self) -> Result<u64, Error> {
        let statement = self.sql.without_key();
        Ok(count(&self.rows("count users", &statement).await?, 0))
    }

    /// At most `limit` users of a span who are to be passivated, in the order of their keys.
    pub async fn candidates(&mut self, span: &Span, limit: u32) -> Result<Vec<Candidate>, Error> {
        let statement = self.sql.candidates(span, limit);
        let rows = self.rows("look for users", &statement).await?;
        rows.iter().map(|row| self.candidate(row)).collect()
    }

    /// Passivates those of `chunk` who still are to be, in one short transaction, and returns them. Users whose rows
    /// somebody else has locked are left out.
    ///
    /// The rows are locked first, in the order of their keys, without waiting for those that somebody else has locked:
    /// who waits for nobody is no part of a deadlock, and a locked user is one who is just being used.
    /// The condition is checked again with the lock and once more by the change itself: a user who logged in
    /// since the chunk was read stays active.
    pub async fn passivate(&mut self, chunk: &[Candidate]) -> Result<Vec<Candidate>, Error> {
        let mut failed = 0;
        loop {
            match self.transaction(chunk).await {
                Ok(done) => return done,
                Err(error) => self.wait(&mut failed, error).await?,
            }
        }
    }

    /// Those of `users` who still are to be passivated.
    pub async fn still(&mut self, users: &[Candidate]) -> Result<Vec<Candidate>, Error> {
        let statement = self.sql.among(users);
        let rows = self.rows("look for users", &statement).await?;
        rows.iter().map(|row| self.candidate(row)).collect()
    }

    async fn transaction(&mut self, chunk: &[Candidate]) -> Result<Result<Vec<Candidate>, Error>, database::Error> {
        let locking = self.sql.lock(chunk);
        let connection = self.session.connection().await?;
        if self.sql.table.kind == Kind::Postgres {
            let rows = connection.rows("passivate users", &locking.sql, &locking.values).await?;
            return Ok(rows.iter().map(|row| self.candidate(row)).collect());
        }
        connection.begin().await?;
        let rows = connection.rows("lock users", &locking.sql, &locking.values).await?;
        let users: Result<Vec<Candidate>, Error> = rows.iter().map(|row| self.candidate(row)).collect();
        let Ok(users) = users else { return Ok(users) };
        let update = self.sql.update(&users);
        let connection = self.session.connection().await?;
        if users.is_empty() {
            connection.rollback().await?;
            return Ok(Ok(users));
        }
        let changed = connection.execute("passivate users", &update.sql, &update.values).await?;
        if changed != users.len() as u64 {
            connection.rollback().await?;
            let (table, wanted) = (self.sql.settings.table.clone(), users.len());
            return Ok(Err(Error::NotChanged { table, changed, wanted }));
        }
        connection.commit().await?;
        Ok(Ok(users))
    }

    fn candidate(&self, row: &Row) -> Result<Candidate, Error> {
        let seen = match row.get(1) {
            Some(Value::Integer(seen)) => *seen,
            _ => 0,
        };
        let tenant = match row.get(2) {
            Some(Value::Text(tenant)) => Some(tenant.clone()),
            _ => None,
        };
        Ok(Candidate { key: self.key(row)?, seen, tenant })
    }

    /// The key in a row's first column.
    fn key(&self, row: &Row) -> Result<Key, Error> {
        let kind = match row.first() {
            Some(key @ (Value::Integer(_) | Value::Text(_) | Value::Bytes(_))) => return Ok(Key(key.clone())),
            Some(Value::Real(_)) => "REAL",
            Some(Value::Boolean(_)) => "BOOLEAN",
            Some(Value::Null) | None => "NULL",
        };
        let (table, column) = (self.sql.settings.table.clone(), self.sql.settings.columns.id.clone());
        Err(Error::Key { table, column, kind: kind.to_owned() })
    }

    /// Runs a reading statement, again where it failed for a passing reason.
    async fn rows(&mut self, doing: &str, statement: &Statement) -> Result<Vec<Row>, Error> {
        let mut failed = 0;
        loop {
            let outcome = match self.session.connection().await {
                Ok(connection) => connection.rows(doing, &statement.sql, &statement.values).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(rows) => return Ok(rows),
                Err(error) => self.wait(&mut failed, error).await?,
            }
        }
    }

    async fn wait(&mut self, failed: &mut u32, error: database::Error) -> Result<(), Error> {
        let outcome = wait(&mut self.session, &self.retry, &self.cancelled, failed, error).await;
        outcome.map_err(|error| error.with_hint(" (check `active`, `set` and `where`)"))
    }

    /// Waits, unless cancelled: for users who are locked to be free again.
    pub async fn pause(&self, pause: Duration) {
        self.cancelled.pause(pause).await;
    }
}

/// The number in a column of the only row.
fn count(rows: &[Row], column: usize) -> u64 {
    match rows.first().and_then(|row| row.get(column)) {
        Some(Value::Integer(count)) => u64::try_from(*count).unwrap_or(0),
        _ => 0,
    }
}

/// Waits before the next try, or gives the error back: it will not pass, it has been tried often enough, or the run is
/// cancelled.
async fn wait(
    session: &mut Session,
    retry: &Retry,
    cancelled: &Cancelled,
    failed: &mut u32,
    error: database::Error,
) -> Result<(), Error> {
    let pause = session.failed(retry, failed, error)?;
    cancelled.pause(pause).await;
    if cancelled.is_set() { Err(Error::Cancelled { so_far: String::new() }) } else { Ok(()) }
}
