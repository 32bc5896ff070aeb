//! `passivate-users`: users not seen for a time become inactive. Here are its settings and their
//! checks; a run is in `run.rs`, what is done with a database in `users.rs`, what is said to it in `sql.rs`, and what
//! differs between kinds of databases in `table.rs`, `moment.rs` and `plan.rs`.

mod moment;
mod plan;
mod run;
mod sql;
mod statement;
mod table;
mod tally;
#[cfg(test)]
mod tests;
mod users;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Context, Error, Run, Worker};
use crate::database::Database;

/// The name in the config.
pub(super) const NAME: &str = "passivate-users";

/// Users in one transaction.
const CHUNK_MAX: u32 = 10_000;
/// Bytes of a table's or column's name.
const IDENTIFIER_BYTES_MAX: usize = 128;
/// Bytes of `where`, of `active` and of an expression in `set`.
const SQL_BYTES_MAX: usize = 16 * 1024;
/// Columns in `set`.
const SET_MAX: usize = 32;

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
    /// What the column `active` of an active user equals, in SQL: `true`, `1`, `'on'`. A user with any other value
    /// is left alone.
    pub active: String,
    /// What is set, in SQL, by column. The column `active` is among them.
    pub set: BTreeMap<String, String>,
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
            active: "true".into(),
            set: [("is_active".to_owned(), "false".to_owned())].into(),
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
    /// The key: unique, not NULL, with an index; integers, texts, uuids or bytes.
    pub id: String,
    /// Whether the user is active; see [`PassivateUsers::active`].
    pub active: String,
    /// The moment of the last login; NULL where the user never logged in.
    pub last_login: String,
    /// The moment of creation.
    pub created: String,
    /// To whom the user belongs; the result counts users by it.
    pub tenant: Option<String>,
}

impl Default for Columns {
    fn default() -> Self {
        Columns {
            id: "id".into(),
            active: "is_active".into(),
            last_login: "last_login_at".into(),
            created: "created_at".into(),
            tenant: None,
        }
    }
}

impl PassivateUsers {
    /// The worker with these settings, for this database. Connects to nothing yet.
    pub fn worker(self, database: Database) -> Result<Arc<dyn Worker>, Error> {
        self.check()?;
        Ok(Arc::new(Passivator { settings: self, database }))
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
        let tenant = self.columns.tenant.iter().map(|tenant| ("columns.tenant", tenant));
        for (key, name) in identifiers.into_iter().chain(tenant).chain(self.set.keys().map(|column| ("set", column))) {
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
        if !self.set.contains_key(&self.columns.active) || self.set.len() > SET_MAX {
            let problem =
                "it must set the column `active`, or the same users would be found again, and at most 32 columns";
            return refuse("set", &self.columns.active, problem);
        }
        let expressions = self.set.values().map(|expression| ("set", expression));
        let condition = self.condition.iter().map(|condition| ("where", condition));
        for (key, sql) in condition.chain([("active", &self.active)]).chain(expressions) {
            if sql.trim().is_empty() || sql.len() > SQL_BYTES_MAX {
                return refuse(key, sql, "it has 1 byte to 16 KiB, not only spaces");
            }
        }
        Ok(())
    }
}

/// The worker: its settings and where the database is.
struct Passivator {
    settings: PassivateUsers,
    database: Database,
}

impl Worker for Passivator {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, context: Context) -> Run<'_> {
        Box::pin(run::run(&self.settings, &self.database, context))
    }
}
