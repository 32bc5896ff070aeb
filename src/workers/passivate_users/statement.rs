//! A statement as it is written: its text, and the values that are bound to it.

use crate::database::{Kind, Value};

/// A statement for one kind of database. Parameters are numbered by the order in which they are written.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    kind: Kind,
    pub sql: String,
    pub values: Vec<Value>,
}

impl Statement {
    pub fn new(kind: Kind) -> Statement {
        Statement { kind, sql: String::new(), values: Vec::new() }
    }

    /// Writes text that is SQL already.
    pub fn push(&mut self, sql: &str) -> &mut Statement {
        self.sql.push_str(sql);
        self
    }

    /// Writes a parameter with this value.
    pub fn bind(&mut self, value: Value) -> &mut Statement {
        self.values.push(value);
        match self.kind {
            Kind::Sqlite => self.push(&format!("?{}", self.values.len())),
            Kind::Postgres => self.push(&format!("${}", self.values.len())),
            Kind::MySql => self.push("?"),
        }
    }
}

/// A name as an identifier, whatever it holds.
pub(super) fn quoted(kind: Kind, name: &str) -> String {
    match kind {
        Kind::Sqlite | Kind::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        Kind::MySql => format!("`{}`", name.replace('`', "``")),
    }
}
