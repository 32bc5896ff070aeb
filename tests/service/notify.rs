//! What the service manager is told at start, reload and stop, and while all is well.

use rustix::process::Signal;
use serde_json::json;

use crate::client::Client;
use crate::daemon::{Place, touch, until};
use crate::manager::Manager;

const WAIT: &str = "[task.wait]\nshell = 'until [ -e $DIR/go ]; do sleep 0.01; done'\n";

#[test]
fn it_is_ready_when_it_takes_commands() {
    let place = Place::new("[task.backup]\nschedule = '30 2 * * *'\nshell = 'true'\n");
    let manager = Manager::new(place.dir());
    let daemon = place.launch_limited(&manager.export());
    let messages = manager.until(|line| line == "READY=1");
    let answer = Client::connect(&place.socket()).unwrap().send("GET", "/healthz", "application/json", "").unwrap();
    assert_eq!(answer.status, 200, "no second try: it has said that it is ready");
    let extended = messages[0].iter().any(|line| line.starts_with("EXTEND_TIMEOUT_USEC="));
    assert!(extended, "a start that takes long says so: {messages:?}");
    let status = messages.last().unwrap().iter().find(|line| line.starts_with("STATUS=")).unwrap();
    assert!(status.contains("0 running, 0 waiting, next backup "), "{status}");
    assert!(status.ends_with("at 02:30, last sweep just now: nothing found"), "{status}");
    drop(daemon);
}

#[test]
fn a_stop_says_how_long_it_may_take() {
    let place = Place::with_top("stop_timeout = '2h'", &format!("{WAIT}grace = '3m'\n"));
    let manager = Manager::new(place.dir());
    let mut daemon = place.launch_limited(&manager.export());
    manager.until(|line| line == "READY=1");
    let job = daemon.add(json!({"task": "wait"}));
    daemon.wait_state(job, "running");
    daemon.signal(Signal::TERM);
    let messages = manager.until(|line| line == "STOPPING=1");
    let within: Vec<&str> =
        messages.last().unwrap().iter().filter_map(|line| line.strip_prefix("EXTEND_TIMEOUT_USEC=")).collect();
    let seconds: u64 = within[0].parse::<u64>().unwrap() / 1_000_000;
    assert!((7380..7500).contains(&seconds), "two hours, three minutes and a little: {seconds} s");
    touch(&place.path("go"));
    assert!(daemon.wait_exit().success());
}

#[test]
fn a_reload_is_told_whether_it_is_taken_or_refused() {
    let place = Place::new(WAIT);
    let manager = Manager::new(place.dir());
    let daemon = place.launch_limited(&manager.export());
    manager.until(|line| line == "READY=1");
    for (config, by_signal, refused) in
        [(WAIT, false, false), ("[task.wait]\nshel = ''\n", false, true), (WAIT, true, false)]
    {
        place.configure("", config);
        match by_signal {
            true => daemon.signal(Signal::HUP),
            false => assert_eq!(daemon.send("POST", "/v1/reload", "{}").status, if refused { 422 } else { 200 }),
        }
        let begun = manager.until(|line| line == "RELOADING=1");
        let monotonic = begun.last().unwrap().iter().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        assert!(monotonic.unwrap().parse::<u64>().unwrap() > 0);
        let ended = manager.until(|line| line == "READY=1");
        let status = ended.last().unwrap().iter().find(|line| line.starts_with("STATUS=")).unwrap();
        assert_eq!(status.contains("PROBLEM: the config was refused"), refused, "{status}");
    }
}

#[test]
fn the_watchdog_is_fed_and_the_status_stays_true() {
    let place = Place::new(WAIT);
    let manager = Manager::new(place.dir());
    let daemon = place.launch_limited(&format!("{}; export WATCHDOG_USEC=200000", manager.export()));
    manager.until(|line| line == "READY=1");
    manager.until(|line| line == "WATCHDOG=1");
    let job = daemon.add(json!({"task": "wait"}));
    manager.until(|line| line.contains("STATUS=1 running, 0 waiting"));
    touch(&place.path("go"));
    daemon.wait_state(job, "completed");
    manager.until(|line| line.contains("STATUS=0 running, 0 waiting"));
    manager.until(|line| line == "WATCHDOG=1");
}

#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    let place = Place::new(WAIT);
    let manager = Manager::new(place.dir());
    // As left by somebody who has started us through a shell of his own.
    let daemon = place.launch_limited(&format!("{}; export WATCHDOG_USEC=200000 WATCHDOG_PID=1", manager.export()));
    manager.until(|line| line == "READY=1");
    daemon.signal(Signal::TERM);
    let messages = manager.until(|line| line == "STOPPING=1");
    assert!(!messages.iter().flatten().any(|line| line == "WATCHDOG=1"), "{messages:?}");
}

#[test]
fn a_failed_start_leaves_its_reason() {
    let place = Place::new("[task.wait]\nshell = 'true'\nweather = 1\n");
    let manager = Manager::new(place.dir());
    let mut daemon = place.launch_limited(&manager.export());
    assert_eq!(daemon.wait_exit().code(), Some(3));
    let message = manager.next();
    assert!(message[0].starts_with("STATUS=") && message[0].contains("task.wait.weather: unknown key"), "{message:?}");
}

#[test]
fn without_a_manager_nothing_is_missing() {
    let place = Place::new(WAIT);
    // A socket that nobody listens on any more.
    let manager = Manager::new(place.dir());
    let export = manager.export();
    drop(manager);
    let mut daemon = place.launch_limited(&export);
    until("it answers", || daemon.answers().then_some(()));
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_exit().success());
}
