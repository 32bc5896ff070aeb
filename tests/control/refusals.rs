//! What the API refuses: each code from outside.

use crate::support::Served;
use crate::wire::Connection;
use crate::{get, post, request};

#[test]
fn bodies() {
    let served = Served::start();
    for (body, code, detail) in [
        ("", "invalid_json", "EOF"),
        ("{", "invalid_json", "line 1 column 1"),
        ("nonsense", "invalid_json", "expected"),
        ("7", "invalid_value", "not an object"),
        ("{}", "invalid_value", "`task` is missing"),
        (r#"{"task":"mail","arg":1}"#, "unknown_field", "did you mean `args`?"),
        (r#"{"task":["mail"]}"#, "invalid_value", "`task`"),
        (r#"{"task":"mail","priority":"high"}"#, "invalid_value", "`priority`"),
        (r#"{"task":"mail","in":"soon"}"#, "invalid_value", "`in`"),
        (r#"{"task":"mail","in":"1000y"}"#, "invalid_value", "`in`: at most 100 years from now"),
        (r#"{"task":"mail","at":"noon"}"#, "invalid_value", "`at`"),
        (r#"{"task":"mail","at":"9999-12-31T23:59:59Z"}"#, "invalid_value", "`at`: at most 100 years from now"),
        (r#"[{"task":"mail","at":"9999-12-31T23:59:59Z"}]"#, "invalid_value", "element 1: `at`: at most 100 years"),
    ] {
        let reply = post(&served, "/v1/jobs", body);
        assert_eq!((reply.status, reply.code().as_str()), (400, code), "{body}");
        let said = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(said.contains(detail), "{body}: {said}");
    }
    let args = format!(r#"{{"task":"mail","args":"{}"}}"#, "x".repeat(64 * 1024));
    assert_eq!(post(&served, "/v1/jobs", &args).code(), "invalid_value");
    assert_eq!(post(&served, "/v1/repair", r#"{"dryrun":true}"#).code(), "unknown_field");
    assert_eq!(post(&served, "/v1/repair", r#"{"dry_run":1}"#).code(), "invalid_value");
    assert_eq!(post(&served, "/v1/jobs/3/progress", "{}").code(), "invalid_value");
    assert_eq!(post(&served, "/v1/jobs/3/progress", r#"{"current":-1}"#).code(), "invalid_value");
    assert_eq!(post(&served, "/v1/tasks/mail/pause", r#"{"for":"1h"}"#).code(), "unknown_field");
}

#[test]
fn content_types() {
    let served = Served::start();
    let xml = request(&served, "POST", "/v1/jobs", &[("content-type", "text/xml")], "<job/>");
    assert_eq!((xml.status, xml.code().as_str()), (415, "unsupported_media_type"));
    let lines = request(&served, "POST", "/v1/repair", &[("content-type", "application/x-ndjson")], "{}");
    assert_eq!(lines.status, 415);
    // What `curl -d` sends.
    let form = request(
        &served,
        "POST",
        "/v1/jobs",
        &[("content-type", "application/x-www-form-urlencoded")],
        r#"{"task":"mail"}"#,
    );
    assert_eq!(form.status, 201);
}

#[test]
fn paths_and_methods() {
    let served = Served::start();
    for path in ["/", "/v1", "/v2/jobs", "/v1/job", "/v1/jobs/3/nothing", "/v1/jobs/"] {
        let reply = get(&served, path);
        assert_eq!((reply.status, reply.code().as_str()), (404, "unknown_route"), "{path}");
    }
    for (method, path) in
        [("PUT", "/v1/jobs"), ("DELETE", "/v1/jobs/3"), ("DELETE", "/v1/repair"), ("POST", "/v1/status")]
    {
        let reply = request(&served, method, path, &[], "");
        assert_eq!((reply.status, reply.code().as_str()), (405, "method_not_allowed"), "{method} {path}");
        assert!(reply.header("allow").is_some(), "{method} {path}");
    }
    for path in ["/v1/jobs/x", "/v1/jobs/-1", "/v1/jobs/99999999999999999999", "/v1/jobs/1.5/why"] {
        assert_eq!(get(&served, path).code(), "invalid_value", "{path}");
    }
    assert_eq!(get(&served, "/v1/tasks/%ff").code(), "invalid_value");
}

#[test]
fn parameters() {
    let served = Served::start();
    for (path, code) in [
        ("/v1/jobs?state=broken", "invalid_value"),
        ("/v1/jobs?limit=0", "invalid_value"),
        ("/v1/jobs?limit=10001", "invalid_value"),
        ("/v1/jobs?limit=many", "invalid_value"),
        ("/v1/jobs?since=yesterday", "invalid_value"),
        ("/v1/jobs?stat=running", "unknown_parameter"),
        ("/v1/tasks/backup/next?from=noon", "invalid_value"),
        ("/v1/journal?from=-1", "invalid_value"),
        ("/v1/journal?jobb=1", "unknown_parameter"),
        ("/v1/jobs/1/output?attempt=0", "invalid_value"),
        ("/v1/jobs/1/output?follow=perhaps", "invalid_value"),
    ] {
        let reply = get(&served, path);
        assert_eq!((reply.status, reply.code().as_str()), (400, code), "{path}");
    }
    assert_eq!(post(&served, "/v1/jobs?key=k", r#"{"task":"mail"}"#).code(), "unknown_parameter");
}

#[test]
fn the_core_says_no() {
    let served = Served::start();
    let full = post(&served, "/v1/jobs", r#"{"task":"full"}"#);
    assert_eq!((full.status, full.code().as_str()), (429, "queue_full"));
    assert_eq!(full.header("retry-after"), Some("1"));
    for (path, body, status, code) in [
        ("/v1/jobs", r#"{"task":"nobody"}"#, 404, "unknown_task"),
        ("/v1/jobs", r#"{"task":"quick","key":"ada-1"}"#, 409, "key_taken"),
        ("/v1/jobs/99/cancel", "", 404, "not_found"),
        ("/v1/jobs/1/cancel", "", 409, "already_finished"),
        ("/v1/jobs/3/retry", "", 409, "already_running"),
        ("/v1/jobs/7/progress", r#"{"current":1}"#, 409, "not_running"),
        ("/v1/jobs/3/progress", r#"{"current":1,"attempt":7}"#, 409, "stale_attempt"),
        ("/v1/tasks/nobody/pause", "", 404, "unknown_task"),
        ("/v1/tasks/mail/resume", "", 409, "not_paused"),
    ] {
        let reply = post(&served, path, body);
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{path}");
    }
    for (path, code) in [
        ("/v1/jobs/99", "not_found"),
        ("/v1/jobs/99/why", "not_found"),
        ("/v1/jobs/99/watch", "not_found"),
        ("/v1/jobs/99/output", "not_found"),
        ("/v1/jobs/7/output", "no_output"),
        ("/v1/tasks/nobody", "unknown_task"),
        ("/v1/tasks/nobody/next", "unknown_task"),
        ("/v1/tasks/nobody/occurrences", "unknown_task"),
    ] {
        let reply = get(&served, path);
        assert_eq!((reply.status, reply.code().as_str()), (404, code), "{path}");
    }
}

#[test]
fn a_body_that_is_too_large_is_not_even_read() {
    let served = Served::start();
    let mut connection = Connection::open(&served.socket);
    let length = 64 * 1024 * 1024 + 1;
    connection.send(format!("POST /v1/jobs HTTP/1.1\r\nhost: d\r\ncontent-length: {length}\r\n\r\n").as_bytes());
    let reply = connection.reply();
    assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
    // One that does not say how long it is, is read to the bound and no further.
    let mut connection = Connection::open(&served.socket);
    connection.send(b"POST /v1/repair HTTP/1.1\r\nhost: d\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = [b"100000\r\n".to_vec(), vec![b' '; 1 << 20], b"\r\n".to_vec()].concat();
    for _ in 0..64 {
        connection.send(&chunk);
    }
    connection.send(b"1\r\n \r\n");
    assert_eq!(connection.reply().code(), "body_too_large");
}
