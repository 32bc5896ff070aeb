//! `passivate-users`: users not seen for a time become inactive. Here are its settings and their
//! checks; a run is in `run.rs`, and the SQL of each kind of database in a file of its own.

mod run;
mod sqlite;
#[cfg(test)]
mod tests;
mod users;

use std::sync::Arc;
use std::time::Duration;

use super::{Context, Error, Run, Worker};

/// The name in the config.
pub(super) const NAME: &str = "passivate-users";

/// Users in one transaction.
const CHUNK_MAX: u32 = 10_000;
/// Bytes of a table's or column's name.
const IDENTIFIER_BYTES_MAX: usize = 128;
/// Bytes of `where`.
const WHERE_BYTES_MAX: usize = 16 * 1024;

/// Settings of `passivate-users`.
///
/// A user is passivated who is active and whose last login or, where that is NULL, creation is
/// longer ago than `inactive_after`. What a moment may look like depends on the kind of database; a
/// user whose moment cannot be read, or who has neither, is left alone and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassivateUsers {
    /// Name of an entry of `[databases]`.
    pub database: String,
    /// How long a user may be away; more than zero.
    pub inactive_after: Duration,
    /// The table of users.
    pub table: String,
    /// Its columns.
    pub columns: Columns,
    /// What the column `active` holds.
    pub values: Values,
    /// A condition in SQL that narrows the users down, as in `tenant_id = 3`. It is put into the
    /// statements as it is: whoever may write the config may write it.
    pub condition: Option<String>,
    /// Users in one transaction, 1 to 10,000.
    pub chunk: u32,
    /// The wait between two transactions.
    pub pause: Duration,
    /// Only prints who would be passivated.
    pub dry_run: bool,
}

impl Default for PassivateUsers {
    fn default() -> Self {
        PassivateUsers {
            database: String::new(),
            inactive_after: Duration::from_secs(30 * 86_400),
            table: "users".into(),
            columns: Columns::default(),
            values: Values::default(),
            condition: None,
            chunk: 1000,
            pause: Duration::from_millis(50),
            dry_run: false,
        }
    }
}

/// Columns of the table of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The key: unique, not NULL, with an index; integers, texts or blobs.
    pub id: String,
    /// Whether the user is active; see [`Values`].
    pub active: String,
    /// The moment of the last login; NULL where the user never logged in.
    pub last_login: String,
    /// The moment of creation.
    pub created: String,
}

impl Default for Columns {
    fn default() -> Self {
        Columns {
            id: "id".into(),
            active: "is_active".into(),
            last_login: "last_login_at".into(),
            created: "created_at".into(),
        }
    }
}

/// What the column `active` holds; a user with any other value is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// For an active user; 1 by default.
    pub active: Value,
    /// For an inactive one; 0 by default.
    pub inactive: Value,
}

impl Default for Values {
    fn default() -> Self {
        Values { active: Value::Integer(1), inactive: Value::Integer(0) }
    }
}

/// A value of the column `active`. In SQLite `true` and `false` are 1 and 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Boolean(bool),
    Integer(i64),
    Text(String),
}

impl PassivateUsers {
    /// The keys in the config, all of them.
    pub const KEYS: [&str; 9] =
        ["database", "inactive_after", "table", "columns", "values", "where", "chunk", "pause", "dry_run"];

    /// The worker with these settings, for the database at `url`. Connects to nothing yet.
    pub fn worker(self, url: &str) -> Result<Arc<dyn Worker>, Error> {
        self.check()?;
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        if scheme != "sqlite" {
            // The url itself is not shown: it may hold a password.
            let shown = if scheme.chars().all(|c| c.is_ascii_alphanumeric()) { scheme } else { "" };
            return Err(Error::Scheme { scheme: shown.chars().take(32).collect() });
        }
        Ok(Arc::new(Passivator { settings: self, url: url.to_owned() }))
    }

    /// Finds values that cannot be used.
    fn check(&self) -> Result<(), Error> {
        let refuse = |key, value: &str, problem: &str| {
            let value: String = value.chars().take(IDENTIFIER_BYTES_MAX).collect();
            Err(Error::Setting { key, value: format!("{value:?}"), problem: problem.into() })
        };
        let identifiers = [
            ("table", &self.table),
            ("columns.id", &self.columns.id),
            ("columns.active", &self.columns.active),
            ("columns.last_login", &self.columns.last_login),
            ("columns.created", &self.columns.created),
        ];
        for (key, name) in identifiers {
            if name.is_empty() || name.len() > IDENTIFIER_BYTES_MAX || name.chars().any(char::is_control) {
                return refuse(key, name, "a name has 1 to 128 bytes and no control characters");
            }
        }
        if self.inactive_after.is_zero() {
            return refuse("inactive_after", "0s", "it must be more than zero, or every user would be passivated");
        }
        if self.chunk == 0 || self.chunk > CHUNK_MAX {
            return refuse("chunk", &self.chunk.to_string(), "it must be 1 to 10000");
        }
        if self.values.active == self.values.inactive {
            return refuse("values", "the same twice", "active and inactive must differ");
        }
        match &self.condition {
            Some(condition) if condition.trim().is_empty() => refuse("where", condition, "leave it out instead"),
            Some(condition) if condition.len() > WHERE_BYTES_MAX => refuse("where", condition, "it is over 16 KiB"),
            _ => Ok(()),
        }
    }
}

/// The worker: its settings and the url of the database.
struct Passivator {
    settings: PassivateUsers,
    url: String,
}

impl Worker for Passivator {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, context: Context) -> Run<'_> {
        Box::pin(run::run(&self.settings, &self.url, context))
    }
}
