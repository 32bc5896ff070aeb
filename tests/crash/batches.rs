//! Batches over stops, drains, cancels, reloads and a disk that fails: what is handled goes on or is handled again, and
//! nothing that was done is done twice.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::daemon::{Daemon, Place, noise, touch, until};

/// Each handling notes its item, and waits for the file `go`.
const EACH: &str = r#"
[task.auth]
items = "given"
repair_attempts = 20
concurrency = 1
lock = "client:{item}"
each = { shell = 'echo "$DAYBOOK_ITEM" >> $DIR/begun; until test -e $DIR/go; do sleep 0.02; done; echo "$DAYBOOK_ITEM" >> $DIR/done', attempts = 3 }
"#;

fn config(concurrency: u32) -> String {
    EACH.replace("concurrency = 1", &format!("concurrency = {concurrency}"))
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("i{number}")).collect()
}

#[track_caller]
fn begin(daemon: &Daemon<'_>, count: usize) -> u64 {
    daemon.post("/v1/batches", json!({"task": "auth", "items": names(count)}))["id"].as_u64().unwrap()
}

/// How often each item stands in a file.
pub fn counted(place: &Place, name: &str) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    place.read(name).lines().for_each(|line| *counted.entry(line.to_owned()).or_default() += 1);
    counted
}

pub fn show(daemon: &Daemon<'_>, batch: u64) -> Value {
    daemon.get(&format!("/v1/batches/{batch}"))
}

/// That nothing is left of a batch: no run file, no process, no lock.
#[track_caller]
pub fn nothing_is_left(place: &Place, daemon: &Daemon<'_>, keys: impl IntoIterator<Item = String>) {
    let runs = || std::fs::read_dir(place.state().join("runs")).unwrap().count();
    until("no run file is left", || (runs() == 0).then_some(()));
    assert_eq!((place.job_processes(), place.shims()), (vec![], vec![]), "a process is left");
    for key in keys {
        let thing = daemon.get(&format!("/v1/items/{key}"));
        assert!(thing["held_by"].is_null() && thing["free"] == true, "{key} is held: {thing}");
    }
    place.verify();
}

#[track_caller]
fn all_once(place: &Place, daemon: &Daemon<'_>, batch: u64, count: usize) {
    daemon.wait_state(batch, "completed");
    let view = show(daemon, batch);
    assert_eq!((&view["total"], &view["done"], &view["failed"]), (&json!(count), &json!(count), &json!(0)), "{view}");
    let expected: BTreeMap<String, usize> = names(count).into_iter().map(|name| (name, 1)).collect();
    assert_eq!(counted(place, "begun"), expected, "each is handled once");
    assert_eq!(counted(place, "done"), expected, "each is handled once");
    nothing_is_left(place, daemon, names(count).into_iter().map(|name| format!("client:{name}")));
}

#[track_caller]
fn have_begun(place: &Place, count: usize) {
    until("they have begun", || (place.read("begun").lines().count() == count).then_some(()));
}

#[test]
fn a_stop_leaves_items_to_the_next_daemon_which_handles_none_twice() {
    let place = Place::with_top("stop_timeout = \"100ms\"", &config(4));
    let daemon = place.start();
    let batch = begin(&daemon, 12);
    have_begun(&place, 4);
    daemon.stop();
    assert_eq!(place.shims().len(), 4, "they go on");
    let daemon = place.start();
    let view = show(&daemon, batch);
    assert_eq!((&view["state"], &view["running"]), (&json!("running"), &json!(4)), "{view}");
    touch(&place.path("go"));
    all_once(&place, &daemon, batch, 12);
    daemon.stop();
}

#[test]
fn what_ended_while_no_daemon_was_there_counts() {
    let place = Place::new(&config(4));
    let daemon = place.start();
    let batch = begin(&daemon, 6);
    have_begun(&place, 4);
    daemon.kill();
    touch(&place.path("go"));
    until("they have ended", || place.shims().is_empty().then_some(()));
    place.launch().kill();
    all_once(&place, &place.start(), batch, 6);
}

#[test]
fn a_drain_that_kills_gives_the_items_back() {
    let place = Place::new(&config(3));
    let daemon = place.start();
    let batch = begin(&daemon, 5);
    have_begun(&place, 3);
    let drained = place.cli(["drain", "--kill"]);
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    assert_eq!((place.job_processes(), place.shims()), (vec![], vec![]));
    let view = show(&daemon, batch);
    assert_eq!((&view["running"], &view["todo"], &view["failed"]), (&json!(0), &json!(5), &json!(0)), "{view}");
    touch(&place.path("go"));
    daemon.post("/v1/reload", json!({}));
    daemon.wait_state(batch, "completed");
    assert_eq!(counted(&place, "done"), names(5).into_iter().map(|name| (name, 1)).collect());
    nothing_is_left(&place, &daemon, []);
}

#[test]
fn a_drain_waits_for_what_is_handled_and_no_longer() {
    let place = Place::new(&config(3));
    let daemon = place.start();
    let batch = begin(&daemon, 8);
    have_begun(&place, 3);
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| place.cli(["drain"]));
        until("nothing is started any more", || (daemon.get("/v1/status")["drained"] == true).then_some(()));
        assert_eq!(daemon.state(batch), "running", "three of it go on");
        touch(&place.path("go"));
        let drained = drain.join().unwrap();
        assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    });
    let view = show(&daemon, batch);
    assert_eq!((&view["running"], &view["todo"], &view["done"]), (&json!(0), &json!(5), &json!(3)), "{view}");
    daemon.post("/v1/reload", json!({}));
    all_once(&place, &daemon, batch, 8);
}

#[test]
fn a_drain_waits_for_an_item_of_a_batch_that_does_not_run() {
    let place = Place::new(&config(3));
    let daemon = place.start();
    daemon.post("/v1/tasks/auth/pause", json!({}));
    let batch = begin(&daemon, 3);
    let advanced = daemon.send("POST", &format!("/v1/batches/{batch}/advance"), r#"{"item":"i2"}"#);
    assert_eq!(advanced.status, 202, "{}", advanced.text());
    have_begun(&place, 1);
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| place.cli(["drain"]));
        until("nothing is started any more", || (daemon.get("/v1/status")["drained"] == true).then_some(()));
        assert_eq!((daemon.state(batch).as_str(), &daemon.get("/v1/status")["advancing"]), ("available", &json!(1)));
        assert!(!drain.is_finished());
        touch(&place.path("go"));
        assert!(drain.join().unwrap().status.success());
    });
    let view = show(&daemon, batch);
    assert_eq!((&view["running"], &view["todo"], &view["advanced"]), (&json!(0), &json!(2), &json!(1)), "{view}");
}

#[test]
fn a_reload_leaves_a_run_its_chunk() {
    let single = config(1).replace("concurrency = 1", "concurrency = 1\nchunk = 1");
    let place = Place::new(&single);
    let daemon = place.start();
    let batch = begin(&daemon, 6);
    have_begun(&place, 1);
    place.configure("", &single.replace("chunk = 1", "chunk = 3"));
    daemon.post("/v1/reload", json!({}));
    touch(&place.path("go"));
    all_once(&place, &daemon, batch, 6);
}

#[test]
fn a_cancel_ends_its_processes_those_of_an_earlier_daemon_too() {
    let place = Place::new(&config(2));
    let daemon = place.start();
    let batch = begin(&daemon, 4);
    have_begun(&place, 2);
    let answer = daemon.send("POST", &format!("/v1/batches/{batch}/advance"), r#"{"item":"i3"}"#);
    assert_eq!(answer.status, 202, "{}", answer.text());
    have_begun(&place, 3);
    daemon.kill();
    let daemon = place.start();
    daemon.wait_state(batch, "running");
    daemon.post(&format!("/v1/jobs/{batch}/cancel"), json!({"reason": "enough"}));
    daemon.wait_state(batch, "cancelled");
    until("its processes have ended", || place.job_processes().is_empty().then_some(()));
    until("nothing is under way", || (show(&daemon, batch)["running"] == 0).then_some(()));
    let view = show(&daemon, batch);
    assert_eq!((&view["todo"], &view["done"]), (&json!(4), &json!(0)), "{view}");
    nothing_is_left(&place, &daemon, names(4).into_iter().map(|name| format!("client:{name}")));
    // A person may go on with it.
    touch(&place.path("go"));
    daemon.post(&format!("/v1/batches/{batch}/repair"), json!({}));
    daemon.wait_state(batch, "completed");
    assert_eq!(show(&daemon, batch)["done"], 4);
}

#[test]
fn a_reload_does_not_touch_a_run_even_if_its_task_leaves() {
    let place = Place::new(&config(2));
    let mut daemon = place.start();
    let batch = begin(&daemon, 6);
    have_begun(&place, 2);
    place.configure("", &config(3));
    daemon.post("/v1/reload", json!({}));
    place.configure("", "");
    daemon.post("/v1/reload", json!({}));
    assert_eq!(show(&daemon, batch)["state"], "running");
    // The next daemon knows no such task: what goes on is taken over, and the rest waits for it to come back.
    daemon.kill();
    daemon = place.start();
    touch(&place.path("go"));
    until("what went on is done", || (show(&daemon, batch)["done"] == 2).then_some(()));
    assert_eq!(daemon.state(batch), "interrupted");
    place.configure("", &config(3));
    daemon.post("/v1/reload", json!({}));
    all_once(&place, &daemon, batch, 6);
}

#[test]
fn a_task_that_handles_no_items_any_more_ends_no_batch() {
    let place = Place::new(&config(2));
    let daemon = place.start();
    let batch = begin(&daemon, 3);
    have_begun(&place, 2);
    place.configure("", "[task.auth]\nshell = 'echo all >> $DIR/begun'\n");
    daemon.post("/v1/reload", json!({}));
    daemon.kill();
    let daemon = place.start();
    until("it has failed", || {
        let error = daemon.job(batch)["error"].to_string();
        error.contains("handles no items any more").then_some(())
    });
    touch(&place.path("go"));
    until("what went on is done", || (show(&daemon, batch)["done"] == 2).then_some(()));
    place.configure("", &config(2));
    // The sweep of the reload repairs it.
    daemon.post("/v1/reload", json!({}));
    all_once(&place, &daemon, batch, 3);
}

#[test]
fn a_handler_that_kills_what_looks_after_it_fails() {
    fails("kill -9 $PPID", "the process that looked after it was killed");
}

#[test]
fn a_handler_that_ends_what_looks_after_it_fails() {
    fails("kill $PPID", "was told to end it, and not by the daemon");
    fails("kill -USR1 $PPID", "was told to end it, and not by the daemon");
}

#[track_caller]
fn fails(kill: &str, why: &str) {
    let place = Place::new(
        &"[task.auth]\nitems = \"given\"\n\
         each = { attempts = 3, backoff = \"10ms\", shell = 'echo \"$DAYBOOK_ITEM\" >> $DIR/begun; KILL; sleep 60' }\n"
            .replace("KILL", kill),
    );
    let daemon = place.start();
    let batch = begin(&daemon, 2);
    daemon.wait_state(batch, "retryable");
    assert_eq!(counted(&place, "begun"), BTreeMap::from([("i0".to_owned(), 3), ("i1".to_owned(), 3)]));
    let failed = daemon.get(&format!("/v1/batches/{batch}/items?state=failed")).to_string();
    assert!(failed.contains(why), "{failed}");
    nothing_is_left(&place, &daemon, []);
    daemon.stop();
}

#[test]
fn a_disk_that_fails_ends_the_daemon_and_loses_no_item() {
    let quick = config(8).replace("until test -e $DIR/go; do sleep 0.02; done; ", "");
    let place = Place::new(&format!("{quick}[task.fill]\nshell = 'true'\n"));
    // Files of at most 1 MiB: the disk takes the items, and fails somewhere in the run.
    let mut daemon = place.launch_limited("trap '' XFSZ; ulimit -f 2048");
    daemon.wait_ready();
    let count = 300;
    let batch = begin(&daemon, count);
    // Fills the disk while the batch runs.
    let body = json!({"task": "fill", "in": "1h", "args": noise(1, 20_000)}).to_string();
    let mut client = daemon.client();
    until("the disk is full", || client.send("POST", "/v1/jobs", "application/json", &body).err());
    assert_eq!(daemon.wait_exit().code(), Some(74), "{}", place.log());
    let daemon = place.start();
    daemon.wait_state(batch, "completed");
    assert_eq!(show(&daemon, batch)["done"], count);
    // Also what had ended and could not be noted: its run file says so.
    assert_eq!(counted(&place, "done"), names(count).into_iter().map(|name| (name, 1)).collect());
    nothing_is_left(&place, &daemon, []);
    daemon.stop();
}
