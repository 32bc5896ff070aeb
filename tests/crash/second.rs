//! Two daemons never share a state folder or a socket.

use std::os::unix::net::UnixListener;

use serde_json::json;

use crate::daemon::{Place, until};

#[test]
fn a_second_daemon_on_the_same_state_is_refused_and_told_who_has_it() {
    let place = Place::new("[task.now]\nshell = 'true'\n");
    let mut daemon = place.start();
    let (code, said) = place.start_refused();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("pid {}", daemon.pid())), "{said}");
    assert!(said.contains(&*place.state().to_string_lossy()), "{said}");
    // The first one has not noticed.
    assert!(daemon.is_up());
    let job = daemon.add(json!({"task": "now"}));
    daemon.wait_state(job, "completed");
    daemon.stop();
    place.start().stop();
}

#[test]
fn of_several_that_start_at_once_one_stays() {
    let place = Place::new("[task.now]\nshell = 'true'\n");
    let mut daemons: Vec<_> = (0..4).map(|_| place.launch()).collect();
    until("all but one have ended", || {
        let codes: Vec<i32> = daemons.iter_mut().filter_map(|daemon| daemon.exit_code()).collect();
        assert!(codes.iter().all(|code| *code == 1), "{codes:?}");
        (codes.len() == daemons.len() - 1).then_some(())
    });
    let daemon = daemons.iter_mut().filter_map(|daemon| daemon.is_up().then_some(daemon)).next().unwrap();
    daemon.wait_ready();
    let job = daemon.add(json!({"task": "now"}));
    daemon.wait_state(job, "completed");
    assert_eq!(daemon.get("/v1/status")["pid"], daemon.pid());
}

#[test]
fn the_lock_of_a_killed_daemon_holds_nobody_up() {
    let place = Place::new("");
    place.start().kill();
    assert!(place.socket().exists(), "it could not remove its socket");
    let daemon = place.start();
    daemon.stop();
    assert!(!place.socket().exists(), "it leaves no socket behind");
}

#[test]
fn a_socket_on_which_somebody_answers_is_not_taken_over() {
    let first = Place::new("");
    let daemon = first.start();
    let second = Place::new("");
    let text = std::fs::read_to_string(second.config_file()).unwrap();
    let text = text.replace("\"control.sock\"", &format!("\"{}\"", first.socket().display()));
    std::fs::write(second.config_file(), text).unwrap();
    let (code, said) = second.start_refused();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&*first.socket().to_string_lossy()), "{said}");
    assert!(daemon.get("/healthz")["ok"] == json!(true), "the first one still answers");
}

#[test]
fn a_file_that_is_no_socket_is_not_removed() {
    let place = Place::new("");
    std::fs::write(place.socket(), "precious").unwrap();
    let (code, said) = place.start_refused();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("control.sock"), "{said}");
    assert_eq!(place.read("control.sock"), "precious");
}

#[test]
fn a_stale_socket_is_replaced() {
    let place = Place::new("");
    drop(UnixListener::bind(place.socket()).unwrap()); // the file stays, and nobody listens
    place.start().stop();
}

#[test]
fn a_lock_that_cannot_be_made_is_the_disk_and_no_other_daemon() {
    let place = Place::new("");
    std::fs::create_dir_all(place.state().join("lock")).unwrap();
    let (code, said) = place.start_refused();
    assert_eq!(code, 74, "{said}");
    assert!(said.contains("state/lock") && !said.contains("daybook status"), "{said}");
}
