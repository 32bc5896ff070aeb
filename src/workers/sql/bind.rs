//! A statement as a database takes it: its text with the places of arguments, and the values for these.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::arguments;
use super::statement::Statement;
use crate::database::{self, Connection, Kind, Value};

/// The types of a statement's arguments, as PostgreSQL found them out; asked for once for each connection.
pub(super) type Types = Option<Vec<String>>;

/// The text and the values.
pub(super) async fn bind(
    connection: &mut Connection,
    statement: &Statement,
    arguments: &BTreeMap<&str, &Json>,
    types: &mut Types,
    doing: &str,
) -> Result<(String, Vec<Value>), database::Error> {
    let value = |name: &String| arguments.get(name.as_str()).copied().unwrap_or(&Json::Null);
    match connection.kind() {
        Kind::Postgres if !statement.names.is_empty() => {
            // What each argument has to be follows from the statement, so the server is asked; it also knows how to
            // read it from a text.
            let types = match types {
                Some(types) => types,
                None => {
                    let plain = statement.text(|number| format!("${}", number + 1));
                    types.insert(connection.parameter_types(doing, &plain).await?)
                }
            };
            let name = |number: usize| types.get(number).map_or("text", String::as_str);
            let text = statement.text(|number| format!("CAST(CAST(${} AS text) AS {})", number + 1, name(number)));
            let values = statement.names.iter().enumerate();
            let values = values.map(|(at, name_of)| arguments::as_text(value(name_of), name(at))).collect();
            Ok((text, values))
        }
        Kind::Postgres | Kind::Sqlite | Kind::MySql => {
            let values = statement.names.iter().map(|name| arguments::typed(value(name))).collect();
            Ok((statement.text(|_| "?".to_owned()), values))
        }
    }
}
