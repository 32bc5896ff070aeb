//! Many jobs in one call.

use serde_json::json;

use crate::support::Served;
use crate::{post, request};

const LINES: &[(&str, &str)] = &[("content-type", "application/x-ndjson")];

#[test]
fn an_array_is_answered_with_an_array() {
    let served = Served::start();
    let reply = post(&served, "/v1/jobs", r#" [{"task":"mail"},{"task":"full"},{"task":"mail","key":"ada-1"}]"#);
    assert_eq!(reply.status, 201);
    let answers = reply.json();
    assert_eq!(answers[0], json!({"id": 8, "created": true}));
    assert_eq!(answers[1]["code"], "queue_full");
    assert_eq!(answers[2], json!({"id": 3, "created": false}));
    assert_eq!(answers.as_array().unwrap().len(), 3);
}

#[test]
fn lines_are_answered_with_lines() {
    let served = Served::start();
    let reply = request(&served, "POST", "/v1/jobs", LINES, "{\"task\":\"mail\"}\n\n{\"task\":\"nobody\"}\n");
    assert_eq!((reply.status, reply.header("content-type")), (201, Some("application/x-ndjson")));
    let answers = reply.lines();
    assert_eq!(answers[0], json!({"id": 8, "created": true}));
    assert_eq!(answers[1]["code"], "unknown_task");
    assert_eq!(answers.len(), 2);
}

#[test]
fn nothing_is_added_if_a_line_is_wrong() {
    let served = Served::start();
    let before = served.fake.jobs_len();
    for (body, code, line) in [
        ("{\"task\":\"mail\"}\n{\"task\"\n", "invalid_json", 2),
        ("{\"task\":\"mail\"}\n\n{\"taks\":\"mail\"}", "unknown_field", 3),
        ("{\"task\":\"mail\",\"priority\":10}", "invalid_value", 1),
    ] {
        let reply = request(&served, "POST", "/v1/jobs", LINES, body);
        assert_eq!((reply.status, reply.code().as_str()), (400, code));
        assert_eq!(reply.json()["line"], line);
    }
    let reply = post(&served, "/v1/jobs", r#"[{"task":"mail"},{"task":1}]"#);
    assert_eq!((reply.code().as_str(), &reply.json()["line"]), ("invalid_value", &json!(2)));
    assert_eq!(served.fake.jobs_len(), before);
}

#[test]
fn no_jobs_are_no_error() {
    let served = Served::start();
    let reply = post(&served, "/v1/jobs", "[]");
    assert_eq!((reply.status, reply.text()), (200, "[]"));
    let reply = request(&served, "POST", "/v1/jobs", LINES, "\n");
    assert_eq!((reply.status, reply.text()), (200, ""));
}

#[test]
fn a_call_is_bounded() {
    let served = Served::start();
    let body = vec![r#"{"task":"mail"}"#; 10_001].join("\n");
    let reply = request(&served, "POST", "/v1/jobs", LINES, &body);
    assert_eq!((reply.status, reply.code().as_str()), (413, "too_many_per_call"));
    let body = vec![r#"{"task":"mail"}"#; 10_000].join("\n");
    assert_eq!(request(&served, "POST", "/v1/jobs", LINES, &body).lines().len(), 10_000);
}
