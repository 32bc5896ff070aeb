//! Batches while the daemon, and now and then a shim, is killed at random: every item is handled, none more often than
//! the kills explain, and the counts are right.
//!
//! `DAYBOOK_TORTURE_ROUNDS` makes it longer, `DAYBOOK_TORTURE_SEED` another run.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Executor, Row};

use crate::batches::{counted, nothing_is_left, show};
use crate::daemon::{Daemon, Place, until};
use crate::kill::{Random, number_of};

const ROUNDS: u64 = 8;
const SEED: u64 = 11;
const ITEMS: usize = 240;

fn random(salt: u64) -> (Random, u64) {
    let (seed, rounds) = (number_of("DAYBOOK_TORTURE_SEED", SEED), number_of("DAYBOOK_TORTURE_ROUNDS", ROUNDS));
    println!("DAYBOOK_TORTURE_SEED={seed} DAYBOOK_TORTURE_ROUNDS={rounds}");
    (Random(seed ^ salt), rounds)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("i{number}")).collect()
}

/// Kills a daemon after up to so many milliseconds, over and over.
fn lives(place: &Place, random: &mut Random, rounds: u64, most: u64, mut during: impl FnMut(&mut Random)) {
    for _ in 0..rounds {
        let mut daemon = place.launch();
        if random.below(4) > 0 {
            daemon.wait_ready();
        }
        std::thread::sleep(Duration::from_millis(random.below(most)));
        during(random);
        daemon.kill();
    }
}

#[track_caller]
fn all_done(daemon: &Daemon<'_>, batch: u64, count: usize) -> Value {
    let job = until("it has come to rest", || {
        let job = daemon.job(batch);
        (job["state"] == "completed" || daemon.why(batch).contains("quarantined")).then_some(job)
    });
    if job["state"] != "completed" {
        // So many kills within a second after its start are held against it, until a person says otherwise.
        daemon.post(&format!("/v1/batches/{batch}/repair"), json!({}));
    }
    daemon.wait_state(batch, "completed");
    let view = show(daemon, batch);
    let counts: Vec<&Value> =
        ["total", "done", "todo", "running", "failed", "skipped"].iter().map(|name| &view[*name]).collect();
    assert_eq!(json!(counts), json!([count, count, 0, 0, 0, 0]), "{view}");
    view
}

#[test]
fn processes_of_items_outlive_kills_and_handle_none_twice() {
    let (mut random, rounds) = random(0);
    let place = Place::new(
        "[task.auth]\nitems = \"given\"\nrepair_attempts = 50\nconcurrency = 6\nlock = \"client:{item}\"\n\
         each = { attempts = 20, backoff = \"50ms\", shell = 'echo \"$DAYBOOK_ITEM\" >> $DIR/begun; sleep 0.0$(($$ % 9 + 1)); echo \"$DAYBOOK_ITEM\" >> $DIR/done' }\n",
    );
    let daemon = place.start();
    let batch = daemon.post("/v1/batches", json!({"task": "auth", "items": names(ITEMS)}))["id"].as_u64().unwrap();
    daemon.kill();
    let mut shims = 0;
    lives(&place, &mut random, rounds, 400, |random| {
        let found = place.shims();
        if !found.is_empty() {
            let shim: Pid = found[random.below(found.len() as u64) as usize];
            // It may have ended by itself.
            shims += usize::from(kill_process(shim, Signal::KILL).is_ok());
        }
    });
    let daemon = place.start();
    all_done(&daemon, batch, ITEMS);
    let begun = counted(&place, "begun");
    assert_eq!(begun.len(), ITEMS, "each is handled");
    assert_eq!(counted(&place, "done").len(), ITEMS, "each is handled to its end");
    let twice: BTreeMap<_, _> = begun.iter().filter(|(_, times)| **times > 1).collect();
    let more: usize = twice.values().map(|times| **times - 1).sum();
    assert!(more <= shims, "only those whose shim was killed ({shims}) are handled again: {twice:?}");
    println!("{rounds} kills of the daemon, {shims} of a shim, {more} items handled again");
    nothing_is_left(&place, &daemon, names(ITEMS).into_iter().map(|name| format!("client:{name}")));
    daemon.stop();
}

/// What a database says that statements for items did, in their order, and how many kills there were.
fn statements(salt: u64, count: usize, concurrency: usize) -> (Vec<String>, usize) {
    let (mut random, rounds) = random(salt);
    let place = Place::new(&format!(
        "[databases.app]\nurl = \"sqlite://$DIR/app.db\"\n[task.auth]\nitems = \"given\"\nrepair_attempts = 50\n\
         concurrency = {concurrency}\neach = {{ database = \"app\", sql = \"insert into handled values (:item)\" }}\n"
    ));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = SqliteConnectOptions::new().filename(place.path("app.db")).create_if_missing(true);
    let mut database = runtime.block_on(options.journal_mode(SqliteJournalMode::Wal).connect()).unwrap();
    runtime.block_on(database.execute("create table handled (item text)")).unwrap();
    let daemon = place.start();
    let batch = daemon.post("/v1/batches", json!({"task": "auth", "items": names(count)}))["id"].as_u64().unwrap();
    daemon.kill();
    lives(&place, &mut random, rounds, 500, |_| ());
    let daemon = place.start();
    all_done(&daemon, batch, count);
    let rows = runtime.block_on(database.fetch_all("select item from handled order by rowid")).unwrap();
    let handled: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(handled.iter().collect::<BTreeSet<_>>().len(), count, "each is handled");
    println!("{} handled again over {rounds} kills", handled.len() - count);
    nothing_is_left(&place, &daemon, []);
    daemon.stop();
    (handled, rounds as usize + 1)
}

#[test]
fn statements_for_items_are_carried_out_at_least_once_and_hardly_more_often() {
    let (count, concurrency) = (800, 8);
    let (handled, kills) = statements(1, count, concurrency);
    // What was under way at a kill, and what had ended faster than the disk noted it.
    let again = handled.len() - count;
    assert!(again <= kills * 11 * concurrency, "{again} were handled again over {kills} kills");
}

#[test]
fn one_at_a_time_they_come_in_order_and_a_kill_repeats_one_at_most() {
    let count = 500;
    let (handled, kills) = statements(3, count, 1);
    let again = handled.len() - count;
    assert!(again <= kills, "{again} were handled again over {kills} kills");
    let numbers: Vec<usize> = handled.iter().map(|item| item[1..].parse().unwrap()).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
}

#[test]
fn a_batch_that_is_being_taken_in_is_whole_or_gone() {
    let (mut random, rounds) = random(2);
    let count = 100_000;
    let place = Place::new("[task.auth]\nitems = \"given\"\neach = { command = [\"true\"] }\n");
    let body: String = names(count).iter().map(|name| format!("{name}\n")).collect();
    let mut acknowledged = BTreeSet::new();
    for _ in 0..rounds {
        let daemon = place.start();
        daemon.send("POST", "/v1/tasks/auth/pause", "{}"); // it may be so already
        let life = Duration::from_millis(random.below(3_000));
        let answer = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(life);
                daemon.signal(Signal::KILL);
            });
            daemon.client().send("POST", "/v1/batches?task=auth", "text/plain", &body)
        });
        if let Ok(answer) = answer {
            assert_eq!(answer.status, 201, "{}", answer.text());
            acknowledged.insert(answer.json()["id"].as_u64().unwrap());
        }
    }
    // One whose client goes away in the middle.
    let daemon = place.start();
    let mut stream = UnixStream::connect(place.socket()).unwrap();
    let head = format!(
        "POST /v1/batches?task=auth HTTP/1.1\r\nhost: d\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body.as_bytes()[..body.len() / 2]).unwrap();
    drop(stream);
    until("it is given up", || {
        place.cli(["journal", "--json"]).stdout.windows(13).any(|it| it == b"batch_dropped").then_some(())
    });
    daemon.kill();
    let daemon = place.start();
    let jobs = daemon.jobs("task=auth");
    let there: BTreeSet<u64> = jobs.iter().map(|job| job["id"].as_u64().unwrap()).collect();
    assert!(acknowledged.is_subset(&there), "{acknowledged:?} were acknowledged, and there is {there:?}");
    println!("{} of {rounds} were acknowledged, {} are there", acknowledged.len(), there.len());
    for batch in &there {
        let view = show(&daemon, *batch);
        assert_eq!((&view["total"], &view["todo"]), (&json!(count), &json!(count)), "{view}");
    }
    let known = daemon.get("/v1/batches");
    let known = known.as_array().unwrap().len();
    assert_eq!(known, there.len(), "one that is no job is gone");
    place.verify();
    daemon.stop();
}
