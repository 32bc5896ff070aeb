//! Which value each argument has: the job's, or else the task's. And how a value is handed to a database.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::super::Error;
use super::statement::Statement;
use crate::core::limits;
use crate::database::Value;

/// The value of every name in the statements. Whatever is wrong is found before anything runs: a name without
/// a value, and a value of the job whose name no statement has, because that is likely mistyped.
pub(super) fn collect<'a>(
    statements: &'a [Statement],
    of_task: &'a BTreeMap<String, Json>,
    of_job: &'a Json,
) -> Result<BTreeMap<&'a str, &'a Json>, Error> {
    let refuse = |problem: String| Err(Error::Argument { problem: limits::message(problem) });
    let of_job = match of_job {
        Json::Null => None,
        Json::Object(arguments) => Some(arguments),
        _ => return refuse("they must be an object".into()),
    };
    let names = || statements.iter().flat_map(|statement| statement.names.iter().map(String::as_str));
    if let Some(unknown) =
        of_job.into_iter().flat_map(|of_job| of_job.keys()).find(|key| names().all(|name| name != *key))
    {
        return refuse(format!("no statement has `:{unknown}`{}", known(names())));
    }
    let mut values = BTreeMap::new();
    for name in names() {
        match of_job.and_then(|of_job| of_job.get(name)).or_else(|| of_task.get(name)) {
            Some(value) => drop(values.insert(name, value)),
            None => return refuse(format!("`:{name}` has no value; give the job one, or the task in `args`")),
        }
    }
    Ok(values)
}

/// The names that there are, as the end of a sentence.
fn known<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: std::collections::BTreeSet<String> = names.map(|name| format!("`:{name}`")).collect();
    match names.is_empty() {
        true => "; the task takes no arguments".into(),
        false => format!("; there is {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// As MySQL, MariaDB and SQLite take it, which look at what a value is: numbers as numbers, lists and objects as JSON.
pub(super) fn typed(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => Value::Integer(number),
            (None, Some(real)) if number.is_f64() => Value::Real(real),
            (None, _) => Value::Text(number.to_string()),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(_) | Json::Object(_) => Value::Text(value.to_string()),
    }
}

/// As PostgreSQL takes it, which makes of a text whatever the statement needs: `type_name` is what that is.
pub(super) fn as_text(value: &Json, type_name: &str) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(values) if type_name.ends_with("[]") => Value::Text(array(values)),
        other => Value::Text(other.to_string()),
    }
}

/// PostgreSQL's way of writing an array: `{1,"a text",NULL}`.
fn array(values: &[Json]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let element = |value: &Json| match value {
        Json::Null => "NULL".to_owned(),
        Json::Array(values) => array(values),
        Json::String(text) => quoted(text),
        Json::Bool(_) | Json::Number(_) => value.to_string(),
        Json::Object(_) => quoted(&value.to_string()),
    };
    format!("{{{}}}", values.iter().map(element).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Kind;
    use serde_json::json;

    fn collected(sql: &str, of_task: Json, of_job: Json) -> Result<Json, String> {
        let statements = [Statement::parse(sql, Kind::Postgres).unwrap()];
        let of_task = of_task.as_object().unwrap().clone().into_iter().collect();
        collect(&statements, &of_task, &of_job).map(|values| json!(values)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_job_goes_before_the_task() {
        let sql = "delete from a where b < :days and c = :state and d < :days";
        let all = collected(sql, json!({"days": 7, "state": "old"}), json!({"days": 30}));
        assert_eq!(all, Ok(json!({"days": 30, "state": "old"})));
        assert_eq!(collected("vacuum", json!({}), Json::Null), Ok(json!({})));
    }

    #[test]
    fn what_is_missing_or_unknown_is_told() {
        let refused = |sql, of_job| collected(sql, json!({}), of_job).unwrap_err();
        assert!(refused("select :days", Json::Null).contains("`:days` has no value"));
        let unknown = refused("select :days, :state", json!({"dais": 1, "days": 2}));
        assert!(unknown.contains("no statement has `:dais`; there is `:days`, `:state`"), "{unknown}");
        assert!(refused("vacuum", json!({"a": 1})).contains("takes no arguments"));
        assert!(refused("vacuum", json!([1])).contains("must be an object"));
    }

    #[test]
    fn values_keep_what_they_are() {
        assert_eq!(typed(&json!(-3)), Value::Integer(-3));
        assert_eq!(typed(&json!(u64::MAX)), Value::Text(u64::MAX.to_string()));
        assert_eq!(typed(&json!(0.5)), Value::Real(0.5));
        assert_eq!(typed(&json!({"a": [1]})), Value::Text("{\"a\":[1]}".into()));
        let array = json!([1, true, null, "it's \"a\" \\", [2], {"b": "c"}]);
        let expected = "{1,true,NULL,\"it's \\\"a\\\" \\\\\",{2},\"{\\\"b\\\":\\\"c\\\"}\"}";
        assert_eq!(as_text(&array, "text[]"), Value::Text(expected.into()));
        assert_eq!(as_text(&json!([1]), "jsonb"), Value::Text("[1]".into()));
    }
}
