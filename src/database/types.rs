//! What PostgreSQL takes the parameters of a statement for.

use sqlx::{AssertSqlSafe, Either, Executor, SqlSafeStr, Statement as _};

use super::connection::Link;
use super::{Connection, Error, Value};

impl Connection {
    /// The type of each parameter (`$1`, ...) of a statement as PostgreSQL finds it out by itself, as a name that a cast
    /// takes. Nothing for other kinds, whose parameters have no types.
    pub async fn parameter_types(&mut self, doing: &str, sql: &str) -> Result<Vec<String>, Error> {
        let Link::Postgres(link) = &mut self.link else { return Ok(Vec::new()) };
        let prepared = link.prepare(AssertSqlSafe(sql.to_owned()).into_sql_str()).await;
        let prepared = prepared.map_err(|error| self.error(doing, &error))?;
        let types = match prepared.parameters() {
            Some(Either::Left(types)) => types,
            Some(Either::Right(_)) | None => &[],
        };
        // Numbers, which need no quoting. `regtype` writes a name as it has to be written here, quotes and schema included.
        let name = |number: u32| format!("CAST(CAST({number} AS regtype) AS text)");
        let names: Vec<String> = types.iter().filter_map(|info| info.oid()).map(|oid| name(oid.0)).collect();
        if names.len() != types.len() || names.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.rows(doing, &format!("SELECT {}", names.join(", ")), &[]).await?;
        let names = rows.into_iter().flatten().map(|value| match value {
            Value::Text(name) => name,
            _ => "text".to_owned(),
        });
        Ok(names.collect())
    }
}
