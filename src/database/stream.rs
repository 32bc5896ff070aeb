//! Rows of a query one after the other, as they arrive: for more of them than memory is to hold.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr, Statement as _};

use super::connection::{Link, row};
use super::value::bound;
use super::{Connection, Error, Row, Value};

impl Connection {
    /// The names of the columns that a query has; none of a statement that is no query. Runs nothing.
    pub async fn columns(&mut self, doing: &str, sql: &str) -> Result<Vec<String>, Error> {
        let sql = AssertSqlSafe(sql.to_owned()).into_sql_str();
        let names = match &mut self.link {
            Link::Sqlite(link) => link.prepare(sql).await.map(|prepared| names(prepared.columns())),
            Link::Postgres(link) => link.prepare(sql).await.map(|prepared| names(prepared.columns())),
            Link::MySql(link) => link.prepare(sql).await.map(|prepared| names(prepared.columns())),
        };
        names.map_err(|error| self.error(doing, &error))
    }

    /// The rows of a query, each as soon as it is there. What is not asked for waits at the server, and with it the locks
    /// and the picture of the data that the query holds; MySQL gives up after its `net_write_timeout` (60 s by default).
    /// How long to wait for a row is for the caller to say. A stream that is dropped before its end leaves a connection
    /// that has to be dropped too.
    pub fn stream<'a>(&'a mut self, doing: &'a str, sql: &str, values: &[Value]) -> BoxStream<'a, Result<Row, Error>> {
        let (kind, keep, database) = (self.kind(), self.keeps_statements(), self.database().to_owned());
        macro_rules! rows {
            ($link:ident, $DB:ty) => {{
                let rows = bound::<$DB>(sql, values).persistent(keep).fetch($link);
                rows.map(move |found| {
                    let read = found.and_then(|found| row::<$DB>(&found));
                    read.map_err(|error| Error::statement(&database, kind, doing, &error))
                })
                .boxed()
            }};
        }
        match &mut self.link {
            Link::Sqlite(link) => rows!(link, sqlx::Sqlite),
            Link::Postgres(link) => rows!(link, sqlx::Postgres),
            Link::MySql(link) => rows!(link, sqlx::MySql),
        }
    }
}

fn names<C: sqlx::Column>(columns: &[C]) -> Vec<String> {
    columns.iter().map(|column| column.name().to_owned()).collect()
}
