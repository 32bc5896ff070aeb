//! A database that is down for a while: attempts fail and say why, and the job is done when the database is back.

use serde_json::json;

use crate::daemon::{Place, until};
use crate::servers::{Kind, Server};

fn outage(server: &Server) {
    let database = server.database();
    server.run(&database, &["CREATE TABLE things (id integer)"]);
    let place = Place::new(&format!(
        "[databases.app]\nurl = \"{}\"\n\
         [task.a]\ndatabase = \"app\"\nsql = \"insert into things values (1)\"\nbackoff = \"100ms\"",
        database.url
    ));
    let daemon = place.start();
    server.stop();
    let job = daemon.add(json!({ "task": "a" }));
    let view =
        until("it has failed twice", || Some(daemon.job(job)).filter(|view| view["attempts"].as_u64() >= Some(3)));
    let error = view["error"].as_str().unwrap();
    assert!(error.starts_with("connect to database `app`: "), "{error}");
    assert!(!error.contains(&server.port.to_string()), "{error}");
    server.start();
    daemon.wait_state(job, "completed");
    assert_eq!(server.number(&database, "SELECT count(*) FROM things"), 1);
}

/// Its connection breaks in the middle of a statement, which is not the daemon's doing.
fn crash(server: &Server, slow: &str) {
    let database = server.database();
    server.run(
        &database,
        &["CREATE TABLE things (id integer)", "CREATE TABLE gate (id integer)", "INSERT INTO gate VALUES (1)"],
    );
    let place = Place::new(&format!(
        "[databases.app]\nurl = \"{}\"\n[task.a]\ndatabase = \"app\"\nbackoff = \"1h\"\n\
         sql = [\"insert into things values (1)\", \"{slow}\"]",
        database.url
    ));
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "a" }));
    until("the second statement runs", || {
        daemon.job(job)["progress"]["message"].as_str().filter(|text| text.starts_with("statement 2")).map(drop)
    });
    server.stop();
    let view = until("it has failed", || Some(daemon.job(job)).filter(|view| view["error"].is_string()));
    assert!(view["error"].as_str().unwrap().contains("in database `app`: "), "{view}");
    server.start();
    server.run(&database, &["DELETE FROM gate"]);
    daemon.post(&format!("/v1/jobs/{job}/retry"), json!({}));
    daemon.wait_state(job, "completed");
    assert_eq!(server.number(&database, "SELECT count(*) FROM things"), 1);
}

#[test]
fn postgres_is_down_for_a_while() {
    if let Some(server) = Server::own(Kind::Postgres) {
        outage(&server);
        crash(&server, "select pg_sleep(1000) from gate");
    }
}

#[test]
fn mariadb_is_down_for_a_while() {
    if let Some(server) = Server::own(Kind::Mariadb) {
        outage(&server);
        crash(&server, "select sleep(1000) from gate");
    }
}
