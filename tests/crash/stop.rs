//! Signals: SIGTERM waits for what runs, SIGINT twice does not, SIGHUP takes a new config over and sweeps.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::daemon::{Daemon, Place, touch, until};

const WAIT: &str = "[task.wait]\nshell = 'echo a >> $DIR/begun; until test -e $DIR/go; do sleep 0.02; done'\n";
const DEAF: &str = "[task.wait]\ngrace = \"1h\"\nconcurrency = 2\n\
    shell = 'trap \"\" TERM INT; echo a >> $DIR/begun; until test -e $DIR/go; do sleep 0.02; done'\n";

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
fn a_stop_waits_for_what_runs_and_starts_nothing_more() {
    let place = Place::with_top("stop_timeout = \"1h\"", WAIT);
    let (mut daemon, job) = begin(&place);
    let next = daemon.add(json!({"task": "wait"}));
    daemon.signal(Signal::TERM);
    wait_logged(&place, "stopping");
    // It is still there for the job that runs, and says so; new ones are refused.
    until("it is stopping", || (daemon.get("/v1/status")["state"] == "stopping").then_some(()));
    let refused = daemon.send("POST", "/v1/jobs", r#"{"task":"wait"}"#);
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("stopping")));
    assert_eq!(daemon.post(&format!("/v1/jobs/{job}/progress"), json!({"current": 3, "total": 4}))["current"], 3);
    touch(&place.path("go"));
    assert!(daemon.wait_exit().success());
    assert_eq!(place.read("begun"), "a\n", "nothing else was started");
    place.verify();
    let daemon = place.start();
    let done = daemon.job(job);
    assert_eq!((&done["state"], &done["attempts"]), (&json!("completed"), &json!(1)));
    daemon.wait_state(next, "completed");
}

#[test]
fn what_still_runs_after_stop_timeout_is_interrupted_and_resumed() {
    let place = Place::with_top("stop_timeout = \"100ms\"", WAIT);
    let (mut daemon, job) = begin(&place);
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit().success());
    assert_eq!(place.job_processes(), [], "its processes are gone");
    place.verify();
    let daemon = place.start();
    wait_begun(&place, 2);
    let journal = daemon.send("GET", &format!("/v1/journal?job={job}"), "").text();
    assert!(journal.contains("the daemon was stopped"), "{journal}");
    touch(&place.path("go"));
    let done = daemon.wait_state(job, "completed");
    assert_eq!(done["attempts"], 2);
    let starts = daemon.send("GET", "/v1/journal", "").text();
    let starts: Vec<_> = starts.lines().filter(|line| line.contains("\"daemon_started\"")).collect();
    assert!(starts.len() == 2 && starts[1].contains("\"clean\":true"), "{starts:?}");
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
    let place = Place::with_top("stop_timeout = \"1h\"", DEAF);
    let (mut daemon, job) = begin(&place);
    daemon.signal(Signal::INT);
    wait_logged(&place, "stopping");
    daemon.signal(Signal::INT);
    assert_eq!(daemon.wait_exit().code(), Some(130));
    touch(&place.path("go"));
    let daemon = place.start();
    daemon.wait_state(job, "completed");
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
