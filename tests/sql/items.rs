//! The items of a batch: read by a query, and handled by runs of one worker that share connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daybook::core::id::JobId;
use daybook::core::time::Timestamp;
use daybook::database::{Address, Database};
use daybook::workers::{Cancelled, Context, Error, Sql, Worker, stream_items};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::base::Base;
use crate::daemon::until;
use crate::on_each_database;
use crate::servers::{Kind, Server};

on_each_database!(
    items_share_the_connections_of_their_worker,
    an_item_that_fails_leaves_nothing_and_harms_no_other,
    an_item_that_is_cancelled_ends_alone,
    what_a_session_keeps_is_not_for_the_next_item,
    rows_come_in_lots_and_in_order,
    a_row_of_several_columns_is_an_object,
    a_row_without_an_item_is_told_by_its_number,
    a_query_is_read_only_as_far_as_it_is_wanted,
    what_gives_no_items_is_refused,
);

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(work)
}

fn database(url: String) -> Database {
    Database { name: "app".into(), address: Address::Url(url) }
}

fn sql(statements: &[&str], transaction: bool) -> Sql {
    let statements = statements.iter().map(|statement| (*statement).to_owned()).collect();
    Sql { database: "app".into(), statements, args: BTreeMap::new(), transaction }
}

fn context(args: Value, cancel: &watch::Sender<bool>) -> Context {
    Context {
        job: JobId(1),
        attempt: 1,
        args,
        now: Timestamp(0),
        progress: Arc::new(|_, _, _| ()),
        log: Arc::new(|_| ()),
        state_dir: std::path::PathBuf::new(),
        timeout: Some(Duration::from_secs(60)),
        cancelled: Cancelled::new(cancel.subscribe()),
    }
}

async fn handle(worker: &dyn Worker, args: Value) -> Result<Value, String> {
    worker.run(context(args, &watch::Sender::new(false))).await.map_err(|error| error.to_string())
}

fn items_share_the_connections_of_their_worker(base: &Base) {
    base.run(&["CREATE TABLE seen (item varchar(20), op varchar(20), level integer, connection bigint)"]);
    let number = base.choose("0", "pg_backend_pid()", "connection_id()");
    let statement = format!("insert into seen values (:item, :op, :level, {number})");
    let worker = sql(&[&statement], true).worker_of_items(database(base.url()), 4);
    wait(async {
        let args = |item: i64| json!({ "item": item.to_string(), "op": "on", "level": 3 });
        let runs = futures_util::stream::iter(0..200).map(|item| handle(&*worker, args(item)));
        let done: Vec<_> = runs.buffer_unordered(4).collect().await;
        assert!(done.iter().all(Result::is_ok), "{done:?}");
        drop(worker);
        let others = base.choose(
            "SELECT 0",
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
            "SELECT count(*) FROM information_schema.processlist WHERE db = database() AND id <> connection_id()",
        );
        tokio::task::block_in_place(|| until("they are closed", || (base.number(others) == 0).then_some(())));
    });
    assert_eq!(base.number("SELECT count(DISTINCT item) FROM seen WHERE op = 'on' AND level = 3"), 200);
    let connections = base.number("SELECT count(DISTINCT connection) FROM seen");
    assert!((1..=4).contains(&connections), "{connections} connections for 4 items at once");

    // A plain task has a new one for each run.
    base.run(&["DELETE FROM seen"]);
    let worker = sql(&[&statement], true).worker(database(base.url()));
    wait(async {
        for item in ["a", "b", "c"] {
            handle(&*worker, json!({ "item": item, "op": "on", "level": 3 })).await.unwrap();
        }
    });
    assert_eq!(base.number("SELECT count(DISTINCT connection) FROM seen"), base.choose(1, 3, 3));
}

fn an_item_that_fails_leaves_nothing_and_harms_no_other(base: &Base) {
    base.run(&[
        "CREATE TABLE seen (item varchar(20))",
        "CREATE TABLE held (item varchar(20) PRIMARY KEY)",
        "INSERT INTO held VALUES ('bad')",
    ]);
    let statements = ["insert into seen values (:item)", "insert into held values (:item)"];
    let worker = sql(&statements, true).worker_of_items(database(base.url()), 1);
    wait(async {
        for item in ["a", "bad", "b", "bad", "c"] {
            let outcome = handle(&*worker, json!({ "item": item })).await;
            match item {
                "bad" => {
                    let error = outcome.unwrap_err();
                    assert!(error.starts_with("statement 2 of 2 (`insert`) in database `app`: "), "{error}");
                }
                _ => assert_eq!(outcome, Ok(json!({ "rows": 2, "statements": [1, 1] }))),
            }
        }
    });
    assert_eq!(base.number("SELECT count(*) FROM seen"), 3);
}

fn an_item_that_is_cancelled_ends_alone(base: &Base) {
    base.with_gate();
    let worker = sql(&["update counter set n = n + 1", base.gated()], true).worker_of_items(database(base.url()), 2);
    let cancel = watch::Sender::new(false);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| wait(worker.run(context(Value::Null, &cancel))));
        until("the statement runs", || (base.running() > 0).then_some(()));
        cancel.send_replace(true);
        let error = run.join().unwrap().unwrap_err();
        assert!(error.is_cancelled(), "{error}");
    });
    until("no statement runs", || (base.running() == 0).then_some(()));
    base.open_gate();
    wait(async {
        for _ in 0..2 {
            handle(&*worker, Value::Null).await.unwrap();
        }
    });
    assert_eq!(base.number("SELECT n FROM counter"), 2);
}

fn what_a_session_keeps_is_not_for_the_next_item(base: &Base) {
    let worker = sql(&["create temporary table own (item integer)", "insert into own values (:item)"], false)
        .worker_of_items(database(base.url()), 1);
    wait(async {
        for item in 0..3 {
            assert_eq!(handle(&*worker, json!({ "item": item })).await.unwrap()["statements"][1], 1);
        }
    });
}

/// With a transaction a broken connection is seen before anything is done; without one, it costs an item an attempt.
fn a_restart_of_the_server(server: &Server) {
    let base = database(server.database().url);
    wait(connect_and_run(&base, "create table seen (item integer)"));
    for transaction in [true, false] {
        let worker = sql(&["insert into seen values (:item)"], transaction).worker_of_items(base.clone(), 4);
        wait(async {
            let item = |item: i64| handle(&*worker, json!({ "item": item }));
            let first: Vec<_> = futures_util::future::join_all((0..4).map(item)).await;
            assert!(first.iter().all(Result::is_ok), "{first:?}");
            tokio::task::block_in_place(|| {
                server.stop();
                server.start();
            });
            if !transaction {
                let error = item(4).await.unwrap_err();
                assert!(error.contains("in database `app`: "), "{error}");
            }
            // The others broke as well, and nobody pays for them.
            for number in 5..9 {
                item(number).await.unwrap();
            }
        });
    }
}

async fn connect_and_run(database: &Database, statement: &str) {
    let mut connection = database.connect(&Default::default()).await.unwrap();
    connection.command("prepare the test", statement).await.unwrap();
    connection.close().await;
}

#[test]
fn items_survive_a_restart_of_postgres() {
    if let Some(server) = Server::own(Kind::Postgres) {
        a_restart_of_the_server(&server);
    }
}

#[test]
fn items_survive_a_restart_of_mariadb() {
    if let Some(server) = Server::own(Kind::Mariadb) {
        a_restart_of_the_server(&server);
    }
}

/// What a query gives, in lots, until so many were taken.
fn read(base: &Base, query: &str, args: Value, lots_max: usize) -> (Vec<Vec<String>>, Result<u64, String>) {
    let args = args.as_object().unwrap().clone().into_iter().collect();
    let mut lots: Vec<Vec<String>> = Vec::new();
    let database = database(base.url());
    let outcome = wait(stream_items(&database, query, &args, |lot| {
        lots.push(lot);
        let enough = lots.len() >= lots_max;
        async move {
            match enough {
                true => Err(Error::Cancelled { so_far: "enough".into() }),
                false => Ok(()),
            }
        }
    }));
    (lots, outcome.map_err(|error| error.to_string()))
}

fn items(base: &Base, query: &str, args: Value) -> Vec<String> {
    let (lots, outcome) = read(base, query, args, usize::MAX);
    let items: Vec<String> = lots.into_iter().flatten().collect();
    assert_eq!(outcome, Ok(items.len() as u64), "{query}");
    items
}

/// The numbers from 1 on, as many as one likes.
fn numbers(base: &Base, last: &str) -> String {
    base.choose(
        format!("with recursive n(i) as (select 1 union all select i + 1 from n where i < {last}) select i from n"),
        format!("select generate_series(1, {last}::bigint) as i"),
        format!("select seq as i from seq_1_to_{last}"),
    )
}

fn rows_come_in_lots_and_in_order(base: &Base) {
    let (lots, outcome) = read(base, &format!("{} -- all of them\n;", numbers(base, "2500")), json!({}), usize::MAX);
    assert_eq!(outcome, Ok(2500));
    assert_eq!(lots.iter().map(Vec::len).collect::<Vec<_>>(), [1000, 1000, 500]);
    assert!(lots.iter().flatten().zip(1..).all(|(item, number): (_, u32)| *item == number.to_string()));
    // A comment without a line end behind it, and a number of rows that lots divide.
    assert_eq!(read(base, &format!("{} -- all", numbers(base, "2000")), json!({}), usize::MAX).0.len(), 2);

    base.run(&["CREATE TABLE things (id integer, name varchar(50))"]);
    assert_eq!(items(base, "select name from things", json!({})), [""; 0]);
    base.run(&["INSERT INTO things VALUES (3, 'c'), (1, 'a''b \"é'), (2, 'b')"]);
    let query = "select name from things where id <= :most and name <> :name order by id desc";
    assert_eq!(items(base, query, json!({ "most": 2, "name": "' or 1=1", "unused": 1 })), ["b", "a'b \"é"]);
}

fn a_row_of_several_columns_is_an_object(base: &Base) {
    base.run(&["CREATE TABLE things (id integer, name varchar(50), rate double precision)"]);
    base.run(&["INSERT INTO things VALUES (1, 'a \"b\"', 0.5), (2, NULL, NULL)"]);
    let items = items(
        base,
        "select name, id as \"id\", rate from things order by id".replace('"', base.choose("\"", "\"", "`")).as_str(),
        json!({}),
    );
    assert_eq!(items, [r#"{"name":"a \"b\"","id":1,"rate":0.5}"#, r#"{"name":null,"id":2,"rate":null}"#]);
}

fn a_row_without_an_item_is_told_by_its_number(base: &Base) {
    let nothing = |value: &str| {
        format!("select case when i = 1002 then {value} else 'x' end as i from ({}) as t", numbers(base, "3000"))
    };
    for (value, problem) in [("null", "its item is NULL"), ("''", "its item is empty")] {
        let (lots, outcome) = read(base, &nothing(value), json!({}), usize::MAX);
        assert_eq!(outcome, Err(format!("read items from database `app`: row 1002: {problem}")));
        assert_eq!(lots.len(), 1);
    }
    let long = base.choose("printf('%2000d', 1)", "repeat('x', 2000)", "repeat('x', 2000)");
    let (_, outcome) = read(base, &nothing(long), json!({}), usize::MAX);
    assert!(outcome.unwrap_err().contains("row 1002: its item has 2000 bytes"));
}

/// Elsewhere it is an error of the server, or a text.
#[test]
fn sqlite_infinity_is_no_item() {
    let base = Base::file();
    for query in ["select 9e999", "select -9e999", "select 1 as id, 9e999 as rate"] {
        let error = read(&base, query, json!({}), usize::MAX).1.unwrap_err();
        assert!(
            error.contains("row 1: its item has ") && error.contains("inf, which JSON has no number for"),
            "{error}"
        );
    }
    assert_eq!(items(&base, "select cast(9e999 as text)", json!({})), ["Inf"]);
}

/// One that read it to its end first would never come back.
fn a_query_is_read_only_as_far_as_it_is_wanted(base: &Base) {
    let (lots, outcome) = read(base, &numbers(base, "1000000000000"), json!({}), 3);
    assert!(outcome.unwrap_err().contains("enough"));
    assert_eq!(lots.len(), 3);
}

fn what_gives_no_items_is_refused(base: &Base) {
    base.run(&["CREATE TABLE things (id integer)", "INSERT INTO things VALUES (1)"]);
    let refused = |query: &str| read(base, query, json!({}), 1).1.unwrap_err();
    let twice = refused("select a.id, b.id from things a, things b");
    assert!(twice.contains("two columns are called `id`"), "{twice}");
    let none = refused("delete from things");
    assert!(none.contains("`delete` gives no rows"), "{none}");
    assert!(refused("select 1; select 2").contains("the query has more than one statement"));
    assert!(refused("select :id").contains("`:id` has no value"));
    assert!(refused("select id from nothing").starts_with("read items in database `app`: "));
    assert_eq!(base.number("SELECT count(*) FROM things"), 1);
}

/// What identifies rows there is often none of the plain types.
#[test]
fn postgres_makes_a_text_of_every_type() {
    let Some(base) = Base::postgres() else { return };
    let one = |value: &str| items(&base, &format!("select {value}"), json!({})).remove(0);
    assert_eq!(one("'5b3f0a52-6c1f-4f0e-9f0a-0123456789ab'::uuid"), "5b3f0a52-6c1f-4f0e-9f0a-0123456789ab");
    assert_eq!(one("12345678901234567890.50::numeric"), "12345678901234567890.50");
    assert_eq!(one("date '2026-11-21'"), "2026-11-21");
    assert_eq!(
        one("true as item, '{1,2}'::int[] as list, '{\"a\": 1}'::jsonb as daybook"),
        r#"{"item":true,"list":[1,2],"daybook":{"a": 1}}"#
    );
}
