//! Things that items are about: who handles them, taken out, given parameters of their own.

use daybook::core::command::ItemOutcome;
use serde_json::json;

use crate::support::Served;
use crate::{get, post, request};

fn started(items: &[&str]) -> Served {
    let served = Served::start();
    let body = json!({"task": "clients", "op": "on", "items": items});
    assert_eq!(post(&served, "/v1/batches", &body.to_string()).status, 201);
    served
}

fn put(served: &Served, path: &str, body: &str) -> crate::wire::Reply {
    request(served, "PUT", path, &[("content-type", "application/json")], body)
}

#[test]
fn who_handles_a_thing_is_told() {
    let served = started(&["17", "a/b"]);
    let free = get(&served, "/v1/items/client%3A17").json();
    let expected = json!({
        "key": "client:17", "free": true, "reason": "nobody handles it; it waits in batch 101", "held_by": null,
        "waits_in": [101], "override": null,
    });
    assert_eq!(free, expected);
    served.fake.begin(101, 1);
    let held = get(&served, "/v1/items/client:17").json();
    assert_eq!((&held["free"], &held["waits_in"]), (&json!(false), &json!([])));
    assert_eq!(held["held_by"], json!({"job": 101, "task": "clients", "what": "run"}));
    assert_eq!(held["reason"], "batch 101 of task `clients` handles it");
    post(&served, "/v1/batches/101/advance", r#"{"item":"a/b"}"#);
    assert_eq!(get(&served, "/v1/items/client:a%2Fb").json()["held_by"]["what"], "advance");
    served.fake.end(101, ItemOutcome::Failed { error: "no".into() });
    served.fake.handle(101, 9, &[]);
    // Failed ones wait for the repair.
    assert_eq!(get(&served, "/v1/items/client:17").json()["waits_in"], json!([101]));
    post(&served, "/v1/batches/101/repair", "");
    served.fake.begin(101, 1);
    assert_eq!(get(&served, "/v1/items/client:17").json()["held_by"]["what"], "repair");
    served.fake.invoice("99");
    let held = get(&served, "/v1/items/client:99").json();
    assert_eq!((&held["held_by"]["what"], &held["held_by"]["task"]), (&json!("job"), &json!("invoice")));
    assert_eq!(get(&served, "/v1/items/nobody").json()["reason"], "nobody handles it");
}

#[test]
fn a_thing_is_taken_out() {
    let served = started(&["17", "18"]);
    let removed = request(&served, "DELETE", "/v1/items/client:18", &[], "");
    assert_eq!((removed.status, removed.json()), (200, json!({"key": "client:18", "batches": 1})));
    let row = get(&served, "/v1/batches/101/items?item=18").json();
    assert_eq!(row[0], json!({"item": "18", "state": "skipped", "error": "removed", "attempts": 0}));
    assert_eq!(get(&served, "/v1/batches/101").json()["skipped"], 1);
    served.fake.begin(101, 1);
    let refused = request(&served, "DELETE", "/v1/items/client:17", &[], "");
    assert_eq!((refused.status, refused.code().as_str()), (409, "item_held"));
    assert_eq!(request(&served, "DELETE", "/v1/items/nobody", &[], "").json()["batches"], 0);
}

#[test]
fn a_thing_has_parameters_of_its_own() {
    let served = Served::start();
    let set = put(&served, "/v1/items/client:17/override", "{ \"length\" : 6 }\n").json();
    assert_eq!(set["override"], json!({"params": {"length": 6}, "since": "2026-11-21T12:00:00.000Z"}));
    put(&served, "/v1/items/client:18/override", "null");
    let list = get(&served, "/v1/overrides").json();
    assert_eq!(list[0], json!({"key": "client:17", "params": {"length": 6}, "since": "2026-11-21T12:00:00.000Z"}));
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(get(&served, "/v1/overrides?limit=1").json().as_array().unwrap().len(), 1);
    assert_eq!(get(&served, "/v1/overrides?after=client:17").json()[0]["key"], "client:18");
    let restored = request(&served, "DELETE", "/v1/items/client:17/override", &[], "");
    assert_eq!((restored.status, &restored.json()["override"]), (200, &json!(null)));
    let again = request(&served, "DELETE", "/v1/items/client:17/override", &[], "");
    assert_eq!((again.status, again.code().as_str()), (404, "no_override"));
}

#[test]
fn many_overrides_are_listed_whole() {
    let served = Served::start();
    let mut connection = crate::wire::Connection::open(&served.socket);
    for number in 0..2100 {
        connection.request("PUT", &format!("/v1/items/client:{number:04}/override"), &[], b"1");
    }
    let list = request(&served, "GET", "/v1/overrides", &[("accept", "application/x-ndjson")], "").lines();
    assert_eq!((list.len(), &list[2099]["key"]), (2100, &json!("client:2099")));
}

#[test]
fn what_is_no_name_or_no_value_is_refused() {
    let served = Served::start();
    let long = format!("/v1/items/{}", "x".repeat(2049));
    for (path, detail) in [("/v1/items/a%0Ab", "line break"), (long.as_str(), "2049 bytes"), ("/v1/items/%ff", "")] {
        let reply = get(&served, path);
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_value"), "{path}");
        assert!(reply.json()["detail"].as_str().unwrap().contains(detail), "{path}");
    }
    for (body, code) in [("", "invalid_json"), ("{", "invalid_json"), ("1 2", "invalid_json")] {
        assert_eq!(put(&served, "/v1/items/a/override", body).code(), code, "{body}");
    }
    let large = put(&served, "/v1/items/a/override", &format!("\"{}\"", "x".repeat(4096)));
    assert_eq!((large.status, large.code().as_str()), (400, "invalid_value"));
    assert_eq!(get(&served, "/v1/overrides?limt=1").code(), "unknown_parameter");
    assert_eq!(get(&served, "/v1/items/a?x=1").code(), "unknown_parameter");
    assert_eq!(request(&served, "POST", "/v1/items/a", &[], "").code(), "method_not_allowed");
}
