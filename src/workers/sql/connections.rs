//! Connections of one worker: one for each run, or, for the items of a batch, kept from one run to the next.
//!
//! There are never more than runs at once. Only a run that succeeded gives its connection back, and only if none of its
//! statements is of a kind that leaves settings, temporary tables or locks of the session behind for the next one.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::bind::Types;
use super::statement::Statement;
use crate::clock::{Clock, SystemClock};
use crate::database::{self, Cause, Connection, Database, Interrupter, Kind, Timeouts};

/// A connection that was idle for longer is not used again: who knows what stands between here and the server.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Statements after which a session is as it was before.
const PLAIN: [&str; 9] = ["call", "delete", "insert", "merge", "replace", "select", "update", "values", "with"];

/// An open connection with what its statements need.
pub(super) struct Open {
    pub connection: Connection,
    pub interrupter: Interrupter,
    /// Of the arguments of each statement.
    pub types: Vec<Types>,
    timeouts: Timeouts,
}

struct Idle {
    open: Open,
    /// Since the machine started.
    since: Duration,
}

/// Where runs take their connections from.
pub(super) struct Connections {
    database: Database,
    /// How many are kept while nobody uses them.
    idle_max: usize,
    /// The one that was used last is the last.
    idle: Mutex<Vec<Idle>>,
}

impl Connections {
    /// Connects to nothing yet. With an `idle_max` of 0 each run has a connection of its own.
    pub fn new(database: Database, idle_max: usize) -> Connections {
        Connections { database, idle_max, idle: Mutex::default() }
    }

    /// The kind of the database.
    pub fn kind(&self) -> Result<Kind, database::Error> {
        self.database.kind()
    }

    /// A connection for these statements, in a transaction if one is wanted.
    pub async fn open(
        &self,
        kind: Kind,
        timeouts: &Timeouts,
        statements: usize,
        transaction: bool,
    ) -> Result<Open, database::Error> {
        while let Some(mut open) = self.take(kind, timeouts) {
            if !transaction {
                return Ok(open);
            }
            match open.connection.begin().await {
                Ok(()) => return Ok(open),
                // It broke while nobody used it: nothing is done yet, so that another one may take its place.
                Err(error) if error.cause() == Cause::Lost => {
                    tracing::debug!(%error, "a connection that was kept is broken, will connect again");
                }
                Err(error) => return Err(error),
            }
        }
        let mut connection = self.database.connect(timeouts).await?;
        let interrupter = self.database.interrupter(&mut connection).await?;
        if transaction {
            connection.begin().await?;
        }
        Ok(Open { connection, interrupter, types: vec![None; statements], timeouts: *timeouts })
    }

    /// Takes back the connection of a run that succeeded, for the next one or to close it.
    pub async fn give_back(&self, open: Open, statements: &[Statement]) {
        let plain = statements.iter().all(|statement| PLAIN.contains(&statement.verb.as_str()));
        let since = SystemClock.now().elapsed;
        let left = {
            let mut idle = self.idle();
            match plain && idle.len() < self.idle_max {
                true => {
                    idle.push(Idle { open, since });
                    None
                }
                false => Some(open),
            }
        };
        if let Some(open) = left {
            open.connection.close().await;
        }
    }

    /// After a run that failed: where the server was lost, so are the connections that are kept.
    pub fn failed(&self, error: &database::Error) {
        if error.cause() == Cause::Lost {
            self.idle().clear();
        }
    }

    fn take(&self, kind: Kind, timeouts: &Timeouts) -> Option<Open> {
        let now = SystemClock.now().elapsed;
        let mut idle = self.idle();
        idle.retain(|idle| now.saturating_sub(idle.since) <= IDLE_MAX);
        // Its time-outs are set in its session, and its address may be another one now.
        idle.retain(|idle| idle.open.timeouts == *timeouts && idle.open.connection.kind() == kind);
        idle.pop().map(|idle| idle.open)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says goodbye to the server, which otherwise notes a broken connection.
impl Drop for Connections {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut *self.idle());
        if let (false, Ok(runtime)) = (idle.is_empty(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                for idle in idle {
                    idle.open.connection.close().await;
                }
            });
        }
    }
}
