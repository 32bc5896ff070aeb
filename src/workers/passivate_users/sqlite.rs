//! All that `passivate-users` says to SQLite: finding the table, reading pages, passivating a chunk.
//! What is done in which order, and when to stop, is `run.rs`'s.
//!
//! A moment (last login, creation) may be
//! - a text `YYYY-MM-DD`, or that with `HH:MM`, `HH:MM:SS` or `HH:MM:SS.SSS` behind a space or `T`, and `Z` or an
//!   offset `+HH:MM` at the end: RFC 3339 and what SQLite's own `datetime()` gives. Without offset it is UTC;
//! - an integer of 1 to 99,999,999,999: seconds since 1970; from 253,402,300,800 (past the year 9999 in seconds, 1978 in
//!   milliseconds) to 253,402,300,799,999 milliseconds. A text of digits only is taken as such an integer;
//! - a real number of seconds from 100,000,000 (1973) on; smaller ones may be Julian days.
//!
//! All else, as 0, -1, '' or 'never', is unreadable, and its user is left alone: who writes such a thing
//! may mean anything by it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, Sqlite, TypeInfo, ValueRef};

use super::super::error::known_names;
use super::super::{Cancelled, Error};
use super::users::{Candidate, Key, Page};
use super::{PassivateUsers, Value};

/// How long SQLite itself waits for a lock.
const BUSY_TIMEOUT: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 2000 });
/// How often a statement that found the database locked is tried in all.
const TRIES_MAX: u32 = 15;
/// The wait between two tries, so that a writer that waits as we do gets its turn.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// The table of users in an open database.
pub(super) struct Users<'a> {
    settings: &'a PassivateUsers,
    connection: SqliteConnection,
    /// Seconds since 1970; who was seen before it is passivated.
    cutoff: i64,
    cancelled: Cancelled,
}

/// Tries again while the database is locked. A macro, because each try borrows the connection anew.
macro_rules! patiently {
    ($users:ident, $doing:literal, $try:expr) => {{
        let mut tries = 1;
        loop {
            match $try {
                Ok(value) => break Ok(value),
                Err(error) if is_busy(&error) => {
                    if tries == TRIES_MAX || $users.cancelled.is_set() {
                        break Err($users.busy($doing));
                    }
                    tries += 1;
                    $users.cancelled.pause(BUSY_PAUSE).await;
                }
                Err(error) => break Err($users.error($doing, error)),
            }
        }
    }};
}

impl<'a> Users<'a> {
    /// Opens the database and finds the table and its columns. Creates nothing.
    pub async fn open(
        settings: &'a PassivateUsers,
        url: &str,
        cutoff: i64,
        cancelled: Cancelled,
    ) -> Result<Self, Error> {
        let database = settings.database.clone();
        let failed = |doing| {
            let database = database.clone();
            move |source| Error::Database { database, doing, hint: "", source }
        };
        let options = SqliteConnectOptions::from_str(url)
            .map_err(failed("read the url"))?
            .create_if_missing(false)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let path = PathBuf::from(options.get_filename());
        let problem = match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => None,
            Ok(_) => Some("it is no file".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem {
            return Err(Error::NoDatabase { database, path, problem });
        }
        let connection = options.connect().await.map_err(failed("open the file"))?;
        let mut users = Users { settings, connection, cutoff, cancelled };
        match users.find_columns().await {
            Ok(()) => Ok(users),
            Err(error) => {
                users.close().await;
                Err(error)
            }
        }
    }

    /// Closes the connection. What was to be written is; so a failure changes nothing any more.
    pub async fn close(self) {
        if let Err(error) = self.connection.close().await {
            tracing::warn!(database = self.settings.database, %error, "failed to close a database, its work is done");
        }
    }

    async fn find_columns(&mut self) -> Result<(), Error> {
        let table = &self.settings.table;
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
        let tables = patiently!(self, "list the tables", names(&mut self.connection, sql, None).await)?;
        if !tables.iter().any(|name| name.eq_ignore_ascii_case(table)) {
            let (database, table) = (self.settings.database.clone(), table.clone());
            return Err(Error::NoTable { database, problem: known_names(&table, &tables), table });
        }
        let sql = "SELECT name FROM pragma_table_xinfo(?1)";
        let columns = patiently!(self, "list the columns", names(&mut self.connection, sql, Some(table)).await)?;
        let wanted = &self.settings.columns;
        let wanted = [
            ("id", &wanted.id),
            ("active", &wanted.active),
            ("last_login", &wanted.last_login),
            ("created", &wanted.created),
        ];
        for (setting, column) in wanted {
            let hidden = setting == "id" && column.eq_ignore_ascii_case("rowid");
            if !hidden && !columns.iter().any(|name| name.eq_ignore_ascii_case(column)) {
                return Err(Error::NoColumn {
                    database: self.settings.database.clone(),
                    table: table.clone(),
                    column: column.clone(),
                    setting,
                    problem: known_names(column, &columns),
                });
            }
        }
        Ok(())
    }

    /// Whether reading in the order of the key takes a sort of the table for each page.
    pub async fn sorts(&mut self) -> Result<bool, Error> {
        let (table, key) = (self.table(), self.column(&self.settings.columns.id));
        let sql =
            format!("EXPLAIN QUERY PLAN SELECT {key} FROM {table} WHERE {key} IS NOT NULL ORDER BY {key} LIMIT 9");
        let plan = patiently!(self, "explain a query", rows(&mut self.connection, &sql, |query| query).await)?;
        Ok(plan.iter().any(|row| row.try_get::<String, _>("detail").is_ok_and(|detail| detail.contains("TEMP B-TREE"))))
    }

    /// Looks through the next `rows_max` rows behind `after`; none when there are no more.
    pub async fn page(&mut self, after: Option<&Key>, rows_max: u32) -> Result<Option<Page>, Error> {
        let (table, key) = (self.table(), self.column(&self.settings.columns.id));
        let (seen, eligible) = (self.seen(), self.eligible());
        let from = if after.is_some() { format!("{key} > ?4") } else { format!("{key} IS NOT NULL") };
        let sql = format!(
            "SELECT max(k) AS last, count(*) AS rows, total(e AND s < ?2) AS candidates, total(e AND s IS NULL) AS unreadable
             FROM (SELECT {key} AS k, {seen} AS s, ({eligible}) AS e FROM {table} WHERE {from} ORDER BY {key} LIMIT ?3)"
        );
        let (active, cutoff) = (&self.settings.values.active, self.cutoff);
        let bind = |query| {
            let query = bind_value(query, active).bind(cutoff).bind(rows_max);
            after.into_iter().fold(query, bind_key)
        };
        let rows = patiently!(self, "look through users", rows(&mut self.connection, &sql, bind).await)?;
        let Some(row) = rows.first() else { return Ok(None) };
        let read = || -> sqlx::Result<(i64, f64, f64)> { Ok((row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)) };
        let (count, candidates, unreadable) = read().map_err(|error| self.error("look through users", error))?;
        if count == 0 {
            return Ok(None);
        }
        // `total` gives a real number, exact far beyond what a page holds.
        let (rows, candidates, unreadable) = (count as u64, candidates as u64, unreadable as u64);
        Ok(Some(Page { last: self.key(row)?, rows, candidates, unreadable }))
    }

    /// At most `limit` users behind `after` and up to `last` who are to be passivated.
    pub async fn candidates(&mut self, after: Option<&Key>, last: &Key, limit: u32) -> Result<Vec<Candidate>, Error> {
        let (table, key) = (self.table(), self.column(&self.settings.columns.id));
        let (seen, eligible) = (self.seen(), self.eligible());
        let from = if after.is_some() { format!("{key} > ?5") } else { format!("{key} IS NOT NULL") };
        let sql = format!(
            "SELECT {key}, {seen} AS s FROM {table} WHERE {from} AND {key} <= ?4 AND {eligible} AND {seen} < ?2
             ORDER BY {key} LIMIT ?3"
        );
        let (active, cutoff) = (&self.settings.values.active, self.cutoff);
        let bind = |query| {
            let query = bind_key(bind_value(query, active).bind(cutoff).bind(limit), last);
            after.into_iter().fold(query, bind_key)
        };
        let rows = patiently!(self, "look for users", rows(&mut self.connection, &sql, bind).await)?;
        rows.iter().map(|row| self.candidate(row)).collect()
    }

    /// Passivates those of `chunk` who still are to be, in one short transaction, and returns them.
    pub async fn passivate(&mut self, chunk: &[Candidate]) -> Result<Vec<Candidate>, Error> {
        let (table, key) = (self.table(), self.column(&self.settings.columns.id));
        let (seen, eligible, active) = (self.seen(), self.eligible(), quoted(&self.settings.columns.active));
        let keys: Vec<String> = (0..chunk.len()).map(|i| format!("?{}", i + 4)).collect();
        let keys = keys.join(",");
        // The condition stands in here again: a user who logged in since the chunk was read stays active.
        let sql = format!(
            "UPDATE {table} SET {active} = ?3 WHERE {key} IN ({keys}) AND {eligible} AND {seen} < ?2
             RETURNING {key}, {seen} AS s"
        );
        let (values, cutoff) = (&self.settings.values, self.cutoff);
        let bind = |query| {
            let query = bind_value(bind_value(query, &values.active).bind(cutoff), &values.inactive);
            chunk.iter().fold(query, |query, user| bind_key(query, &user.key))
        };
        let rows = patiently!(self, "passivate users", transaction(&mut self.connection, &sql, bind).await)?;
        rows.iter().map(|row| self.candidate(row)).collect()
    }

    fn candidate(&self, row: &SqliteRow) -> Result<Candidate, Error> {
        let seen = row.try_get(1).map_err(|error| self.error("read a moment", error))?;
        Ok(Candidate { key: self.key(row)?, seen })
    }

    /// The key in a row's first column.
    fn key(&self, row: &SqliteRow) -> Result<Key, Error> {
        let failed = |error| self.error("read a key", error);
        let kind = row.try_get_raw(0).map_err(failed)?.type_info().name().to_owned();
        match kind.as_str() {
            "INTEGER" => row.try_get_unchecked(0).map(Key::Integer).map_err(failed),
            "TEXT" => row.try_get_unchecked(0).map(Key::Text).map_err(failed),
            "BLOB" => row.try_get_unchecked(0).map(Key::Bytes).map_err(failed),
            _ => {
                let (table, column) = (self.settings.table.clone(), self.settings.columns.id.clone());
                Err(Error::Key { table, column, kind })
            }
        }
    }

    fn table(&self) -> String {
        quoted(&self.settings.table)
    }

    /// A column with its table: SQLite takes a lone quoted name that it does not know for a text.
    fn column(&self, name: &str) -> String {
        format!("{}.{}", self.table(), quoted(name))
    }

    /// When the user was last seen, in seconds since 1970, or NULL where that cannot be read.
    fn seen(&self) -> String {
        let (login, created) =
            (self.column(&self.settings.columns.last_login), self.column(&self.settings.columns.created));
        format!("(CASE WHEN {login} IS NOT NULL THEN {} ELSE {} END)", moment(&login), moment(&created))
    }

    /// Active (`?1`) and among those that `where` names; the line end closes a comment at its end.
    fn eligible(&self) -> String {
        let active = self.column(&self.settings.columns.active);
        match &self.settings.condition {
            Some(condition) => format!("{active} = ?1 AND ({condition}\n)"),
            None => format!("{active} = ?1"),
        }
    }

    fn error(&self, doing: &'static str, source: sqlx::Error) -> Error {
        let hint = if self.settings.condition.is_some() { " (check `where`)" } else { "" };
        Error::Database { database: self.settings.database.clone(), doing, hint, source }
    }

    fn busy(&self, doing: &'static str) -> Error {
        let seconds = ((BUSY_TIMEOUT + BUSY_PAUSE) * TRIES_MAX).as_secs();
        Error::Busy { database: self.settings.database.clone(), doing, seconds }
    }
}

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

async fn rows<'q>(
    connection: &mut SqliteConnection,
    sql: &str,
    bind: impl Fn(Statement<'q>) -> Statement<'q>,
) -> sqlx::Result<Vec<SqliteRow>> {
    bind(sqlx::query(AssertSqlSafe(sql.to_owned()))).fetch_all(connection).await
}

/// Runs a statement in a transaction that takes the write lock at once: one that began with reading
/// could be refused half-way, and without waiting, because somebody else wrote meanwhile.
async fn transaction<'q>(
    connection: &mut SqliteConnection,
    sql: &str,
    bind: impl Fn(Statement<'q>) -> Statement<'q>,
) -> sqlx::Result<Vec<SqliteRow>> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let changed = rows(&mut transaction, sql, bind).await?;
    transaction.commit().await?;
    Ok(changed)
}

async fn names(connection: &mut SqliteConnection, sql: &'static str, of: Option<&str>) -> sqlx::Result<Vec<String>> {
    let query = of.into_iter().fold(sqlx::query(sql), |query, of| query.bind(of.to_owned()));
    query.fetch_all(connection).await?.iter().map(|row| row.try_get(0)).collect()
}

fn bind_value<'q>(query: Statement<'q>, value: &Value) -> Statement<'q> {
    match value {
        Value::Boolean(value) => query.bind(i64::from(*value)),
        Value::Integer(value) => query.bind(*value),
        Value::Text(value) => query.bind(value.clone()),
    }
}

fn bind_key<'q>(query: Statement<'q>, key: &Key) -> Statement<'q> {
    match key {
        Key::Integer(key) => query.bind(*key),
        Key::Text(key) => query.bind(key.clone()),
        Key::Bytes(key) => query.bind(key.clone()),
    }
}

/// A name as an identifier, whatever it holds.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Seconds since 1970 of a column's value, or NULL; see the head of this file.
fn moment(column: &str) -> String {
    let number = |number: &str| {
        format!(
            "CASE WHEN {number} BETWEEN 1 AND 99999999999 THEN {number}
             WHEN {number} BETWEEN 253402300800 AND 253402300799999 THEN {number} / 1000 END"
        )
    };
    let digits = number(&format!("CAST({column} AS INTEGER)"));
    format!(
        "CASE typeof({column}) WHEN 'integer' THEN {} WHEN 'real' THEN
         CASE WHEN {column} BETWEEN 1e8 AND 99999999999.0 THEN CAST({column} AS INTEGER) END WHEN 'text' THEN
         CASE WHEN {column} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' THEN unixepoch({column})
         WHEN {column} <> '' AND length({column}) <= 15 AND {column} NOT GLOB '*[^0-9]*' THEN {digits} END END",
        number(column)
    )
}

/// Whether the database was locked, in any of SQLite's ways of saying so.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    // The low byte is the plain code: 5 is SQLITE_BUSY, 6 is SQLITE_LOCKED.
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| matches!(code & 0xff, 5 | 6))
}
