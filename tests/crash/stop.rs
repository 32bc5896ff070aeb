//! Signals: SIGTERM leaves processes to their shims and waits for workers, SIGINT twice does not wait, SIGHUP takes a
//! new config over and sweeps.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::daemon::{Daemon, Place, touch, until};

const WAIT: &str = "[task.wait]\nshell = 'echo a >> $DIR/begun; until test -e $DIR/go; do sleep 0.02; done'\n";

fn begin<'a>(place: &'a Place) -> (Daemon<'a>, u64) {
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait"}));
    wait_begun(place, 1);
    (daemon, job)
}

fn wait_begun(place: &Place, attempts: usize) {
    until("the attempt has begun", || (place.read("begun").lines().count() == attempts).then_some(()));
}

fn wait_logged(place: &Place, text: &str) {
    until(&format!("the log has `{text}`"), || place.log().contains(text).then_some(()));
}

#[test]
fn a_stop_leaves_what_runs_to_its_shim_and_the_next_daemon_takes_it_over() {
    let place = Place::with_top("stop_timeout = \"1h\"", WAIT);
    let (mut daemon, job) = begin(&place);
    let next = daemon.add(json!({"task": "wait"}));
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit().success());
    assert!(!place.job_processes().is_empty(), "it goes on");
    place.verify();
    let mut daemon = place.start();
    assert_eq!(daemon.job(job)["state"], "running");
    assert_eq!(daemon.post(&format!("/v1/jobs/{job}/progress"), json!({"current": 3, "total": 4}))["current"], 3);
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit().success());
    assert_eq!(place.read("begun"), "a\n", "nothing else was started");
    // Its end comes while no daemon is there.
    touch(&place.path("go"));
    until("its shim has ended", || place.shims().is_empty().then_some(()));
    let daemon = place.start();
    let done = daemon.wait_state(job, "completed");
    assert_eq!(done["attempts"], 1);
    daemon.wait_state(next, "completed");
    place.verify();
}

#[test]
fn a_worker_that_still_runs_after_stop_timeout_is_interrupted_and_resumed() {
    let place = Place::endless("stop_timeout = \"100ms\"", "");
    let mut daemon = place.start();
    let job = daemon.add(json!({"task": "endless"}));
    daemon.wait_state(job, "running");
    daemon.signal(Signal::TERM);
    wait_logged(&place, "stopping");
    assert!(daemon.wait_exit().success());
    place.verify();
    let daemon = place.start();
    until("it runs again", || (daemon.job(job)["attempts"] == 2).then_some(()));
    let journal = daemon.send("GET", &format!("/v1/journal?job={job}"), "").text();
    assert!(journal.contains("the daemon was stopped"), "{journal}");
    let starts = daemon.send("GET", "/v1/journal", "").text();
    let starts: Vec<_> = starts.lines().filter(|line| line.contains("\"daemon_started\"")).collect();
    assert!(starts.len() == 2 && starts[1].contains("\"clean\":true"), "{starts:?}");
}

#[test]
fn while_it_waits_for_a_worker_it_can_be_asked_and_takes_nothing_in() {
    let place = Place::endless("stop_timeout = \"1h\"", "");
    let mut daemon = place.start();
    let job = daemon.add(json!({"task": "endless"}));
    daemon.wait_state(job, "running");
    daemon.signal(Signal::TERM);
    until("it is stopping", || (daemon.get("/v1/status")["state"] == "stopping").then_some(()));
    let refused = daemon.send("POST", "/v1/jobs", r#"{"task":"endless"}"#);
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("stopping")));
    daemon.post(&format!("/v1/jobs/{job}/cancel"), json!({}));
    assert!(daemon.wait_exit().success());
    assert_eq!(place.start().job(job)["state"], "cancelled");
}

#[test]
fn an_idle_daemon_stops_without_waiting() {
    let place = Place::with_top("stop_timeout = \"1h\"", WAIT);
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = place.start();
        let before = Instant::now();
        daemon.signal(signal);
        assert!(daemon.wait_exit().success());
        assert!(before.elapsed() < Duration::from_secs(60), "far below stop_timeout");
    }
}

#[test]
fn the_second_interrupt_stops_at_once() {
    let place = Place::endless("stop_timeout = \"1h\"", "");
    let mut daemon = place.start();
    let job = daemon.add(json!({"task": "endless"}));
    daemon.wait_state(job, "running");
    daemon.signal(Signal::INT);
    wait_logged(&place, "stopping");
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait_exit().code(), Some(130));
    let daemon = place.start();
    until("it runs again", || (daemon.job(job)["attempts"] == 2).then_some(()));
    place.verify();
}

#[test]
fn a_stop_that_comes_while_it_starts_is_heeded() {
    let place = Place::new(WAIT);
    for delay in 0..12 {
        let mut daemon = place.launch();
        std::thread::sleep(Duration::from_millis(delay * 4)); // at another point of its start each time
        daemon.signal(Signal::TERM);
        let status = daemon.wait_exit();
        // Before it could listen for signals it ends by this one, which is as good.
        assert!(status.success() || status.signal() == Some(Signal::TERM.as_raw()), "{status}");
    }
    place.start().stop();
    place.verify();
}

#[test]
fn a_hangup_takes_the_new_config_over_and_sweeps() {
    let place = Place::new(WAIT);
    let (daemon, job) = begin(&place);
    let sweep = daemon.get("/v1/status")["last_sweep"]["at"].clone();
    place.configure("", &format!("{WAIT}\n[task.new]\nshell = 'true'\n"));
    daemon.signal(Signal::HUP);
    until("it has swept", || (daemon.get("/v1/status")["last_sweep"]["at"] != sweep).then_some(()));
    let new = daemon.add(json!({"task": "new"}));
    daemon.wait_state(new, "completed");
    assert_eq!(daemon.state(job), "running", "what runs is untouched");
    touch(&place.path("go"));
    assert_eq!(daemon.wait_state(job, "completed")["attempts"], 1);
}

#[test]
fn a_bad_config_changes_nothing() {
    let place = Place::new(WAIT);
    let (daemon, job) = begin(&place);
    let tasks = daemon.get("/v1/tasks/wait");
    place.configure("", "[task.wait]\nshel = 'true'\n[task.other]\nshell = 'true'\n");
    let refused = daemon.send("POST", "/v1/reload", "{}");
    assert_eq!((refused.status, &refused.json()["code"]), (422, &json!("config_invalid")));
    let said = refused.text();
    assert!(said.contains("daybook.toml") && said.contains("shel") && said.contains("`shell`"), "{said}");
    let sweep = daemon.get("/v1/status")["last_sweep"]["at"].clone();
    daemon.signal(Signal::HUP);
    // The sweep is done all the same.
    until("it has swept", || (daemon.get("/v1/status")["last_sweep"]["at"] != sweep).then_some(()));
    wait_logged(&place, "config refused");
    assert_eq!(daemon.get("/v1/tasks/wait"), tasks);
    assert_eq!(daemon.send("GET", "/v1/tasks/other", "").status, 404);
    let next = daemon.add(json!({"task": "wait"}));
    touch(&place.path("go"));
    daemon.wait_state(job, "completed");
    daemon.wait_state(next, "completed");
    daemon.stop();
    // A start with it is refused, and says where.
    let (code, said) = place.start_refused();
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("daybook.toml") && said.contains("shel"), "{said}");
}
