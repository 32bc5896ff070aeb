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
use super::bind::{Types, bind};
use super::connections::{Connections, Open};
use super::statement::Statement;
use super::{Sql, arguments};
use crate::core::limits;
use crate::database::{self, Connection, Interrupter, Kind, Timeouts, Value};

/// What the server gets beyond the time of the attempt: its own time-out is for the case that we are gone.
const BEYOND: Duration = Duration::from_secs(5);
/// How long an interrupted statement may take to end, its rollback included.
const END_MAX: Duration = Duration::from_secs(5);
/// The time from one interrupt to the next.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a statement on SQLite waits for another process; nothing can interrupt that wait.
const SQLITE_LOCK_MAX: Duration = Duration::from_secs(5);

/// Runs once.
pub(super) async fn run(settings: &Sql, connections: &Connections, context: Context) -> Result<Json, Error> {
    let kind = connections.kind()?;
    let statements = settings.parse_all(kind)?;
    let arguments = arguments::collect(&statements, &settings.args, &context.args)?;
    let timeouts = timeouts(kind, context.timeout);
    let open = tokio::select! {
        opened = connections.open(kind, &timeouts, statements.len(), settings.transaction) => {
            opened.inspect_err(|error| connections.failed(error))?
        }
        () = context.cancelled.set() => return Err(Error::Cancelled { so_far: "nothing done".into() }),
    };
    let mut session = Session { open, arguments, context: &context, rows: Vec::new() };
    let outcome = session.all(settings.transaction, &statements).await;
    let Session { open, rows, .. } = session;
    match outcome {
        // An interrupt that is still on its way must not meet the next run.
        Ok(()) if !context.cancelled.is_set() => connections.give_back(open, &statements).await,
        // Without a commit, that is a rollback.
        Ok(()) | Err(_) => open.connection.close().await,
    }
    match outcome {
        Ok(()) => Ok(json!({ "rows": rows.iter().sum::<u64>(), "statements": rows })),
        Err(_) if context.cancelled.is_set() => {
            let kept = if settings.transaction { "rolled back" } else { "which are kept" };
            let so_far = format!("{} of {} statements done, {kept}", rows.len(), statements.len());
            Err(Error::Cancelled { so_far })
        }
        Err(error) => {
            connections.failed(&error);
            Err(error.into())
        }
    }
}

fn timeouts(kind: Kind, attempt: Option<Duration>) -> Timeouts {
    let statement = attempt.map_or(limits::DURATION_MAX, |attempt| attempt.saturating_add(BEYOND));
    // A rebuild of an index may have to wait for every transaction that is older than it.
    let lock = if kind == Kind::Sqlite { SQLITE_LOCK_MAX } else { statement };
    Timeouts { statement, lock, ..Timeouts::default() }
}

/// What the statements of one run need.
struct Session<'a> {
    /// In a transaction already, if there is one.
    open: Open,
    arguments: BTreeMap<&'a str, &'a Json>,
    context: &'a Context,
    /// Of each statement that is done.
    rows: Vec<u64>,
}

impl Session<'_> {
    async fn all(&mut self, transaction: bool, statements: &[Statement]) -> Result<(), database::Error> {
        let of = statements.len();
        for (index, statement) in statements.iter().enumerate() {
            let doing = format!("statement {} of {of} (`{}`)", index + 1, statement.verb);
            self.context.report(index as u64, of as u64, &doing);
            let rows = self.one(index, statement, &doing).await?;
            self.rows.push(rows);
            self.context.line(&format!("{doing}: {rows} {}", if rows == 1 { "row" } else { "rows" }));
            // The last one without a transaction is done, whoever would have liked it not to be.
            let last = index + 1 == of;
            if self.context.cancelled.is_set() && (transaction || !last) {
                return Err(self.open.connection.interrupted(&doing));
            }
        }
        if transaction {
            self.open.connection.commit().await?;
        }
        self.context.report(of as u64, of as u64, "done");
        Ok(())
    }

    /// Runs a statement to its end, or to that which a cancel makes.
    async fn one(&mut self, index: usize, statement: &Statement, doing: &str) -> Result<u64, database::Error> {
        let Open { connection, interrupter, types, .. } = &mut self.open;
        let running = run_statement(connection, statement, &self.arguments, &mut types[index], doing);
        let ended = until_cancelled(running, interrupter, &self.context.cancelled).await;
        ended.unwrap_or_else(|| Err(connection.interrupted(doing)))
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
    types: &mut Types,
    doing: &str,
) -> Result<u64, database::Error> {
    let (text, values) = bind(connection, statement, arguments, types, doing).await?;
    let maintains = matches!(statement.verb.as_str(), "optimize" | "analyze" | "repair" | "check")
        && text.to_ascii_lowercase().contains("table");
    if connection.kind() == Kind::MySql && maintains {
        return maintain(connection, &text, &values, doing).await;
    }
    connection.execute(doing, &text, &values).await
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
