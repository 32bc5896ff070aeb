//! A connection that is made when it is needed, and what becomes of work that failed: tried again, and when.

use std::time::Duration;

use super::{Connection, Database, Error, Timeouts};

/// How often and how soon work is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often it is tried in all; at least 1.
    pub tries: u32,
    /// The wait before the second try; each further one is twice as long.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Default for Retry {
    /// About half a minute in all, if each try fails at once.
    fn default() -> Self {
        Retry { tries: 10, first: Duration::from_millis(100), longest: Duration::from_secs(10) }
    }
}

impl Retry {
    /// The wait after `failed` tries; none when there have been enough.
    pub fn wait(&self, failed: u32) -> Option<Duration> {
        let factor = 2u32.saturating_pow(failed.saturating_sub(1));
        (failed < self.tries).then(|| self.first.saturating_mul(factor).min(self.longest))
    }
}

/// A database with at most one connection, which is made when it is needed.
pub struct Session {
    database: Database,
    timeouts: Timeouts,
    connection: Option<Connection>,
}

impl Session {
    /// Connects to nothing yet.
    pub fn new(database: Database, timeouts: Timeouts) -> Session {
        Session { database, timeouts, connection: None }
    }

    /// The database's name in the config.
    pub fn database(&self) -> &str {
        &self.database.name
    }

    /// The connection, made anew where there is none.
    pub async fn connection(&mut self) -> Result<&mut Connection, Error> {
        if self.connection.is_none() {
            self.connection = Some(self.database.connect(&self.timeouts).await?);
        }
        Ok(self.connection.as_mut().expect("it was just made"))
    }

    /// Takes down that what was done on the connection failed, and drops the connection, which rolls back. What failed
    /// for a passing reason (a deadlock, a lock, a lost connection) may be done again, as a whole, after the wait
    /// that this gives; all else, and what failed often enough, gives the error back.
    ///
    /// ```ignore
    /// let mut failed = 0;
    /// loop {
    ///     match transaction(&mut session).await {
    ///         Ok(done) => break done,
    ///         Err(error) => tokio::time::sleep(session.failed(&retry, &mut failed, error)?).await,
    ///     }
    /// }
    /// ```
    pub fn failed(&mut self, retry: &Retry, failed: &mut u32, error: Error) -> Result<Duration, Error> {
        self.connection = None;
        *failed += 1;
        match retry.wait(*failed).filter(|_| error.is_retryable()) {
            Some(wait) => {
                tracing::warn!(database = self.database.name, %error, failed, "a database failed, will retry");
                Ok(wait)
            }
            None => Err(error.after(*failed)),
        }
    }

    /// Ends the session.
    pub async fn close(self) {
        if let Some(connection) = self.connection {
            connection.close().await;
        }
    }
}
