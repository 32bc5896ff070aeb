//! Batches: started in every way that there is, listed, shown, followed, repaired.

use daybook::core::command::ItemOutcome;
use serde_json::{Value, json};

use crate::support::Served;
use crate::wire::{Connection, Reply};
use crate::{get, post, request};

/// Starts a batch of `clients` that is number 101.
fn started(items: &[&str]) -> Served {
    let served = Served::start();
    let body = json!({"task": "clients", "op": "on", "items": items, "params": {"length": 8}});
    let reply = post(&served, "/v1/batches", &body.to_string());
    assert_eq!((reply.status, reply.json()["id"].as_u64()), (201, Some(101)));
    served
}

fn lines(served: &Served, query: &str, kind: &str, body: &str) -> Reply {
    request(served, "POST", &format!("/v1/batches?{query}"), &[("content-type", kind)], body)
}

#[test]
fn a_batch_is_started_with_its_items() {
    let served = Served::start();
    let body =
        r#"{"task":"clients","op":"on","items":["17",18,"ada 1","17"],"params":{"length": 8},"key":"k","priority":9}"#;
    let reply = post(&served, "/v1/batches", body);
    assert_eq!((reply.status, reply.json()), (201, json!({"id": 101, "created": true, "items": 3, "duplicates": 1})));
    let again = post(&served, "/v1/batches", body);
    assert_eq!((again.status, again.json()), (200, json!({"id": 101, "created": false, "items": 3, "duplicates": 1})));
    let shown = get(&served, "/v1/batches/101").json();
    let expected = json!({
        "id": 101, "task": "clients", "state": "running", "op": "on", "params": {"length": 8}, "restore": false, "loaded": true,
        "total": 3, "done": 0, "advanced": 0, "failed": 0, "skipped": 0, "todo": 3, "running": 0, "rate": null, "eta": null,
        "repairs": 0, "repair": null, "error": null, "created_at": "2026-11-21T12:00:00.000Z",
        "started_at": "2026-11-21T12:00:00.000Z", "finished_at": null, "duplicates": 1, "exclusive": "clients",
    });
    assert_eq!(shown, expected);
}

#[test]
fn one_that_reads_its_items_itself_is_given_none() {
    let served = Served::start();
    let reply = post(&served, "/v1/batches", r#"{"task":"players"}"#);
    assert_eq!(
        (reply.status, reply.json()),
        (201, json!({"id": 101, "created": true, "items": null, "duplicates": 0}))
    );
    assert_eq!(get(&served, "/v1/batches/101").json()["loaded"], false);
}

#[test]
fn items_come_one_a_line() {
    let served = Served::start();
    let reply = lines(
        &served,
        "task=letters",
        "text/plain; charset=utf-8",
        "{\"client\": 1}\n\r\n{\"client\":2}\r\n{\"client\":1}",
    );
    assert_eq!((reply.status, reply.json()), (201, json!({"id": 101, "created": true, "items": 2, "duplicates": 1})));
    let query = "task=clients&op=off&params=%7B%22a%22%3A1%7D&restore&key=k&priority=9";
    let reply = lines(&served, query, "application/x-ndjson", "\"a\"\n7\n");
    assert_eq!((reply.status, reply.json()["id"].as_u64()), (201, Some(102)));
    let shown = get(&served, "/v1/batches/102").json();
    assert_eq!((&shown["params"], &shown["restore"], &shown["total"]), (&json!({"a": 1}), &json!(true), &json!(2)));
    // The same key again; what is sent is read and left.
    let again = lines(&served, query, "application/x-ndjson", &"\"b\"\n".repeat(100_000));
    assert_eq!((again.status, again.json()["items"].as_u64()), (200, Some(2)));
    let items = get(&served, "/v1/batches/101/items").json();
    assert_eq!(items[0], json!({"item": "{\"client\": 1}", "state": "todo", "error": null, "attempts": 0}));
    // A batch that names no operation has the only one of its task.
    assert_eq!(get(&served, "/v1/batches/101").json()["op"], "send");
}

#[test]
fn many_items_are_taken_in_lots_and_listed_in_pages() {
    let served = Served::start();
    let body: String = (0..30_000).map(|n| format!("client-{n}\n")).collect();
    let mut connection = Connection::open(&served.socket);
    connection.send(b"POST /v1/batches?task=clients&op=on HTTP/1.1\r\nhost: d\r\ncontent-type: text/plain\r\n");
    connection.send(b"transfer-encoding: chunked\r\n\r\n");
    for piece in body.as_bytes().chunks(1017) {
        connection.send(format!("{:x}\r\n", piece.len()).as_bytes());
        connection.send(piece);
        connection.send(b"\r\n");
    }
    connection.send(b"0\r\n\r\n");
    assert_eq!(connection.reply().json(), json!({"id": 101, "created": true, "items": 30_000, "duplicates": 0}));
    for (query, first, count) in [
        ("", 0, 30_000),
        ("?limit=2500", 0, 2500),
        ("?after=client-4999&limit=1001", 5000, 1001),
        ("?limit=1000", 0, 1000),
    ] {
        let list = get(&served, &format!("/v1/batches/101/items{query}")).json();
        let items: Vec<&str> = list.as_array().unwrap().iter().map(|row| row["item"].as_str().unwrap()).collect();
        let expected: Vec<String> = (first..first + count).map(|n| format!("client-{n}")).collect();
        assert_eq!(items, expected, "{query}");
    }
    let array: Vec<String> = (0..10_000).map(|n| format!("more-{n}")).collect();
    let body =
        json!({"task": "letters", "items": array.iter().map(|client| json!({"client": client})).collect::<Vec<_>>()});
    assert_eq!(post(&served, "/v1/batches", &body.to_string()).json()["items"], 10_000);
}

#[test]
fn what_cannot_be_started_is_refused_and_leaves_nothing() {
    let served = Served::start();
    for (body, status, code, detail) in [
        (r#"{"op":"on","items":[]}"#, 400, "invalid_value", "`task` is missing"),
        (r#"{"task":"clients","op":"on","items":{}}"#, 400, "invalid_value", "`items`"),
        (r#"{"task":"clients","op":"on","items":["a",true]}"#, 400, "invalid_value", "element 2 is neither"),
        (r#"{"task":"clients","op":"on","items":["a\nb"]}"#, 400, "invalid_value", "line break"),
        (r#"{"task":"clients","op":"on","itmes":[]}"#, 400, "unknown_field", "did you mean `items`?"),
        (r#"{"task":"clients","op":"on","items":[],"priority":10}"#, 400, "invalid_value", "`priority` is 10"),
        (r#"{"task":"nobody","items":[]}"#, 404, "unknown_task", "no task `nobody`"),
        (r#"{"task":"clients","op":"on"}"#, 422, "items_missing", "--items FILE"),
        (r#"{"task":"clients","items":["a"]}"#, 422, "op_missing", "on, off"),
        (r#"{"task":"clients","op":"up","items":["a"]}"#, 422, "unknown_op", "`up`"),
        (r#"{"task":"players","items":["a"]}"#, 422, "items_not_taken", "reads its items itself"),
        (r#"{"task":"invoice","items":["a"]}"#, 422, "not_a_batch", "has no items"),
        (r#"{"task":"invoice"}"#, 422, "not_a_batch", "has no items"),
    ] {
        let reply = post(&served, "/v1/batches", body);
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{body}");
        let said = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(said.contains(detail), "{body}: {said}");
    }
    for (query, kind, body, code, detail) in [
        ("op=on", "text/plain", "a", "invalid_value", "`task` is missing"),
        ("task=clients&op=on&itmes=1", "text/plain", "a", "unknown_parameter", "`itmes`"),
        ("task=clients&op=on&params=%7B", "text/plain", "a", "invalid_value", "`params` is no JSON"),
        ("task=clients&op=up", "text/plain", "a", "unknown_op", "`up`"),
        (
            "task=clients&op=on",
            "text/plain",
            "a\nb\n\0\n",
            "invalid_value",
            "line 3: the item has a line break or a NUL",
        ),
        ("task=clients&op=on", "application/x-ndjson", "1\n{\n", "invalid_json", "line 2"),
        ("task=clients&op=on", "text/csv", "1", "unsupported_media_type", "text/csv"),
    ] {
        let reply = lines(&served, query, kind, body);
        assert_eq!(reply.code(), code, "{query}");
        let said = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(said.contains(detail), "{query}: {said}");
    }
    // It is answered before what had come is dropped.
    while served.fake.batches_len() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn who_is_refused_while_still_sending_is_told_so() {
    let served = Served::start();
    let much = "client\n".repeat(1 << 20);
    let reply = lines(&served, "task=nobody", "text/plain", &much);
    assert_eq!((reply.status, reply.code().as_str()), (404, "unknown_task"));
    let reply = lines(&served, "task=clients&op=on", "text/plain", &format!("\0\n{much}"));
    assert_eq!((reply.status, reply.json()["line"].as_u64()), (400, Some(1)));
}

#[test]
fn a_client_that_goes_away_leaves_no_batch() {
    let served = Served::start();
    let mut connection = Connection::open(&served.socket);
    connection.send(b"POST /v1/batches?task=clients&op=on HTTP/1.1\r\nhost: d\r\ncontent-type: text/plain\r\n");
    connection.send(b"content-length: 100000000\r\n\r\n");
    let lot = "a-client-of-ours\n".repeat(10_000);
    connection.send(lot.as_bytes());
    while served.fake.batches_len() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(get(&served, "/v1/batches/101").code(), "no_batch");
    assert_eq!(get(&served, "/v1/batches").text(), "[]");
    drop(connection);
    while served.fake.batches_len() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn batches_are_listed_newest_first() {
    let served = started(&["a"]);
    post(&served, "/v1/batches", r#"{"task":"letters","items":[{"client":1}]}"#);
    post(&served, "/v1/batches", r#"{"task":"players"}"#);
    served.fake.handle(102, 10, &[]);
    let ids = |query: &str| -> Vec<u64> {
        let list = get(&served, &format!("/v1/batches{query}")).json();
        list.as_array().unwrap().iter().map(|batch| batch["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids(""), [103, 102, 101]);
    assert_eq!(ids("?limit=1"), [103]);
    assert_eq!(ids("?after=103&limit=5"), [102, 101]);
    assert_eq!(ids("?state=completed"), [102]);
    assert_eq!(ids("?state=running,completed&task=clients"), [101]);
    for (query, code) in [
        ("?state=done", "invalid_value"),
        ("?limit=0", "invalid_value"),
        ("?after=x", "invalid_value"),
        ("?since=1m", "unknown_parameter"),
    ] {
        assert_eq!(get(&served, &format!("/v1/batches{query}")).code(), code, "{query}");
    }
    let list = request(&served, "GET", "/v1/batches?limit=2", &[("accept", "application/x-ndjson")], "");
    assert_eq!(list.lines().len(), 2);
}

#[test]
fn progress_counts_an_item_once() {
    let served = started(&["a", "b", "c", "d"]);
    post(&served, "/v1/batches/101/advance", r#"{"item":"c"}"#);
    served.fake.end(101, ItemOutcome::Done);
    served.fake.pass(10);
    served.fake.handle(101, 2, &["b"]);
    let shown = get(&served, "/v1/batches/101").json();
    let counts = |shown: &Value| {
        ["total", "done", "advanced", "failed", "skipped", "todo", "running"].map(|key| shown[key].as_u64().unwrap())
    };
    assert_eq!(counts(&shown), [4, 1, 1, 1, 0, 1, 0]);
    assert_eq!((&shown["rate"], &shown["eta"]), (&json!(0.3), &json!(3.33)));
    served.fake.handle(101, 9, &[]);
    let shown = get(&served, "/v1/batches/101").json();
    assert_eq!(counts(&shown), [4, 2, 1, 1, 0, 0, 0]);
    assert_eq!((&shown["state"], &shown["error"]), (&json!("retryable"), &json!("1 of 4 items failed")));
    let row = |item: &str| get(&served, &format!("/v1/batches/101/items?item={item}")).json()[0].clone();
    assert_eq!(row("b"), json!({"item": "b", "state": "failed", "error": "no such client", "attempts": 1}));
    assert_eq!((&row("c")["state"], &row("a")["state"]), (&json!("advanced"), &json!("done")));
    let states =
        |state: &str| get(&served, &format!("/v1/batches/101/items?state={state}")).json().as_array().unwrap().len();
    assert_eq!((states("failed"), states("done,advanced"), states("skipped"), states("todo")), (1, 3, 0, 0));
    for (query, code) in [
        ("?state=gone", "invalid_value"),
        ("?item=z", "no_item"),
        ("?after=z", "no_item"),
        ("?limit=0", "invalid_value"),
        ("?stat=done", "unknown_parameter"),
    ] {
        assert_eq!(get(&served, &format!("/v1/batches/101/items{query}")).code(), code, "{query}");
    }
}

#[test]
fn a_repair_handles_what_is_not_done() {
    let served = started(&["a", "b", "c"]);
    let refused = post(&served, "/v1/batches/101/repair", "");
    assert_eq!((refused.status, refused.code().as_str()), (409, "batch_running"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.json()["detail"].as_str().unwrap().contains("its run goes on"));
    served.fake.handle(101, 9, &["b", "c"]);
    assert_eq!(post(&served, "/v1/batches/101/repair", "").json()["id"], 101);
    served.fake.handle(101, 1, &[]);
    let shown = get(&served, "/v1/batches/101").json();
    assert_eq!((&shown["repairs"], &shown["repair"]), (&json!(1), &json!({"number": 1, "total": 2, "done": 1})));
    let refused = post(&served, "/v1/batches/101/repair", "{}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("a repair goes on"));
    served.fake.handle(101, 1, &[]);
    let shown = get(&served, "/v1/batches/101").json();
    assert_eq!((&shown["state"], &shown["done"], &shown["repair"]), (&json!("completed"), &json!(3), &Value::Null));
    assert_eq!(post(&served, "/v1/batches/101/repair", "").code(), "nothing_to_repair");
    assert_eq!(post(&served, "/v1/batches/7/repair", "").code(), "no_batch");
    assert_eq!(post(&served, "/v1/batches/101/repair", r#"{"dry_run":true}"#).code(), "unknown_field");
}

#[test]
fn what_is_forgotten_is_still_told_from_the_history() {
    let served = started(&["a", "b"]);
    served.fake.handle(101, 9, &[]);
    served.fake.forget(101);
    let shown = get(&served, "/v1/batches/101").json();
    assert_eq!(
        (&shown["state"], &shown["op"], &shown["total"], &shown["done"]),
        (&json!("completed"), &json!("on"), &json!(2), &json!(2))
    );
    assert_eq!(get(&served, "/v1/batches/101/items").code(), "no_batch");
    assert_eq!(post(&served, "/v1/batches/101/repair", "").code(), "no_batch");
}

#[test]
fn a_group_has_one_batch_at_a_time() {
    let served = started(&["a"]);
    let reply = post(&served, "/v1/batches", r#"{"task":"clients","op":"off","items":["b"]}"#);
    assert_eq!((reply.status, reply.code().as_str()), (409, "group_busy"));
    assert!(reply.json()["detail"].as_str().unwrap().contains("batch 101"));
}

#[test]
fn an_item_is_handled_ahead_of_its_turn() {
    let served = started(&["a", "b"]);
    let reply = post(&served, "/v1/batches/101/advance", r#"{"item":"b"}"#);
    assert_eq!((reply.status, reply.json()), (202, json!({"item": "b", "state": "running"})));
    for (path, body, status, code) in [
        ("/v1/batches/101/advance", r#"{"item":"b"}"#, 409, "item_not_waiting"),
        ("/v1/batches/101/advance", r#"{"item":"z"}"#, 404, "no_item"),
        ("/v1/batches/101/advance", "{}", 400, "invalid_value"),
        ("/v1/batches/101/advance", r#"{"item":null}"#, 400, "invalid_value"),
        ("/v1/batches/101/advance", r#"{"item":[1]}"#, 400, "invalid_value"),
        ("/v1/batches/9/advance", r#"{"item":"a"}"#, 404, "no_batch"),
        ("/v1/batches/x/advance", r#"{"item":"a"}"#, 400, "invalid_value"),
    ] {
        let reply = post(&served, path, body);
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{path} {body}");
    }
    served.fake.end(101, ItemOutcome::Done);
    assert_eq!(post(&served, "/v1/batches/101/advance", r#"{"item":"b"}"#).code(), "item_not_waiting");
}

#[test]
fn who_wants_to_know_how_an_advance_ends_waits_for_it() {
    let served = started(&["17", "18"]);
    for (item, outcome, state, error) in [
        ("17", ItemOutcome::Done, "advanced", Value::Null),
        ("18", ItemOutcome::Failed { error: "no such client".into() }, "failed", json!("no such client")),
    ] {
        let mut waiting = Connection::open(&served.socket);
        let body = format!("{{\"item\":{item}}}");
        waiting.send(
            format!(
                "POST /v1/batches/101/advance?wait HTTP/1.1\r\nhost: d\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        );
        while get(&served, "/v1/batches/101").json()["running"] != 1 {}
        served.fake.end(101, outcome);
        let reply = waiting.reply();
        assert_eq!(
            (reply.status, reply.json()),
            (200, json!({"item": item, "state": state, "error": error, "attempts": 1}))
        );
    }
}

#[test]
fn a_batch_is_followed_until_it_is_over() {
    let served = started(&["a", "b"]);
    let mut following = Connection::open(&served.socket);
    following.send(b"GET /v1/batches/101?follow=true HTTP/1.1\r\nhost: d\r\n\r\n");
    let (status, headers) = following.head();
    assert!(status == 200 && headers.contains(&("content-type".to_owned(), "application/x-ndjson".to_owned())));
    let mut line = || following.chunk().map(|line| serde_json::from_slice::<Value>(&line).expect("a line of JSON"));
    assert_eq!(line().unwrap()["done"], 0);
    served.fake.handle(101, 1, &[]);
    assert_eq!(line().unwrap()["done"], 1);
    served.fake.handle(101, 1, &[]);
    assert_eq!(line().unwrap()["state"], "completed");
    assert!(line().is_none());
    assert_eq!(get(&served, "/v1/batches/101?follow=1").lines().len(), 1);
    assert_eq!(get(&served, "/v1/batches/7").code(), "no_batch");
    assert_eq!(get(&served, "/v1/batches/7?follow=1").code(), "no_batch");
    assert_eq!(get(&served, "/v1/batches/101?folow=1").code(), "unknown_parameter");
}

#[test]
fn when_it_is_through_is_not_known_of_a_run_that_begins_nothing() {
    let served = started(&["a", "b", "c", "d"]);
    served.fake.pass(10);
    served.fake.handle(101, 1, &[]);
    let shown = |batch: &Value| (batch["rate"].clone(), batch["eta"].clone());
    let alone = || shown(&get(&served, "/v1/batches/101").json());
    let listed = || shown(&get(&served, "/v1/batches").json()[0]);
    let mut following = Connection::open(&served.socket);
    following.send(b"GET /v1/batches/101?follow=true HTTP/1.1\r\nhost: d\r\n\r\n");
    following.head();
    let mut line = || shown(&serde_json::from_slice(&following.chunk().expect("it goes on")).expect("a line of JSON"));
    let (known, unknown) = ((json!(0.1), json!(30.0)), (json!(0.1), Value::Null));
    assert_eq!((line(), alone(), listed()), (known.clone(), known.clone(), known.clone()));
    served.fake.pause_items("clients", true);
    assert_eq!((line(), alone(), listed()), (unknown.clone(), unknown.clone(), unknown.clone()));
    served.fake.pause_items("clients", false);
    assert_eq!((line(), alone()), (known.clone(), known));
    served.fake.cordon();
    assert_eq!((alone(), listed()), (unknown.clone(), unknown));
}

#[test]
fn what_follows_ends_when_the_server_stops() {
    let mut served = started(&["a", "b"]);
    let mut following = Connection::open(&served.socket);
    following.send(b"GET /v1/batches/101?follow=true HTTP/1.1\r\nhost: d\r\n\r\n");
    following.head();
    assert!(following.chunk().is_some());
    served.stop();
    assert!(following.chunk().is_none());
}
