//! A control socket that the service manager hands over, as it does with a socket unit.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use serde_json::json;

use crate::client::Client;
use crate::daemon::{Daemon, Place, until};

const ECHO: &str = "[task.descriptors]\nshell = 'ls -l /proc/self/fd; env'\n";

/// A listening socket at this path that processes inherit, under a number that is none of those it is moved to.
fn listen(path: &Path) -> OwnedFd {
    let listener = fcntl_dupfd_cloexec(UnixListener::bind(path).unwrap(), 100).unwrap();
    fcntl_setfd(&listener, FdFlags::empty()).unwrap();
    listener
}

/// A daemon that is handed these as 3, 4, ...
fn launch<'a>(place: &'a Place, listeners: &[&OwnedFd], more: &str) -> Daemon<'a> {
    let number = |it: &OwnedFd| it.as_raw_fd();
    let moves: Vec<String> =
        listeners.iter().enumerate().map(|(i, it)| format!("exec {}<&{1} {1}<&-", 3 + i, number(it))).collect();
    // Not every shell moves descriptors beyond 9.
    place.launch_limited(&format!(
        "exec bash -c '{}; export LISTEN_PID=$$ LISTEN_FDS={} {more}; exec \"$0\" daemon --config \"$1\"' \"$0\" \"$1\"",
        moves.join("; "),
        listeners.len()
    ))
}

#[test]
fn who_connects_while_no_daemon_is_there_waits() {
    let place = Place::new(ECHO);
    let listener = listen(&place.socket());
    // Before there is a daemon, and again between two of them.
    let early = std::thread::scope(|scope| {
        let mut client = Client::connect(&place.socket()).unwrap();
        let early = scope.spawn(move || client.send("GET", "/healthz", "application/json", "").unwrap().status);
        let mut daemon = launch(&place, &[&listener], "LISTEN_FDNAMES=daybook.socket");
        daemon.wait_ready();
        assert_eq!(early.join().unwrap(), 200);
        daemon.stop();
        let mut client = Client::connect(&place.socket()).unwrap();
        let early =
            scope.spawn(move || client.send("POST", "/v1/jobs", "application/json", r#"{"task": "descriptors"}"#));
        launch(&place, &[&listener], "").kill();
        let mut daemon = launch(&place, &[&listener], "");
        daemon.wait_ready();
        let answer = early.join().unwrap();
        daemon.stop();
        answer
    });
    // The killed one may have taken the connection with it; nothing else is allowed to happen.
    if let Ok(answer) = early {
        assert_eq!(answer.status, 201);
    }
    assert!(place.socket().exists(), "the socket is the service manager's, and stays");
}

#[test]
fn the_one_of_the_right_name_is_taken_and_jobs_get_none() {
    let place = Place::new(ECHO);
    let (listener, other) = (listen(&place.socket()), listen(&place.path("other.sock")));
    let mut daemon = launch(&place, &[&other, &listener], "LISTEN_FDNAMES=http:control");
    daemon.wait_ready();
    let job = daemon.add(json!({"task": "descriptors"}));
    daemon.wait_state(job, "completed");
    let output = daemon.send("GET", &format!("/v1/jobs/{job}/output"), "").text();
    assert!(output.contains("DAYBOOK_JOB="), "{output}");
    for word in ["LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_"] {
        assert!(!output.contains(word), "a job has {word}: {output}");
    }
    // By their numbers, as daemons inherit the sockets of tests that run beside this one.
    for socket in [&listener, &other] {
        let inherited = format!("socket:[{}]", rustix::fs::fstat(socket).unwrap().st_ino);
        assert!(!output.contains(&inherited), "a job has {inherited}: {output}");
    }
    daemon.stop();
}

#[test]
fn a_socket_elsewhere_than_the_config_says_is_refused() {
    let place = Place::new(ECHO);
    let listener = listen(&place.path("elsewhere.sock"));
    let mut daemon = launch(&place, &[&listener], "");
    assert_eq!(daemon.wait_exit().code(), Some(3));
    let log = place.log();
    assert!(log.contains("elsewhere.sock") && log.contains("control.sock") && log.contains("ListenStream="), "{log}");
}

#[test]
fn what_is_no_socket_is_refused() {
    let place = Place::new(ECHO);
    let mut daemon = place
        .launch_limited("exec 3</dev/null; export LISTEN_FDS=1; exec env LISTEN_PID=$$ \"$0\" daemon --config \"$1\"");
    assert_eq!(daemon.wait_exit().code(), Some(3));
    assert!(place.log().contains("is no listening Unix socket"), "{}", place.log());
}

#[test]
fn what_was_handed_to_another_process_is_left_alone() {
    let place = Place::new(ECHO);
    let mut daemon = place.launch_limited("exec 3</dev/null; export LISTEN_FDS=1 LISTEN_PID=1");
    daemon.wait_ready();
    daemon.stop();
    assert!(!place.socket().exists(), "its own socket goes with it");
}

/// Two names for one file are one socket: /var/run is often a link to /run.
#[test]
fn another_name_of_the_same_socket_is_the_same() {
    let place = Place::with_top("", ECHO);
    fs::create_dir(place.path("run")).unwrap();
    std::os::unix::fs::symlink(place.path("run"), place.path("var")).unwrap();
    let listener = listen(&place.path("run/control.sock"));
    std::os::unix::fs::symlink("run/control.sock", place.socket()).unwrap();
    let mut daemon = launch(&place, &[&listener], "");
    until("it answers", || daemon.answers().then_some(()));
    daemon.signal(rustix::process::Signal::TERM);
    assert!(daemon.wait_exit().success());
}
