//! Named databases: where they are, how they are opened, what their errors mean.
//!
//! A [`Database`] is a name and an [`Address`]; [`Database::connect`] gives a [`Connection`] on which every statement
//! ends within [`Timeouts`], and a [`Session`] says whether and when to try again what failed. What is said to a database
//! is its user's: no statement of a worker or a task stands here.
//!
//! - An address is the url itself, a file that holds it, or a systemd credential: a file of this name in
//!   `$CREDENTIALS_DIRECTORY`, named by a key of its own (a relative `url_file` starts at the config's folder). Files are read anew for each connection, so a new password needs no reload.
//! - **No url and no password is ever shown.** Errors name the database by its name in the config and are plain
//!   data: what sqlx or a server said of a statement is kept as text, what a url could not be parsed for is not.
//! - A transaction is READ COMMITTED whatever the server's default is: it does not fail because somebody else wrote,
//!   and takes no locks between rows in InnoDB. On SQLite it takes the write lock at once.
//! - After an error a connection is dropped, not used again: that rolls back, whatever state it was left in.

mod address;
mod connection;
mod error;
mod interrupt;
mod open;
mod session;
mod stream;
#[cfg(test)]
mod tests;
mod types;
mod url;
mod value;

use std::fmt;
use std::time::Duration;

pub use address::Address;
pub use connection::Connection;
pub use error::{Cause, Error};
pub use interrupt::Interrupter;
pub use session::{Retry, Session};
pub use value::{Row, Value};

/// What speaks at the other end. MariaDB is [`Kind::MySql`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
    MySql,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Sqlite => "SQLite",
            Kind::Postgres => "PostgreSQL",
            Kind::MySql => "MySQL or MariaDB",
        })
    }
}

/// A `[databases.NAME]` of the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its name in the config: all that is ever shown of it.
    pub name: String,
    pub address: Address,
}

/// How long things may take. The server enforces `statement` and `lock` where it can; some seconds later
/// the statement is given up at this end too, in case the server is gone without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From nothing to a connection that is ready.
    pub connect: Duration,
    /// One statement.
    pub statement: Duration,
    /// The wait for one lock; InnoDB knows whole seconds only.
    pub lock: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Timeouts { connect: seconds(10), statement: seconds(60), lock: seconds(5) }
    }
}

impl Database {
    /// The kind that the url names, if the url can be read.
    pub fn kind(&self) -> Result<Kind, Error> {
        url::kind(&self.name, &self.url()?)
    }

    /// Opens a connection with these time-outs set. Creates nothing, not even an SQLite file.
    pub async fn connect(&self, timeouts: &Timeouts) -> Result<Connection, Error> {
        open::open(&self.name, &self.url()?, timeouts).await
    }

    fn url(&self) -> Result<String, Error> {
        self.address.url().map_err(|error| Error::Address { database: self.name.clone(), problem: error.to_string() })
    }
}
