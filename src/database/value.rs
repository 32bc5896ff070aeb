//! Values that go into statements and come out of rows, the same for every kind of database.

use sqlx::mysql::{MySql, MySqlRow};
use sqlx::postgres::{PgRow, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{AssertSqlSafe, Encode, Row as _, Type, TypeInfo, ValueRef};

/// A value that is bound to a statement, or that a row holds.
///
/// Other types are cast in the statement: `CAST($1 AS uuid)` takes a text, `CAST(id AS text)` gives one.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The values of a row, in the order of the statement.
pub type Row = Vec<Value>;

/// A statement with its values.
pub(super) fn bound<'q, DB>(sql: &str, values: &[Value]) -> Query<'q, DB, DB::Arguments>
where
    DB: sqlx::Database,
    bool: Type<DB> + Encode<'q, DB>,
    i64: Type<DB> + Encode<'q, DB>,
    f64: Type<DB> + Encode<'q, DB>,
    String: Type<DB> + Encode<'q, DB>,
    Vec<u8>: Type<DB> + Encode<'q, DB>,
    Option<String>: Type<DB> + Encode<'q, DB>,
{
    // Who gives the text is whoever may write the config; values from elsewhere are bound.
    let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
    values.iter().fold(query, |query, value| match value {
        Value::Null => query.bind(None::<String>),
        Value::Boolean(value) => query.bind(*value),
        Value::Integer(value) => query.bind(*value),
        Value::Real(value) => query.bind(*value),
        Value::Text(value) => query.bind(value.clone()),
        Value::Bytes(value) => query.bind(value.clone()),
    })
}

/// A kind of database whose rows can be read.
pub(super) trait Readable: sqlx::Database {
    /// The value in a column.
    fn value(row: &Self::Row, column: usize) -> sqlx::Result<Value>;
}

fn unknown(column: usize, kind: &str) -> sqlx::Error {
    let problem = format!("it is of the type `{kind}`; cast it to text in the statement");
    sqlx::Error::ColumnDecode { index: column.to_string(), source: problem.into() }
}

impl Readable for Sqlite {
    fn value(row: &SqliteRow, column: usize) -> sqlx::Result<Value> {
        let raw = row.try_get_raw(column)?;
        let info = raw.type_info().into_owned();
        if raw.is_null() {
            return Ok(Value::Null);
        }
        match info.name() {
            "INTEGER" => row.try_get_unchecked(column).map(Value::Integer),
            "REAL" => row.try_get_unchecked(column).map(Value::Real),
            "TEXT" => row.try_get_unchecked(column).map(Value::Text),
            "BLOB" => row.try_get_unchecked(column).map(Value::Bytes),
            other => Err(unknown(column, other)),
        }
    }
}

impl Readable for Postgres {
    fn value(row: &PgRow, column: usize) -> sqlx::Result<Value> {
        let raw = row.try_get_raw(column)?;
        let info = raw.type_info().into_owned();
        if raw.is_null() {
            return Ok(Value::Null);
        }
        match info.name() {
            "BOOL" => row.try_get_unchecked(column).map(Value::Boolean),
            "INT2" => row.try_get_unchecked::<i16, _>(column).map(|value| Value::Integer(value.into())),
            "INT4" => row.try_get_unchecked::<i32, _>(column).map(|value| Value::Integer(value.into())),
            "INT8" => row.try_get_unchecked(column).map(Value::Integer),
            "FLOAT4" => row.try_get_unchecked::<f32, _>(column).map(|value| Value::Real(value.into())),
            "FLOAT8" => row.try_get_unchecked(column).map(Value::Real),
            "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "UNKNOWN" => row.try_get_unchecked(column).map(Value::Text),
            "BYTEA" => row.try_get_unchecked(column).map(Value::Bytes),
            other => Err(unknown(column, other)),
        }
    }
}

impl Readable for MySql {
    fn value(row: &MySqlRow, column: usize) -> sqlx::Result<Value> {
        let raw = row.try_get_raw(column)?;
        let info = raw.type_info().into_owned();
        if raw.is_null() {
            return Ok(Value::Null);
        }
        match info.name() {
            "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => {
                row.try_get_unchecked(column).map(Value::Integer)
            }
            "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED" | "BIGINT UNSIGNED" => {
                // What i64 does not hold stays exact as a text.
                let value: u64 = row.try_get_unchecked(column)?;
                Ok(i64::try_from(value).map_or_else(|_| Value::Text(value.to_string()), Value::Integer))
            }
            "DOUBLE" => row.try_get_unchecked(column).map(Value::Real),
            "CHAR" | "VARCHAR" | "TINYTEXT" | "TEXT" | "MEDIUMTEXT" | "LONGTEXT" | "ENUM" => {
                row.try_get_unchecked(column).map(Value::Text)
            }
            "BINARY" | "VARBINARY" | "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB" => {
                row.try_get_unchecked(column).map(Value::Bytes)
            }
            other => Err(unknown(column, other)),
        }
    }
}
