//! Two transactions that wait for each other: the server ends the job's, which is tried again by its task's policy.

use std::sync::mpsc;

use serde_json::json;
use sqlx::{Connection, Executor, MySqlConnection, PgConnection};

use crate::base::Base;
use crate::daemon::until;
use crate::servers;

/// Statements on two other connections, in the order that makes the job's transaction the one which is ended.
struct Others {
    /// Takes the lock that the job waits for between its two updates.
    hold: &'static str,
    release: &'static str,
    wait: &'static str,
    /// Makes the other transaction the one which the server spares.
    spare: &'static str,
    waiting: &'static str,
}

const POSTGRES: Others = Others {
    hold: "select pg_advisory_lock(7)",
    release: "select pg_advisory_unlock(7)",
    wait: "select pg_advisory_lock(7)",
    spare: "set deadlock_timeout = '1h'",
    waiting: "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
};

const MARIADB: Others = Others {
    hold: "select get_lock('gate', 1000)",
    release: "select release_lock('gate')",
    wait: "select get_lock('gate', 1000)",
    // The one that has changed less is ended.
    spare: "insert into heavy select seq from seq_1_to_1000",
    waiting: "SELECT count(*) FROM information_schema.processlist WHERE db = database() \
              AND (state = 'User lock' OR info LIKE 'update pair set n = n + 10 where id = 1%')",
};

macro_rules! deadlock {
    ($base:expr, $Connection:ty, $others:expr) => {{
        let (base, others): (&Base, Others) = ($base, $others);
        base.run(&[
            "CREATE TABLE heavy (id integer)",
            "CREATE TABLE pair (id integer PRIMARY KEY, n integer)",
            "INSERT INTO pair VALUES (1, 0), (2, 0)",
        ]);
        let place = base.place(&format!(
            "[task.a]\ndatabase = \"app\"\nbackoff = \"100ms\"\nsql = [\"update pair set n = n + 1 where id = 1\", \
             \"{}\", \"update pair set n = n + 1 where id = 2\"]",
            others.wait
        ));
        let daemon = place.start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut gate = runtime.block_on(<$Connection>::connect(&base.url())).unwrap();
        runtime.block_on(gate.execute(others.hold)).unwrap();
        let job = daemon.add(json!({ "task": "a" }));
        until("the job waits", || (base.number(others.waiting) == 1).then_some(()));
        let (committed, is_committed) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut other = <$Connection>::connect(&base.url()).await.unwrap();
                    let first = ["begin", others.spare, "update pair set n = n + 10 where id = 2"];
                    for statement in first.into_iter().chain(["update pair set n = n + 10 where id = 1", "commit"]) {
                        other.execute(statement).await.unwrap();
                    }
                });
                committed.send(()).unwrap();
            });
            until("both wait", || (base.number(others.waiting) == 2).then_some(()));
            runtime.block_on(gate.execute(others.release)).unwrap();
            is_committed.recv().unwrap();
        });
        let view = daemon.wait_state(job, "completed");
        assert_eq!(view["attempts"], 2, "{view}");
        assert_eq!(base.number("SELECT count(*) FROM pair WHERE n = 11"), 2);
        let journal = String::from_utf8(place.cli(["journal", "--json"]).stdout).unwrap();
        assert!(journal.to_lowercase().contains("deadlock"), "{journal}");
        assert!(journal.contains("statement 3 of 3 (`update`) in database `app`: "), "{journal}");
    }};
}

#[test]
fn postgres_ends_one_of_two() {
    Base::of(servers::postgres()).iter().for_each(|base| deadlock!(base, PgConnection, POSTGRES));
}

#[test]
fn mariadb_ends_one_of_two() {
    Base::of(servers::mariadb()).iter().for_each(|base| deadlock!(base, MySqlConnection, MARIADB));
}
