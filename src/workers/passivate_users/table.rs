//! The table of users as the database has it: whether it and its columns are there, their types, and how a key is
//! written in a statement and read from a row.

use super::super::Error;
use super::super::error::known_names;
use super::moment::Moments;
use super::statement::{Statement, quoted};
use super::{Columns, PassivateUsers};
use crate::database::{self, Connection, Kind, Value};

/// Tables whose names are looked through for a near one.
const TABLES_MAX: usize = 1000;

/// The table of users.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub kind: Kind,
    /// The table, quoted, with its schema.
    pub name: String,
    /// What stands behind the table's name where rows are read by their key.
    pub by_key: String,
    /// The key, quoted.
    pub key: String,
    /// The type that a text is cast to, to be a key; none where it is one already.
    key_type: Option<String>,
    /// Whether rows can be read in the order of the key without sorting them.
    pub key_is_indexed: bool,
    pub active: String,
    pub last_login: (String, Moments),
    pub created: (String, Moments),
    pub tenant: Option<String>,
}

/// A column: its name and its type.
struct Column {
    name: String,
    kind: String,
}

/// Finds the table and its columns. The outer error is the database's and may pass; the inner one is the config's.
pub(super) async fn find(
    connection: &mut Connection,
    settings: &PassivateUsers,
) -> Result<Result<Table, Error>, database::Error> {
    let kind = connection.kind();
    let (schema, table) = match settings.table.split_once('.') {
        Some((schema, table)) if kind != Kind::Sqlite => (Some(schema), table),
        _ => (None, settings.table.as_str()),
    };
    let name = match schema {
        Some(schema) => format!("{}.{}", quoted(kind, schema), quoted(kind, table)),
        None => quoted(kind, table),
    };
    let columns = columns(connection, &name, schema, table).await?;
    if columns.is_empty() {
        let tables = tables(connection, schema).await?;
        let (database, table) = (connection.database().to_owned(), settings.table.clone());
        return Ok(Err(Error::NoTable { database, problem: known_names(&table, &tables), table }));
    }
    let mut table = match make(kind, name, &columns, settings, connection.database()) {
        Ok(table) => table,
        Err(error) => return Ok(Err(error)),
    };
    find_index(connection, &mut table, schema, settings).await?;
    Ok(Ok(table))
}

fn make(
    kind: Kind,
    name: String,
    columns: &[Column],
    settings: &PassivateUsers,
    database: &str,
) -> Result<Table, Error> {
    let find = |setting: &'static str, wanted: &str| -> Result<&str, Error> {
        if kind == Kind::Sqlite && setting == "id" && wanted.eq_ignore_ascii_case("rowid") {
            return Ok("INTEGER");
        }
        let same = |column: &&Column| match kind {
            Kind::Postgres => column.name == wanted,
            Kind::Sqlite | Kind::MySql => column.name.eq_ignore_ascii_case(wanted),
        };
        if let Some(column) = columns.iter().find(same) {
            return Ok(&column.kind);
        }
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        Err(Error::NoColumn {
            database: database.to_owned(),
            table: settings.table.clone(),
            column: wanted.to_owned(),
            setting,
            problem: known_names(wanted, &names),
        })
    };
    let Columns { id, active, last_login, created, tenant } = &settings.columns;
    // A column with its table: SQLite takes a lone quoted name that it does not know for a text.
    let column = |wanted: &str| format!("{name}.{}", quoted(kind, wanted));
    let moments = |setting, wanted: &String| -> Result<(String, Moments), Error> {
        let kind_of = find(setting, wanted)?;
        let moments = Moments::of(kind, kind_of).ok_or_else(|| Error::Moments {
            table: settings.table.clone(),
            column: wanted.clone(),
            kind: kind_of.to_owned(),
        })?;
        Ok((column(wanted), moments))
    };
    let key_type = key_type(kind, find("id", id)?).map_err(|kind| Error::Key {
        table: settings.table.clone(),
        column: id.clone(),
        kind,
    })?;
    find("active", active)?;
    if let Some(tenant) = tenant {
        find("tenant", tenant)?;
    }
    Ok(Table {
        kind,
        by_key: name.clone(),
        key: column(id),
        key_type,
        key_is_indexed: false,
        active: column(active),
        last_login: moments("last_login", last_login)?,
        created: moments("created", created)?,
        tenant: tenant.as_deref().map(column),
        name,
    })
}

/// What a text is cast to, to be a key of a column of this type; an error names a type that no key has.
fn key_type(kind: Kind, column_type: &str) -> Result<Option<String>, String> {
    match kind {
        // Every value is bound as what it is.
        Kind::Sqlite => Ok(None),
        // Every type can be written as a text.
        Kind::Postgres => Ok(Some(column_type.to_owned())),
        Kind::MySql => {
            let (base, unsigned) = (column_type.split(['(', ' ']).next(), column_type.contains("unsigned"));
            match base.unwrap_or_default() {
                "tinyint" | "smallint" | "mediumint" | "int" | "bigint" if unsigned => Ok(Some("UNSIGNED".into())),
                "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Ok(Some("SIGNED".into())),
                "binary" | "varbinary" => Ok(Some("BINARY".into())),
                "char" | "varchar" | "uuid" => Ok(None),
                other => Err(other.to_owned()),
            }
        }
    }
}

impl Table {
    /// The key as it comes out of a row: what can be bound again, and shown.
    pub fn key_read(&self) -> String {
        match (self.kind, self.key_type.as_deref()) {
            (Kind::Sqlite, _) => self.key.clone(),
            (Kind::Postgres, _) => format!("CAST({} AS text)", self.key),
            (Kind::MySql, Some("BINARY")) => format!("HEX({})", self.key),
            (Kind::MySql, _) => format!("CAST({} AS CHAR)", self.key),
        }
    }

    /// Writes a key that came out of a row.
    pub fn key_bound(&self, to: &mut Statement, key: &Value) {
        match (self.kind, self.key_type.as_deref()) {
            (Kind::MySql, Some("BINARY")) => to.push("UNHEX(").bind(key.clone()).push(")"),
            (_, Some(kind)) => to.push("CAST(").bind(key.clone()).push(&format!(" AS {kind})")),
            (_, None) => to.bind(key.clone()),
        };
    }

    /// The tenant of a row as a text, or NULL.
    pub fn tenant_read(&self) -> String {
        match (&self.tenant, self.kind) {
            (None, _) => "NULL".into(),
            (Some(tenant), Kind::Sqlite | Kind::Postgres) => format!("CAST({tenant} AS text)"),
            (Some(tenant), Kind::MySql) => format!("CAST({tenant} AS CHAR)"),
        }
    }
}

/// The columns of a table, none if it is not there.
async fn columns(
    connection: &mut Connection,
    name: &str,
    schema: Option<&str>,
    table: &str,
) -> Result<Vec<Column>, database::Error> {
    let (sql, values) = match connection.kind() {
        Kind::Sqlite => (
            "SELECT x.name, x.type FROM sqlite_schema AS t, pragma_table_xinfo(t.name) AS x
             WHERE t.type = 'table' AND t.name = ?1 COLLATE NOCASE",
            vec![Value::Text(table.to_owned())],
        ),
        Kind::Postgres => (
            "SELECT a.attname, CASE WHEN a.atttypid IN (1082, 1114, 1184) THEN format_type(a.atttypid, NULL)
                    ELSE format_type(a.atttypid, a.atttypmod) END
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
             WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped",
            vec![Value::Text(name.to_owned())],
        ),
        Kind::MySql => (
            "SELECT c.column_name, CASE WHEN c.data_type IN ('date', 'datetime', 'timestamp') THEN c.data_type
                    ELSE CAST(c.column_type AS CHAR) END
             FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
             WHERE c.table_schema = COALESCE(?, DATABASE()) AND c.table_name = ? AND t.table_type = 'BASE TABLE'",
            vec![schema.map_or(Value::Null, |schema| Value::Text(schema.to_owned())), Value::Text(table.to_owned())],
        ),
    };
    let rows = connection.rows("list the columns", sql, &values).await?;
    let column = |row: Vec<Value>| match row.as_slice() {
        [Value::Text(name), Value::Text(kind)] => Some(Column { name: name.clone(), kind: kind.clone() }),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(column).collect())
}

/// The names of tables, for the one that was meant.
async fn tables(connection: &mut Connection, schema: Option<&str>) -> Result<Vec<String>, database::Error> {
    let sql = match connection.kind() {
        Kind::Sqlite => {
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND ?1 IS NULL"
        }
        Kind::Postgres => {
            "SELECT CASE WHEN pg_table_is_visible(c.oid) THEN CAST(c.relname AS text)
                    ELSE concat(n.nspname, '.', c.relname) END
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
               AND n.nspname = COALESCE($1, n.nspname)"
        }
        Kind::MySql => {
            "SELECT table_name FROM information_schema.tables
             WHERE table_schema = COALESCE(?, DATABASE()) AND table_type = 'BASE TABLE'"
        }
    };
    let sql = format!("{sql} LIMIT {TABLES_MAX}");
    let schema = schema.map_or(Value::Null, |schema| Value::Text(schema.to_owned()));
    let rows = connection.rows("list the tables", &sql, &[schema]).await?;
    let text = |row: Vec<Value>| match row.into_iter().next() {
        Some(Value::Text(name)) => Some(name),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(text).collect())
}

/// Looks whether an index begins with the key.
async fn find_index(
    connection: &mut Connection,
    table: &mut Table,
    schema: Option<&str>,
    settings: &PassivateUsers,
) -> Result<(), database::Error> {
    let text = |text: &str| Value::Text(text.to_owned());
    let (id, plain) = (text(&settings.columns.id), settings.table.rsplit('.').next().unwrap_or_default());
    match table.kind {
        Kind::Sqlite => {
            let (key, name) = (&table.key, &table.name);
            let sql =
                format!("EXPLAIN QUERY PLAN SELECT {key} FROM {name} WHERE {key} IS NOT NULL ORDER BY {key} LIMIT 9");
            let plan = connection.rows("explain a query", &sql, &[]).await?;
            let sorts = |value: &Value| matches!(value, Value::Text(detail) if detail.contains("TEMP B-TREE"));
            table.key_is_indexed = !plan.iter().flatten().any(sorts);
        }
        Kind::Postgres => {
            let sql = "SELECT 1 FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a
                       ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                       WHERE i.indrelid = to_regclass($1) AND a.attname = $2 AND i.indisvalid AND i.indpred IS NULL
                       LIMIT 1";
            let found = connection.rows("list the indexes", sql, &[text(&table.name), id]).await?;
            table.key_is_indexed = !found.is_empty();
        }
        Kind::MySql => {
            let sql = "SELECT index_name FROM information_schema.statistics
                       WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND column_name = ?
                       AND seq_in_index = 1 ORDER BY index_name = 'PRIMARY' DESC, non_unique LIMIT 1";
            let schema = schema.map_or(Value::Null, text);
            let found = connection.rows("list the indexes", sql, &[schema, text(plain), id]).await?;
            if let Some([Value::Text(index)]) = found.first().map(Vec::as_slice) {
                table.key_is_indexed = true;
                // Left to choose, it may lock its way through another index, in that index's order.
                table.by_key = format!("{} FORCE INDEX ({})", table.name, quoted(Kind::MySql, index));
            }
        }
    }
    Ok(())
}
