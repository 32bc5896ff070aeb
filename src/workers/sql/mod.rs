//! The handler `sql`: statements of the config on a named database, with the job's arguments bound to them.
//!
//! Its words for users are in `docs/sql.md`. How a statement is taken apart is in `statement`, where the values
//! come from in `arguments`, how both are given to a database in `bind`, and the run itself in `run`, on a connection out
//! of `connections`. `items` reads the items of a batch. How databases are reached is not known here.

mod arguments;
mod bind;
mod connections;
mod items;
mod run;
mod statement;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Context, Error, Run, Worker};
use crate::database::{Database, Kind};
use connections::Connections;
pub use items::stream_items;
use statement::Statement;

/// The key in the config.
pub(super) const NAME: &str = "sql";

/// What a task of this handler runs.
#[derive(Clone, PartialEq)]
pub struct Sql {
    /// The name of the database.
    pub database: String,
    /// One statement each, at least one; run in this order.
    pub statements: Vec<String>,
    /// Values for names in the statements, where the job gives none.
    pub args: BTreeMap<String, serde_json::Value>,
    /// All of them in one transaction, or each on its own.
    pub transaction: bool,
}

/// Neither the text of a statement nor a value is shown: either may hold what is nobody's business.
impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sql")
            .field("database", &self.database)
            .field("statements", &self.statements.len())
            .field("args", &self.args.keys())
            .field("transaction", &self.transaction)
            .finish()
    }
}

impl Sql {
    /// The worker that runs it on this database, each time on a connection of its own. Connects to nothing yet.
    pub fn worker(self, database: Database) -> Arc<dyn Worker> {
        self.worker_of_items(database, 0)
    }

    /// The same for the items of a batch, of which up to `concurrency` are handled at once, each by a run: as many
    /// connections are kept for the next items, until the worker is dropped. After statements that may leave something
    /// of themselves in a session (`set`, `create`, `lock`, ...) it is closed; what a function or procedure leaves there
    /// is the next item's.
    pub fn worker_of_items(self, database: Database, concurrency: usize) -> Arc<dyn Worker> {
        Arc::new(Runner { settings: self, connections: Connections::new(database, concurrency) })
    }

    /// What is wrong with a statement for a database of this kind, if anything is.
    pub fn problem(&self, number: usize, kind: Kind) -> Option<String> {
        self.parse(number, kind).err()
    }

    /// A name in `args` that no statement has; such a value would never be used.
    pub fn unused(&self, kind: Kind) -> Option<&str> {
        let statements: Vec<Statement> =
            (0..self.statements.len()).filter_map(|at| self.parse(at, kind).ok()).collect();
        let used = |name: &str| statements.iter().any(|statement| statement.names.iter().any(|used| used == name));
        let all_read = statements.len() == self.statements.len();
        self.args.keys().map(String::as_str).find(|name| all_read && !used(name))
    }

    fn parse(&self, number: usize, kind: Kind) -> Result<Statement, String> {
        let statement = Statement::parse(&self.statements[number], kind)?;
        match statement.verb.as_str() {
            "begin" | "start" | "commit" | "end" | "rollback" | "abort" if self.transaction => Err(format!(
                "begins or ends a transaction with `{}`, and all statements are in one already; leave it out, or set \
                 `transaction = false`",
                statement.verb
            )),
            _ => Ok(statement),
        }
    }

    /// All statements, taken apart.
    fn parse_all(&self, kind: Kind) -> Result<Vec<Statement>, Error> {
        let of = self.statements.len();
        let parse = |at: usize| {
            let failed =
                |problem| Error::Setting { key: NAME, value: format!("statement {} of {of}", at + 1), problem };
            self.parse(at, kind).map_err(failed)
        };
        (0..of).map(parse).collect()
    }
}

struct Runner {
    settings: Sql,
    connections: Connections,
}

impl Worker for Runner {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, context: Context) -> Run<'_> {
        Box::pin(run::run(&self.settings, &self.connections, context))
    }
}
