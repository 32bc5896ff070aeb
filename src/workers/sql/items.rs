//! The items of a batch, read by a query in a cursor: however many they are, only a lot of them is in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value as Json;

use super::super::Error;
use super::statement::Statement;
use super::{arguments, bind};
use crate::core::limits;
use crate::database::{Connection, Database, Kind, Row, Timeouts, Value};

/// Items of one lot.
const LOT_MAX: usize = 1000;
/// The wait for the next row; the first one may come after all have been sorted.
const ROW_MAX: Duration = Duration::from_secs(3600);
/// What is done, in an error.
const DOING: &str = "read items";

/// Runs a query and hands over its rows as items, in its order and in lots of up to 1,000; the next rows are asked for
/// when a lot was taken. Says how many there were. Dropping the future ends the query.
///
/// A row of one column is its value as a text, one of several a JSON object with the columns' names as keys. PostgreSQL
/// makes either itself, of all of its types; elsewhere, what is neither a number nor a text is cast in the query.
/// `args` are the values of `:NAME` in it; others are not used.
///
/// # Errors
/// If the query fails, is none or has a column without a name of its own; for a row without a value, or whose item has
/// more than 1,024 bytes, with its number; and those of `on_lot`. The lots before were taken.
pub async fn stream_items<E, F>(
    database: &Database,
    sql: &str,
    args: &BTreeMap<String, Json>,
    mut on_lot: impl FnMut(Vec<String>) -> F,
) -> Result<u64, E>
where
    E: From<Error>,
    F: Future<Output = Result<(), E>>,
{
    let kind = database.kind().map_err(Error::from)?;
    let timeouts = Timeouts { statement: limits::DURATION_MAX, ..Timeouts::default() };
    let mut connection = database.connect(&timeouts).await.map_err(Error::from)?;
    let query = query(&mut connection, kind, sql, args).await?;
    let mut count = 0;
    {
        let mut rows = connection.stream(DOING, &query.text, &query.values);
        let mut lot = Vec::with_capacity(LOT_MAX);
        loop {
            let row = match tokio::time::timeout(ROW_MAX, rows.next()).await {
                Ok(row) => row.transpose().map_err(Error::from)?,
                Err(_) => Err(refused(database, format!("no row within {}", humantime::format_duration(ROW_MAX))))?,
            };
            if let Some(row) = &row {
                count += 1;
                lot.push(query.item(row).map_err(|problem| refused(database, format!("row {count}: {problem}")))?);
            }
            if lot.len() == LOT_MAX || (row.is_none() && !lot.is_empty()) {
                on_lot(std::mem::replace(&mut lot, Vec::with_capacity(LOT_MAX))).await?;
            }
            if row.is_none() {
                break;
            }
        }
    }
    connection.close().await;
    Ok(count)
}

fn refused(database: &Database, problem: String) -> Error {
    Error::Items { database: database.name.clone(), problem: limits::message(problem) }
}

/// A query whose rows are items.
struct Query {
    text: String,
    values: Vec<Value>,
    /// The columns of a row that becomes an object; none where each row is one value.
    columns: Vec<String>,
}

async fn query(
    connection: &mut Connection,
    kind: Kind,
    sql: &str,
    args: &BTreeMap<String, Json>,
) -> Result<Query, Error> {
    let refuse = |problem: String| Error::Items { database: connection.database().to_owned(), problem };
    let statement = Statement::parse(sql, kind).map_err(|problem| refuse(format!("the query {problem}")))?;
    let statements = std::slice::from_ref(&statement);
    let arguments = arguments::collect(statements, args, &Json::Null)?;
    let (text, values) = bind::bind(connection, &statement, &arguments, &mut None, DOING).await?;
    let columns = connection.columns(DOING, &text).await?;
    let refuse = |problem: String| Err(Error::Items { database: connection.database().to_owned(), problem });
    let mut names = BTreeSet::new();
    if let Some(twice) = columns.iter().find(|name| !names.insert(*name)) {
        return refuse(format!("two columns are called `{twice}`; give one of them another name with `AS`"));
    }
    // The line end ends a comment behind the query. No column has the name of ours, so that it is all of the row.
    let (text, columns) = match (kind, columns.len()) {
        (_, 0) => return refuse(format!("`{}` gives no rows; a query is wanted", statement.verb)),
        (Kind::Postgres, 1) => (
            format!("SELECT CAST(daybook_item.daybook_value AS text) FROM ({text}\n) AS daybook_item(daybook_value)"),
            vec![],
        ),
        (Kind::Postgres, _) => {
            (format!("SELECT CAST(to_json(daybook_item) AS text) FROM ({text}\n) AS daybook_item"), vec![])
        }
        (Kind::Sqlite | Kind::MySql, 1) => (text, vec![]),
        (Kind::Sqlite | Kind::MySql, _) => (text, columns),
    };
    Ok(Query { text, values, columns })
}

impl Query {
    fn item(&self, row: &Row) -> Result<String, String> {
        let item = match (self.columns.as_slice(), row.as_slice()) {
            ([], [Value::Null]) => return Err("its item is NULL".into()),
            ([], [Value::Text(text)]) => text.clone(),
            ([], [value]) => json(value)?,
            (columns, values) => {
                let member =
                    |(name, value): (&String, &Value)| Ok(format!("{}:{}", Json::from(name.as_str()), json(value)?));
                let members: Result<Vec<String>, String> = columns.iter().zip(values).map(member).collect();
                format!("{{{}}}", members?.join(","))
            }
        };
        match item.len() {
            0 => Err("its item is empty".into()),
            1..=limits::ITEM_BYTES_MAX => Ok(item),
            more => Err(format!("its item has {more} bytes; it may have {}", limits::ITEM_BYTES_MAX)),
        }
    }
}

/// A value as JSON.
fn json(value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::Null => "null".into(),
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        // Infinity would become a `null` that nobody wrote.
        Value::Real(value) if !value.is_finite() => {
            return Err(format!("its item has {value}, which JSON has no number for; cast it to text in the query"));
        }
        Value::Real(value) => Json::from(*value).to_string(),
        Value::Text(text) => Json::from(text.as_str()).to_string(),
        Value::Bytes(_) => return Err("it holds bytes; cast them to text in the query".into()),
    })
}
