//! What statements do, and what is told of it.

use serde_json::{Value, json};

use crate::base::Base;
use crate::daemon::Place;
use crate::on_each_database;

on_each_database!(
    the_rows_of_each_statement_are_the_result,
    a_transaction_is_done_or_not_done_as_a_whole,
    without_a_transaction_what_is_done_stays_done,
    indexes_are_rebuilt_without_a_transaction,
    a_statement_that_the_database_does_not_know_is_told,
    the_examples_do_what_they_say,
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
    assert_eq!(output, "statement 1 of 2 (`update`): 3 rows\nstatement 2 of 2 (`delete`): 1 row\n");
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

/// One of the examples in docs/sql.md, on this database instead of its own.
fn example(number: usize, base: &Base) -> Place {
    let text = include_str!("../../docs/sql.md");
    let example = text.split("```toml\n").nth(number).and_then(|rest| rest.split("```").next()).unwrap();
    let name = base.choose("cache", "app", "shop");
    let address = |line: &str| ["url", "credential"].iter().any(|key| line.starts_with(key));
    let (mut ours, mut config) = (false, String::new());
    for line in example.lines() {
        if line.starts_with('[') {
            ours = line == format!("[databases.{name}]");
        }
        match ours && address(line) {
            true => config.push_str(&format!("url = \"{}\"\n", base.url())),
            false => config.push_str(&format!("{line}\n")),
        }
    }
    Place::new(&config)
}

fn the_examples_do_what_they_say(base: &Base) {
    base.run(base.choose(
        &["CREATE TABLE entries (expires_at integer)", "INSERT INTO entries VALUES (1), (unixepoch() + 1000)"][..],
        &[
            "CREATE TABLE sessions (expires_at timestamptz)",
            "INSERT INTO sessions VALUES (now()), (now() - interval '10 days')",
            "CREATE TABLE uploads (state text)",
            "INSERT INTO uploads VALUES ('failed'), ('done'), ('abandoned')",
        ],
        &["CREATE TABLE carts (touched_at datetime)", "INSERT INTO carts VALUES (now()), (now() - interval 40 day)"],
    ));
    let place = example(base.choose(2, 1, 2), base);
    let daemon = place.start();
    let [clear, rebuild] = base.choose(
        ["clear-cache", "rebuild-cache"],
        ["clear-temporary", "rebuild-indexes"],
        ["clear-carts", "rebuild-shop"],
    );
    let rows = |body: Value| {
        let job = daemon.add(body);
        daemon.wait_state(job, "completed")["result"]["statements"].clone()
    };
    assert_eq!(rows(json!({ "task": clear })), base.choose(json!([1]), json!([1, 2]), json!([1])));
    assert_eq!(rows(json!({ "task": rebuild })).as_array().unwrap().len(), 2);
    if base.choose(false, true, true) {
        assert_eq!(rows(json!({ "task": clear, "args": { "days": -1 } }))[0], 1);
    }
}

/// What docs/sql.md says of the time zone.
#[test]
fn a_session_is_in_utc_until_a_statement_says_otherwise() {
    let Some(base) = Base::postgres() else { return };
    base.run(&["CREATE TABLE zones (zone text)"]);
    let place = base.place(
        "[task.a]\ndatabase = \"app\"\nsql = [\"insert into zones values (current_setting('timezone'))\", \
         \"set time zone 'Europe/Berlin'\", \"insert into zones values (current_setting('timezone'))\"]",
    );
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "a" }));
    daemon.wait_state(job, "completed");
    assert_eq!(base.number("SELECT count(*) FROM zones WHERE zone IN ('UTC', 'Europe/Berlin')"), 2);
}
