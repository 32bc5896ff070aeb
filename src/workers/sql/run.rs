//! One run: connect, then each statement in turn, in one transaction or on its own.
//!
//! A run that is cancelled or timed out ends its statement at the server, from a second connection, and waits a moment
//! for that end, so that nothing of it goes on behind our back. A commit that has begun is not interrupted: after it, the
//! work is done. What a killed run leaves open is rolled back by the server when it notices the broken connection.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::super::{Cancelled, Context, Error};
use super::statement::Statement;
use super::{Sql, arguments};
use crate::core::limits;
use crate::database::{self, Connection, Database, Interrupter, Kind, Timeouts, Value};

/// What the server gets beyond the time of the attempt: its own time-out is for the case that we are gone.
const BEYOND: Duration = Duration::from_secs(5);
/// How long an interrupted statement may take to end, its rollback included.
const END_MAX: Duration = Duration::from_secs(5);
/// The time from one interrupt to the next.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a statement on SQLite waits for another process; nothing can interrupt that wait.
const SQLITE_LOCK_MAX: Duration = Duration::from_secs(5);

/// Runs once.
pub(super) async fn run(settings: &Sql, database: &Database, context: Context) -> Result<Json, Error> {
    let kind = database.kind()?;
    let statements = settings.parse_all(kind)?;
    let arguments = arguments::collect(&statements, &settings.args, &context.args)?;
    let timeouts = timeouts(kind, context.timeout);
    let connecting = async {
        let mut connection = database.connect(&timeouts).await?;
        let interrupter = database.interrupter(&mut connection).await?;
        Ok::<_, database::Error>((connection, interrupter))
    };
    let (connection, interrupter) = tokio::select! {
        connected = connecting => connected?,
        () = context.cancelled.set() => return Err(Error::Cancelled { so_far: "nothing done".into() }),
    };
    let mut session = Session { connection, interrupter, arguments, context: &context, rows: Vec::new() };
    let outcome = session.all(settings.transaction, &statements).await;
    let rows = std::mem::take(&mut session.rows);
    // Without a commit, that is a rollback.
    session.connection.close().await;
    match outcome {
        Ok(()) => Ok(json!({ "rows": rows.iter().sum::<u64>(), "statements": rows })),
        Err(_) if context.cancelled.is_set() => {
            let kept = if settings.transaction { "rolled back" } else { "which are kept" };
            let so_far = format!("{} of {} statements done, {kept}", rows.len(), statements.len());
            Err(Error::Cancelled { so_far })
        }
        Err(error) => Err(error.into()),
    }
}

fn timeouts(kind: Kind, attempt: Option<Duration>) -> Timeouts {
    let statement = attempt.map_or(limits::DURATION_MAX, |attempt| attempt.saturating_add(BEYOND));
    // A rebuild of an index may have to wait for every transaction that is older than it.
    let lock = if kind == Kind::Sqlite { SQLITE_LOCK_MAX } else { statement };
    Timeouts { statement, lock, ..Timeouts::default() }
}

/// An open connection with what its statements need.
struct Session<'a> {
    connection: Connection,
    interrupter: Interrupter,
    arguments: BTreeMap<&'a str, &'a Json>,
    context: &'a Context,
    /// Of each statement that is done.
    rows: Vec<u64>,
}

impl Session<'_> {
    async fn all(&mut self, transaction: bool, statements: &[Statement]) -> Result<(), database::Error> {
        if transaction {
            self.connection.begin().await?;
        }
        let of = statements.len();
        for (index, statement) in statements.iter().enumerate() {
            let doing = format!("statement {} of {of} (`{}`)", index + 1, statement.verb);
            self.context.report(index as u64, of as u64, &doing);
            let rows = self.one(statement, &doing).await?;
            self.rows.push(rows);
            self.context.line(&format!("{doing}: {rows} {}", if rows == 1 { "row" } else { "rows" }));
            // The last one without a transaction is done, whoever would have liked it not to be.
            let last = index + 1 == of;
            if self.context.cancelled.is_set() && (transaction || !last) {
                return Err(self.connection.interrupted(&doing));
            }
        }
        if transaction {
            self.connection.commit().await?;
        }
        self.context.report(of as u64, of as u64, "done");
        Ok(())
    }

    /// Runs a statement to its end, or to that which a cancel makes.
    async fn one(&mut self, statement: &Statement, doing: &str) -> Result<u64, database::Error> {
        let running = run_statement(&mut self.connection, statement, &self.arguments, doing);
        let ended = until_cancelled(running, &self.interrupter, &self.context.cancelled).await;
        ended.unwrap_or_else(|| Err(self.connection.interrupted(doing)))
    }
}

/// Waits for a statement. Once cancelled, it is interrupted and waited for a little longer; `None` if it goes on.
async fn until_cancelled<T>(
    running: impl Future<Output = T>,
    interrupter: &Interrupter,
    cancelled: &Cancelled,
) -> Option<T> {
    if cancelled.is_set() {
        return None;
    }
    tokio::pin!(running);
    tokio::select! {
        done = &mut running => return Some(done),
        () = cancelled.set() => {}
    }
    let interrupt = async {
        // More than once, because the server may get the first one before it begins with the statement.
        loop {
            if let Err(error) = interrupter.interrupt().await {
                tracing::warn!(%error, "a cancelled statement could not be interrupted");
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::select! {
        done = tokio::time::timeout(END_MAX, running) => done.ok(),
        () = interrupt => None,
    }
}

async fn run_statement(
    connection: &mut Connection,
    statement: &Statement,
    arguments: &BTreeMap<&str, &Json>,
    doing: &str,
) -> Result<u64, database::Error> {
    let value = |name: &String| arguments.get(name.as_str()).copied().unwrap_or(&Json::Null);
    match connection.kind() {
        Kind::Postgres if !statement.names.is_empty() => {
            // What each argument has to be follows from the statement, so the server is asked; it also knows how to
            // read it from a text.
            let plain = statement.text(|number| format!("${}", number + 1));
            let types = connection.parameter_types(doing, &plain).await?;
            let name = |number: usize| types.get(number).map_or("text", String::as_str);
            let text = statement.text(|number| format!("CAST(CAST(${} AS text) AS {})", number + 1, name(number)));
            let values = statement.names.iter().enumerate();
            let values: Vec<Value> = values.map(|(at, name_of)| arguments::as_text(value(name_of), name(at))).collect();
            connection.execute(doing, &text, &values).await
        }
        Kind::Postgres | Kind::Sqlite | Kind::MySql => {
            let values: Vec<Value> = statement.names.iter().map(|name| arguments::typed(value(name))).collect();
            let text = statement.text(|_| "?".to_owned());
            let maintains = matches!(statement.verb.as_str(), "optimize" | "analyze" | "repair" | "check")
                && text.to_ascii_lowercase().contains("table");
            if connection.kind() == Kind::MySql && maintains {
                return maintain(connection, &text, &values, doing).await;
            }
            connection.execute(doing, &text, &values).await
        }
    }
}

/// MySQL and MariaDB answer `OPTIMIZE TABLE` and its like with rows, and have their errors in these.
async fn maintain(
    connection: &mut Connection,
    text: &str,
    values: &[Value],
    doing: &str,
) -> Result<u64, database::Error> {
    let rows = connection.rows(doing, text, values).await?;
    let failed = rows.iter().find_map(|row| match row.as_slice() {
        [_, _, Value::Text(kind), Value::Text(problem)] if kind.eq_ignore_ascii_case("error") => Some(problem),
        _ => None,
    });
    match failed {
        Some(problem) => Err(connection.refused(doing, problem)),
        None => Ok(0),
    }
}
