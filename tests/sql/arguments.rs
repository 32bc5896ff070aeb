//! Arguments are bound, by name, from the job or from the task.

use serde_json::json;

use crate::base::Base;
use crate::on_each_database;

on_each_database!(
    the_job_goes_before_the_task,
    a_value_is_never_a_part_of_a_statement,
    what_is_missing_or_unknown_is_told_before_anything_runs,
    values_of_every_type_arrive,
);

fn the_job_goes_before_the_task(base: &Base) {
    base.run(&["CREATE TABLE things (id integer)", "INSERT INTO things VALUES (1), (2), (3), (4)"]);
    let place = base
        .place("[task.a]\ndatabase = \"app\"\nargs = { least = 4 }\nsql = \"delete from things where id >= :least\"");
    let daemon = place.start();
    let rows = |args| {
        let job = daemon.add(json!({ "task": "a", "args": args }));
        daemon.wait_state(job, "completed")["result"]["rows"].clone()
    };
    assert_eq!(rows(json!({})), 1);
    assert_eq!(rows(json!({ "least": 2 })), 2);
    assert_eq!(base.number("SELECT count(*) FROM things"), 1);
}

fn a_value_is_never_a_part_of_a_statement(base: &Base) {
    base.run(&["CREATE TABLE things (name varchar(100))"]);
    let place = base.place(
        "[task.a]\ndatabase = \"app\"\nsql = [\"insert into things values (:name)\", \"update things set name = name where name = :name\"]",
    );
    let daemon = place.start();
    for name in ["'); drop table things; --", "\\'; -- ", "$1", ":name", "?", "é \u{1f600} \"`"] {
        let job = daemon.add(json!({ "task": "a", "args": { "name": name } }));
        assert_eq!(daemon.wait_state(job, "completed")["result"]["statements"], json!([1, 1]), "{name}");
    }
    assert_eq!(base.number("SELECT count(*) FROM things"), 6);
}

fn what_is_missing_or_unknown_is_told_before_anything_runs(base: &Base) {
    base.run(&["CREATE TABLE things (id integer)"]);
    let place = base.place(
        "[task.a]\ndatabase = \"app\"\nattempts = 1\ntransaction = false\n\
         sql = [\"insert into things values (1)\", \"delete from things where id = :id\"]",
    );
    let daemon = place.start();
    let error = |args| {
        let job = daemon.add(json!({ "task": "a", "args": args }));
        daemon.wait_state(job, "discarded")["error"].as_str().unwrap().to_owned()
    };
    let missing = error(json!({}));
    assert!(missing.contains("`:id` has no value"), "{missing}");
    let unknown = error(json!({ "id": 1, "di": 2 }));
    assert!(unknown.contains("no statement has `:di`; there is `:id`"), "{unknown}");
    assert_eq!(base.number("SELECT count(*) FROM things"), 0);
}

fn values_of_every_type_arrive(base: &Base) {
    let types = base.choose(
        "i integer, r real, b boolean, t text, m text, j text, n text",
        "i bigint, r numeric, b boolean, t varchar(10), m timestamptz, j jsonb, n uuid",
        "i bigint, r decimal(10, 2), b boolean, t varchar(10), m datetime, j json, n date",
    );
    base.run(&[&format!("CREATE TABLE things ({types})")]);
    let place = base.place(
        "[task.a]\ndatabase = \"app\"\nsql = [\"insert into things values (:i, :r, :b, :t, :m, :j, :n)\", \
         \"delete from things where i = :i and r = :r and b = :b and t = :t and m = :m and n is null\"]",
    );
    let daemon = place.start();
    let args = json!({
        "i": i64::MAX, "r": 0.25, "b": true, "t": "text", "m": "2026-11-21 09:00:00", "j": { "a": [1, "b"] }, "n": null
    });
    let job = daemon.add(json!({ "task": "a", "args": args }));
    assert_eq!(daemon.wait_state(job, "completed")["result"]["statements"], json!([1, 1]));
}

/// PostgreSQL has arrays, its own types and strict ideas of what fits what.
#[test]
fn postgres_says_itself_what_an_argument_is() {
    let Some(base) = Base::postgres() else { return };
    base.run(&[
        "CREATE SCHEMA \"Odd\"",
        "CREATE TYPE \"Odd\".\"A Mood\" AS ENUM ('good', 'bad')",
        "CREATE TABLE things (id bigint, mood \"Odd\".\"A Mood\", at timestamptz)",
        "INSERT INTO things VALUES (1, 'good', now() - interval '3 days'), (2, 'bad', now()), (3, 'bad', now())",
    ]);
    let place = base.place(
        "[task.ids]\ndatabase = \"app\"\nsql = \"delete from things where id = any(:ids)\"\n\
         [task.age]\ndatabase = \"app\"\nargs = { days = 2 }\nsql = \"delete from things where at < now() - :days * interval '1 day'\"\n\
         [task.mood]\ndatabase = \"app\"\nsql = \"update things set mood = :mood where mood <> :mood\"\n\
         [task.bad]\ndatabase = \"app\"\nattempts = 1\nsql = \"delete from things where id = :id\"",
    );
    let daemon = place.start();
    let rows = |task: &str, args| {
        let job = daemon.add(json!({ "task": task, "args": args }));
        daemon.wait_state(job, "completed")["result"]["rows"].clone()
    };
    assert_eq!(rows("age", json!({})), 1);
    assert_eq!(rows("mood", json!({ "mood": "good" })), 2);
    assert_eq!(rows("ids", json!({ "ids": [2, 3, 7] })), 2);
    let job = daemon.add(json!({ "task": "bad", "args": { "id": "seven" } }));
    let error = daemon.wait_state(job, "discarded")["error"].as_str().unwrap().to_owned();
    assert!(error.contains("statement 1 of 1 (`delete`)") && error.contains("bigint"), "{error}");
}
