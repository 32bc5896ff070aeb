//! Whether a server finds candidates by an index on their moments, by its own word. An index on the column `active`
//! alone does not count: it leads to every active user.

use crate::database::{Kind, Row, Value};

/// What makes a statement one that asks for its plan.
pub(super) fn explain(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "EXPLAIN QUERY PLAN ",
        Kind::Postgres => "EXPLAIN ",
        Kind::MySql => "EXPLAIN FORMAT=JSON ",
    }
}

/// Whether every row of a plan's statement is found by this column in an index.
pub(super) fn uses(kind: Kind, plan: &[Row], column: &str) -> bool {
    let mut texts = plan.iter().flatten().filter_map(|value| match value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    });
    match kind {
        // "SEARCH users USING INDEX seen (is_active=? AND last_login_at<?)"
        Kind::Sqlite => {
            let reads = |step: &&str| step.starts_with("SEARCH") || (step.starts_with("SCAN") && *step != "SCAN part");
            let mut steps = texts.filter(reads).peekable();
            let by_index = |step: &str| {
                step.starts_with("SEARCH") && step.split_once('(').is_some_and(|(_, terms)| terms.contains(column))
            };
            steps.peek().is_some() && steps.all(by_index)
        }
        // "-> Index Scan using seen on users", "Index Cond: (last_login_at < ...)"
        Kind::Postgres => {
            let lines: Vec<&str> = texts.collect();
            let count = |found: &dyn Fn(&&&str) -> bool| lines.iter().filter(found).count();
            let scans = count(&|line| {
                (line.contains("Scan using") || line.contains("Scan on")) && !line.contains("Subquery Scan")
            });
            scans > 0 && scans == count(&|line| line.contains("Index Cond:") && line.contains(column))
        }
        Kind::MySql => texts
            .any(|text| serde_json::from_str(text).is_ok_and(|plan: serde_json::Value| uses_key_part(&plan, column))),
    }
}

/// Whether a plan, in the JSON of MySQL and MariaDB, looks a column up in an index.
fn uses_key_part(plan: &serde_json::Value, column: &str) -> bool {
    match plan {
        // All of an index is read.
        serde_json::Value::Object(object) if object.get("access_type").is_some_and(|kind| kind == "index") => false,
        serde_json::Value::Object(object) => object.iter().any(|(key, value)| match (key.as_str(), value.as_array()) {
            ("used_key_parts", Some(parts)) => {
                parts.iter().any(|part| part.as_str().is_some_and(|part| part.eq_ignore_ascii_case(column)))
            }
            _ => uses_key_part(value, column),
        }),
        serde_json::Value::Array(values) => values.iter().any(|value| uses_key_part(value, column)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_search_by_the_moment_counts() {
        let uses = |kind, lines: &[&str]| {
            let plan: Vec<Row> =
                lines.iter().map(|line| vec![Value::Integer(0), Value::Text((*line).into())]).collect();
            super::uses(kind, &plan, "last_login_at")
        };
        let search = "SEARCH users USING INDEX seen (is_active=? AND last_login_at<?)";
        assert!(uses(Kind::Sqlite, &["MULTI-INDEX OR", "INDEX 1", search]));
        assert!(!uses(Kind::Sqlite, &["SEARCH users USING INDEX seen (is_active=?)"]));
        assert!(!uses(Kind::Sqlite, &[search, "SCAN users"]));
        assert!(uses(
            Kind::Postgres,
            &["->  Bitmap Index Scan on seen", "  Index Cond: (last_login_at < '2026'::date)"]
        ));
        assert!(!uses(Kind::Postgres, &["Seq Scan on users", "  Filter: (last_login_at < '2026'::date)"]));
        let json = |kind: &str| {
            format!(
                r#"{{"query_block": {{"table": {{"access_type": "{kind}", "used_key_parts": ["is_active", "last_login_at"]}}}}}}"#
            )
        };
        assert!(uses(Kind::MySql, &[&json("range")]));
        assert!(!uses(Kind::MySql, &[&json("index")]), "it reads the whole index");
        assert!(!uses(Kind::MySql, &["{}", "no json"]));
    }
}
