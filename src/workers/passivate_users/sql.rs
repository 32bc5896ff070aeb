//! The statements of `passivate-users`, the same for every kind of database but for what `table.rs` and `moment.rs` say.

use super::PassivateUsers;
use super::moment::Range;
use super::statement::{Statement, quoted};
use super::table::Table;
use super::users::{Candidate, Span};
use crate::core::time::Timestamp;
use crate::database::Kind;

/// What the statements are made of.
pub(super) struct Sql<'a> {
    pub settings: &'a PassivateUsers,
    pub table: Table,
    /// Who was seen before it is passivated.
    pub cutoff: Timestamp,
}

/// The column that says when a user was last seen.
#[derive(Clone, Copy)]
enum Seen {
    LastLogin,
    Created,
}

impl Sql<'_> {
    /// At most `limit` candidates of the whole table, in any order, found by an index where there is one.
    ///
    /// PostgreSQL and SQLite are asked for each range by itself and in the order of the index: their statistics may tell of
    /// thousands who are gone no more, and a range of one index is what even those lead to. InnoDB looks into the index
    /// itself before it chooses.
    pub fn all(&self, limit: usize) -> Statement {
        let mut statement = Statement::new(self.table.kind);
        let (begin, end) = match self.table.kind {
            Kind::MySql => {
                statement.push(&format!("SELECT {} FROM {} WHERE ", self.columns(), self.table.name));
                self.gone(&mut statement);
                statement.push(&format!(" LIMIT {limit}"));
                return statement;
            }
            Kind::Postgres | Kind::Sqlite => {
                let order = format!("{}, {}", self.table.last_login.0, self.table.created.0);
                ("SELECT * FROM (", format!(" ORDER BY {order} LIMIT {limit}) AS part"))
            }
        };
        for (index, part) in self.parts().into_iter().enumerate() {
            let union = if index > 0 { " UNION ALL " } else { "" };
            statement.push(&format!("{union}{begin}SELECT {} FROM {} WHERE ", self.columns(), self.table.name));
            self.part(&mut statement, part);
            statement.push(&self.chosen()).push(&end);
        }
        statement.push(&format!(" LIMIT {limit}"));
        statement
    }

    /// The last key of a page of so many rows that begins where `span` does; no row if there are fewer.
    pub fn end_of_page(&self, span: &Span, rows: u32) -> Statement {
        let mut statement = Statement::new(self.table.kind);
        statement.push(&format!("SELECT {} FROM {} WHERE ", self.table.key_read(), self.table.by_key));
        self.within(&mut statement, span);
        statement.push(&format!(" ORDER BY {} LIMIT 1 OFFSET {}", self.table.key, rows.max(1) - 1));
        statement
    }

    /// How many rows a span has, how many candidates, and how many users without a readable moment.
    pub fn counts(&self, span: &Span) -> Statement {
        let mut statement = Statement::new(self.table.kind);
        statement.push("SELECT count(*), count(CASE WHEN ");
        self.gone(&mut statement);
        statement.push(" THEN 1 END), count(CASE WHEN ").push(&self.unreadable());
        statement.push(&format!(" THEN 1 END) FROM {} WHERE ", self.table.by_key));
        self.within(&mut statement, span);
        statement
    }

    /// How many would be candidates if they had a key.
    pub fn without_key(&self) -> Statement {
        let mut statement = Statement::new(self.table.kind);
        statement.push(&format!("SELECT count(*) FROM {} WHERE {} IS NULL AND ", self.table.by_key, self.table.key));
        self.gone(&mut statement);
        statement
    }

    /// At most `limit` candidates of a span, in the order of their keys.
    pub fn candidates(&self, span: &Span, limit: u32) -> Statement {
        let mut statement = self.select();
        statement.push(&format!(" FROM {} WHERE ", self.table.by_key));
        self.within(&mut statement, span);
        statement.push(" AND ");
        self.gone(&mut statement);
        statement.push(&format!(" ORDER BY {} LIMIT {limit}", self.table.key));
        statement
    }

    /// Locks those of `users` who are to be passivated, in the order of their keys. PostgreSQL does all with one statement: it
    /// also changes them, so that the locks are held for no longer than that takes, whoever asked.
    pub fn lock(&self, users: &[Candidate]) -> Statement {
        let mut statement = Statement::new(self.table.kind);
        match self.table.kind {
            // The whole file is locked already.
            Kind::Sqlite => return self.among(users),
            Kind::MySql => {
                statement = self.among(users);
                statement.push(" FOR UPDATE SKIP LOCKED");
            }
            Kind::Postgres => {
                let (table, key) = (&self.table.name, &self.table.key);
                statement.push(&format!("WITH chosen AS MATERIALIZED (SELECT {key} AS chosen_key FROM {table} WHERE "));
                self.keys(&mut statement, users);
                statement.push(" AND ");
                self.gone(&mut statement);
                // Rows of other tables that refer to these users can still be written.
                statement.push(&format!(" ORDER BY {key} FOR NO KEY UPDATE SKIP LOCKED) UPDATE {table} SET "));
                statement.push(&self.assignments());
                statement.push(&format!(" FROM chosen WHERE {key} = chosen.chosen_key AND "));
                self.gone(&mut statement);
                statement.push(&format!(" RETURNING {}", self.columns()));
            }
        }
        statement
    }

    /// Changes those of `users` who are to be passivated.
    pub fn update(&self, users: &[Candidate]) -> Statement {
        let mut statement = Statement::new(self.table.kind);
        statement.push(&format!("UPDATE {} SET {} WHERE ", self.table.by_key, self.assignments()));
        self.keys(&mut statement, users);
        statement.push(" AND ");
        self.gone(&mut statement);
        statement
    }

    /// The line end closes a comment at the end of an expression.
    fn assignments(&self) -> String {
        let set = self.settings.set.iter();
        let set = set.map(|(column, expression)| format!("{} = ({expression}\n)", quoted(self.table.kind, column)));
        set.collect::<Vec<_>>().join(", ")
    }

    fn select(&self) -> Statement {
        let mut statement = Statement::new(self.table.kind);
        statement.push(&format!("SELECT {}", self.columns()));
        statement
    }

    /// What is read of a candidate.
    fn columns(&self) -> String {
        let ((login, of_login), (created, of_created)) = (&self.table.last_login, &self.table.created);
        format!(
            "{}, CASE WHEN {login} IS NOT NULL THEN {} ELSE {} END, {}",
            self.table.key_read(),
            of_login.seconds(login),
            of_created.seconds(created),
            self.table.tenant_read()
        )
    }

    /// Those of `users` who are to be passivated, in the order of their keys.
    pub fn among(&self, users: &[Candidate]) -> Statement {
        let mut statement = self.select();
        statement.push(&format!(" FROM {} WHERE ", self.table.by_key));
        self.keys(&mut statement, users);
        statement.push(" AND ");
        self.gone(&mut statement);
        statement.push(&format!(" ORDER BY {}", self.table.key));
        statement
    }

    fn keys(&self, to: &mut Statement, users: &[Candidate]) {
        to.push(&format!("{} IN (", self.table.key));
        for (index, user) in users.iter().enumerate() {
            if index > 0 {
                to.push(", ");
            }
            self.table.key_bound(to, &user.key.0);
        }
        to.push(")");
    }

    fn within(&self, to: &mut Statement, span: &Span) {
        let key = &self.table.key;
        match &span.after {
            Some(after) => {
                to.push(&format!("{key} > "));
                self.table.key_bound(to, &after.0);
            }
            None => {
                to.push(&format!("{key} IS NOT NULL"));
            }
        }
        if let Some(last) = &span.last {
            to.push(&format!(" AND {key} <= "));
            self.table.key_bound(to, &last.0);
        }
    }

    /// Writes the condition for a candidate: active, among those that `where` names, and away for long. That is spelled
    /// out as alternatives, each of which is a range of an index on (active, last login, creation); SQLite
    /// sees that only if each says "active" for itself.
    fn gone(&self, to: &mut Statement) {
        for (index, part) in self.parts().into_iter().enumerate() {
            to.push(if index > 0 { " OR (" } else { "((" });
            self.part(to, part);
            to.push(")");
        }
        to.push(")").push(&self.chosen());
    }

    /// The ranges of candidates: by their last login, and by their creation where that is NULL.
    fn parts(&self) -> Vec<(Seen, Range)> {
        let login = self.table.last_login.1.ranges().iter().map(|range| (Seen::LastLogin, *range));
        let created = self.table.created.1.ranges().iter().map(|range| (Seen::Created, *range));
        login.chain(created).collect()
    }

    fn part(&self, to: &mut Statement, (seen, range): (Seen, Range)) {
        let ((login, of_login), (created, of_created)) = (&self.table.last_login, &self.table.created);
        to.push(&self.active()).push(" AND ");
        match seen {
            Seen::LastLogin => of_login.before(to, login, self.cutoff, range),
            Seen::Created => {
                to.push(&format!("{login} IS NULL AND "));
                of_created.before(to, created, self.cutoff, range);
            }
        }
    }

    /// The condition for an active user of whom nobody knows when it was last seen.
    fn unreadable(&self) -> String {
        let ((login, of_login), (created, of_created)) = (&self.table.last_login, &self.table.created);
        format!(
            "{} AND ({} OR ({login} IS NULL AND ({created} IS NULL OR {}))){}",
            self.active(),
            of_login.unreadable(login),
            of_created.unreadable(created),
            self.chosen()
        )
    }

    /// The line end closes a comment at its end.
    fn active(&self) -> String {
        format!("{} = ({}\n)", self.table.active, self.settings.active)
    }

    /// And among those that `where` names.
    fn chosen(&self) -> String {
        self.settings.condition.as_ref().map_or(String::new(), |condition| format!(" AND ({condition}\n)"))
    }
}
