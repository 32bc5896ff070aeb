//! Every route as it is meant to be used.

use serde_json::json;

use crate::support::Served;
use crate::support::fake::TASKS;
use crate::{get, post, request};

#[test]
fn one_job_is_added_once() {
    let served = Served::start();
    let body = r#"{"task":"mail","args":{"to":"eve"},"key":"k","priority":9,"in":"5m"}"#;
    let first = post(&served, "/v1/jobs", body);
    assert_eq!((first.status, first.text()), (201, r#"{"id":8,"created":true}"#));
    assert_eq!(first.header("content-type"), Some("application/json"));
    let second = post(&served, "/v1/jobs", body);
    assert_eq!((second.status, second.text()), (200, r#"{"id":8,"created":false}"#));
    let job = get(&served, "/v1/jobs/8").json();
    assert_eq!(job["args"], json!({"to": "eve"}));
    assert_eq!(job["priority"], 9);
    assert_eq!(job["due_at"], "2026-11-21T12:05:00.000Z");
}

#[test]
fn a_job_is_due_when_it_says() {
    let served = Served::start();
    for (number, (body, due)) in [
        (r#"{"task":"mail","at":"2026-12-01T00:00:00+01:00"}"#, "2026-11-30T23:00:00.000Z"),
        (r#"{"task":"mail","in":90}"#, "2026-11-21T12:01:30.000Z"),
        (r#"{"task":"mail","in":null,"args":null,"key":null,"at":null}"#, "2026-11-21T12:00:00.000Z"),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(post(&served, "/v1/jobs", body).status, 201, "{body}");
        assert_eq!(get(&served, &format!("/v1/jobs/{}", 8 + number)).json()["due_at"], *due);
    }
}

#[test]
fn a_job_is_shown_with_all_that_was_promised() {
    let served = Served::start();
    let job = get(&served, "/v1/jobs/3").json();
    for key in [
        "id",
        "task",
        "state",
        "attempts",
        "key",
        "args",
        "progress",
        "result",
        "error",
        "created_at",
        "due_at",
        "started_at",
        "finished_at",
    ] {
        assert!(job.get(key).is_some(), "`{key}` is missing");
    }
    assert_eq!(job["progress"], json!({"current": 3, "total": 10, "message": "sending"}));
}

#[test]
fn jobs_are_listed_newest_first() {
    let served = Served::start();
    let ids = |path: &str| -> Vec<u64> {
        let list = get(&served, path).json();
        list.as_array().unwrap().iter().map(|job| job["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids("/v1/jobs"), [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(ids("/v1/jobs?limit=3"), [7, 6, 5]);
    assert_eq!(ids("/v1/jobs?limit=3&after=5"), [4, 3, 2]);
    assert_eq!(ids("/v1/jobs?state=running&state=completed"), [3, 1]);
    assert_eq!(ids("/v1/jobs?state=running,discarded&task=mail"), [3, 2]);
    assert_eq!(ids("/v1/jobs?since=1m"), [7]);
    assert_eq!(ids("/v1/jobs?since=2026-11-21T11:59:00Z"), [7]);
    let lines = request(&served, "GET", "/v1/jobs?limit=2", &[("accept", "application/x-ndjson")], "");
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(lines.lines().len(), 2);
}

#[test]
fn a_long_list_is_whole() {
    let served = Served::start();
    let body = vec![r#"{"task":"mail"}"#; 2_500].join("\n");
    request(&served, "POST", "/v1/jobs", &[("content-type", "application/x-ndjson")], &body);
    for limit in [999, 1000, 1001, 2000, 2507, 2508] {
        let list = get(&served, &format!("/v1/jobs?limit={limit}")).json();
        let ids: Vec<u64> = list.as_array().unwrap().iter().map(|job| job["id"].as_u64().unwrap()).collect();
        let expected: Vec<u64> = (1..=2507).rev().take(limit).collect();
        assert_eq!(ids, expected, "limit {limit}");
    }
    let lines = request(&served, "GET", "/v1/jobs?limit=2507", &[("accept", "application/x-ndjson")], "");
    assert_eq!(lines.lines().len(), 2507);
    assert_eq!(get(&served, "/v1/jobs?task=nobody").text(), "[]");
    let none = request(&served, "GET", "/v1/jobs?task=nobody", &[("accept", "application/x-ndjson")], "");
    assert_eq!((none.status, none.text()), (200, ""));
}

#[test]
fn a_job_is_asked_about() {
    let served = Served::start();
    assert_eq!(get(&served, "/v1/jobs/7/why").json(), json!({"id": 7, "why": "because it is available"}));
    let output = get(&served, "/v1/jobs/2/output?attempt=4");
    assert_eq!(output.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(output.text(), "attempt 4 of job 2\n");
    assert_eq!(get(&served, "/v1/jobs/3/output?follow=1").text(), "attempt 1 of job 3\nand then some\n");
}

#[test]
fn a_job_is_told_what_to_do() {
    let served = Served::start();
    let cancelled = post(&served, "/v1/jobs/7/cancel", r#"{"reason":"no need"}"#).json();
    assert_eq!(cancelled["state"], "cancelled");
    let user = rustix::process::getuid().as_raw();
    assert_eq!(cancelled["error"], format!("cancelled by user {user}: no need"));
    assert_eq!(post(&served, "/v1/jobs/5/retry", "").json()["state"], "available");
    let progress = post(&served, "/v1/jobs/3/progress", r#"{"current":4,"total":10,"message":"on"}"#);
    assert_eq!(progress.json(), json!({"current": 4, "total": 10, "message": "on"}));
    assert_eq!(get(&served, "/v1/jobs/3").json()["progress"]["current"], 4);
}

#[test]
fn tasks() {
    let served = Served::start();
    let names: Vec<_> =
        get(&served, "/v1/tasks").json().as_array().unwrap().iter().map(|t| t["task"].clone()).collect();
    assert_eq!(names, TASKS);
    assert_eq!(get(&served, "/v1/tasks/backup").json()["schedule"], json!(["30 2 * * *"]));
    assert!(post(&served, "/v1/tasks/mail/pause", "").json()["paused_at"].is_string());
    assert!(post(&served, "/v1/tasks/mail/resume", "{}").json()["paused_at"].is_null());
    let next = get(&served, "/v1/tasks/backup/next?count=1&from=2027-01-01T00:00:00Z").json();
    assert_eq!(next, json!([{"task": "backup", "at": "2027-01-01T14:30:00.000Z"}]));
    assert_eq!(get(&served, "/v1/next?count=3").json().as_array().unwrap().len(), 3);
    let rows = get(&served, "/v1/tasks/backup/occurrences?limit=2").json();
    assert_eq!(rows[0]["outcome"], "ran");
    assert_eq!(rows[1]["job"], json!(null));
}

#[test]
fn the_daemon() {
    let served = Served::start();
    assert_eq!(get(&served, "/healthz").json(), json!({"ok": true}));
    let status = get(&served, "/v1/status");
    assert_eq!(status.json()["jobs"]["running"], 1);
    assert_eq!(status.header("date"), Some("Sat, 21 Nov 2026 12:00:00 GMT"));
    assert_eq!(post(&served, "/v1/repair", r#"{"dry_run":true}"#).json()["fixed"], 0);
    assert_eq!(post(&served, "/v1/repair", "").json()["fixed"], 1);
    assert_eq!(post(&served, "/v1/reload", "").json()["changes"].as_array().unwrap().len(), 2);
    served.fake.set_config_errors(&["a:1: one", "b:2: two"]);
    let refused = post(&served, "/v1/reload", "");
    assert_eq!((refused.status, refused.code()), (422, "config_invalid".to_owned()));
    assert_eq!(refused.json()["errors"], json!(["a:1: one", "b:2: two"]));
    served.fake.break_it();
    assert_eq!(get(&served, "/healthz").status, 503);
}

#[test]
fn the_journal() {
    let served = Served::start();
    let all = get(&served, "/v1/journal").lines();
    assert_eq!(all.len(), 11);
    assert_eq!(all[6]["event"], "job_added");
    assert_eq!(all[6]["task"], "mail");
    let seqs = |path: &str| -> Vec<u64> {
        get(&served, path).lines().iter().map(|line| line["seq"].as_u64().unwrap()).collect()
    };
    assert_eq!(seqs("/v1/journal?from=9"), [9, 10, 11]);
    assert_eq!(seqs("/v1/journal?from=2&limit=2"), [2, 3]);
    assert_eq!(seqs("/v1/journal?limit=2"), [10, 11]);
    assert_eq!(seqs("/v1/journal?limit=1000000"), (1..=11).collect::<Vec<_>>());
    assert_eq!(seqs("/v1/journal?job=3"), [7]);
    assert!(seqs("/v1/journal?job=99").is_empty());
    assert!(seqs("/v1/journal?from=12").is_empty());
    assert_eq!(get(&served, "/v1/journal/verify").json()["ok"], true);
}

#[test]
fn every_code_and_every_route_is_documented() {
    let docs = include_str!("../../docs/api.md");
    let missing: Vec<String> = daybook::control::problem::KINDS
        .iter()
        .map(|kind| format!("| `{}` | {} | {} |", kind.code, kind.status, kind.title))
        .filter(|row| !docs.contains(row))
        .collect();
    assert!(missing.is_empty(), "docs/api.md does not have:\n{}", missing.join("\n"));
    let routes = include_str!("../../src/control/handlers/mod.rs");
    for route in routes.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(docs.contains(&format!("{route}`")), "docs/api.md does not have {route}");
    }
}

#[test]
fn orphans_can_be_listed_alone() {
    let served = Served::start();
    assert_eq!(get(&served, "/v1/jobs?orphaned=1").json(), json!([]));
    served.fake.orphan(5);
    let listed = get(&served, "/v1/jobs?orphaned=1").json();
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["id"]), (Some(1), &json!(5)));
    assert_eq!((&listed[0]["state"], &listed[0]["orphaned"]), (&json!("retryable"), &json!(true)));
    assert_eq!(get(&served, "/v1/jobs/4").json()["orphaned"], false);
    assert_eq!(get(&served, "/v1/jobs?orphaned=maybe").status, 400);
}

#[test]
fn a_reload_is_answered_after_the_sweep_if_asked() {
    let served = Served::start();
    assert_eq!(post(&served, "/v1/reload", "").json()["sweep"], json!(null));
    assert_eq!(post(&served, "/v1/reload", r#"{"wait":true}"#).json()["sweep"]["findings"], 2);
    assert_eq!(post(&served, "/v1/reload", r#"{"wiat":true}"#).json()["code"], "unknown_field");
}
