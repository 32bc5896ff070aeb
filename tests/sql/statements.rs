//! What statements do, and what is told of it.

use serde_json::{Value, json};

use crate::base::Base;
use crate::on_each_database;

on_each_database!(
    the_rows_of_each_statement_are_the_result,
    a_transaction_is_done_or_not_done_as_a_whole,
    without_a_transaction_what_is_done_stays_done,
    indexes_are_rebuilt_without_a_transaction,
    a_statement_that_the_database_does_not_know_is_told,
);

fn the_rows_of_each_statement_are_the_result(base: &Base) {
    base.run(&["CREATE TABLE things (id integer)", "INSERT INTO things VALUES (1), (2), (3), (4)"]);
    let place = base.place(
        "[task.a]\ndatabase = \"app\"\n\
         sql = [\"update things set id = id + 10 where id > 1\", \"delete from things where id = 1; -- ;\"]",
    );
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "a" }));
    let view = daemon.wait_state(job, "completed");
    assert_eq!(view["result"], json!({ "rows": 4, "statements": [3, 1] }));
    assert_eq!(view["progress"]["current"], 2);
    assert_eq!(view["progress"]["total"], 2);
    let output = daemon.send("GET", &format!("/v1/jobs/{job}/output"), "").text();
    assert_eq!(output, "statement 1 of 2 (`update`): 3 rows\nstatement 2 of 2 (`delete`): 1 rows\n");
    assert_eq!(base.number("SELECT count(*) FROM things WHERE id > 10"), 3);
    let tasks: Value = daemon.get("/v1/tasks");
    assert_eq!(tasks[0]["handler"], "sql");
    daemon.stop();
}

fn a_transaction_is_done_or_not_done_as_a_whole(base: &Base) {
    base.run(&["CREATE TABLE things (id integer)"]);
    let place = base.place(
        "[task.a]\ndatabase = \"app\"\nattempts = 1\nsql = [\"insert into things values (1)\", \"delete from nothing\"]",
    );
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "a" }));
    let view = daemon.wait_state(job, "discarded");
    let error = view["error"].as_str().unwrap();
    assert!(error.starts_with("statement 2 of 2 (`delete`) in database `app`: "), "{error}");
    assert!(error.contains("nothing"), "{error}");
    assert_eq!(base.number("SELECT count(*) FROM things"), 0);
}

fn without_a_transaction_what_is_done_stays_done(base: &Base) {
    base.run(&["CREATE TABLE things (id integer)"]);
    let place = base.place(
        "[task.a]\ndatabase = \"app\"\nattempts = 1\ntransaction = false\n\
         sql = [\"insert into things values (1)\", \"delete from nothing\"]",
    );
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "a" }));
    daemon.wait_state(job, "discarded");
    assert_eq!(base.number("SELECT count(*) FROM things"), 1);
}

/// The second of the examples in docs/sql.md.
fn indexes_are_rebuilt_without_a_transaction(base: &Base) {
    base.run(&["CREATE TABLE things (id integer, name varchar(20))", "CREATE INDEX things_name ON things (name)"]);
    let statements = base.choose(
        r#"["reindex things", "vacuum", "analyze"]"#,
        r#"["reindex table concurrently things", "vacuum (analyze) things", "create index concurrently other on things (id)"]"#,
        r#"["alter table things force", "optimize table things", "analyze table things"]"#,
    );
    let place =
        base.place(&format!("[task.a]\ndatabase = \"app\"\nattempts = 1\ntransaction = false\nsql = {statements}"));
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "a" }));
    let view = daemon.wait_state(job, "completed");
    assert_eq!(view["result"]["statements"].as_array().unwrap().len(), 3);
}

fn a_statement_that_the_database_does_not_know_is_told(base: &Base) {
    // MariaDB answers this one with a row and no error.
    let statement = base.choose("reindex nothing", "vacuum nothing", "optimize table nothing");
    let place =
        base.place(&format!("[task.a]\ndatabase = \"app\"\nattempts = 1\ntransaction = false\nsql = \"{statement}\""));
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "a" }));
    let view = daemon.wait_state(job, "discarded");
    let error = view["error"].as_str().unwrap();
    assert!(error.contains("in database `app`") && error.contains("nothing"), "{error}");
}
