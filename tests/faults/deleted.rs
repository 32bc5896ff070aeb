//! The state folder is deleted under the daemon: from then on nothing is acknowledged.

use std::fs;

use serde_json::json;

use crate::client::Client;
use crate::daemon::Place;

const TASK: &str = "[task.a]\nshell = 'true'\n";

/// Deletes what `gone` names in the state folder, and asks for one more job.
fn delete(place: &Place, gone: &str) {
    let mut daemon = place.start();
    let body = json!({ "task": "a", "key": "before", "in": "10h" });
    daemon.add(body.clone());
    let mut client = daemon.client();
    fs::remove_dir_all(place.state().join(gone)).unwrap();
    let body = json!({ "task": "a", "key": "after", "in": "10h" }).to_string();
    let answer = client.send("POST", "/v1/jobs", "application/json", &body);
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status >= 500), "it was acknowledged");
    assert_eq!(daemon.wait_exit().code(), Some(74));
    assert!(Client::connect(&place.socket()).is_err(), "nobody listens");
    let said = place.log();
    assert!(said.contains("it was deleted while it was in use"), "{said}");
}

#[test]
fn nothing_is_acknowledged_when_the_state_folder_is_deleted() {
    let place = Place::new(TASK);
    delete(&place, "");
    // There is nothing left to come back to: it begins anew, which is what was asked for.
    let daemon = place.start();
    assert!(daemon.jobs("").is_empty());
    daemon.add(json!({ "task": "a", "key": "after", "in": "10h" }));
    daemon.stop();
    place.verify();
}

#[test]
fn nor_when_it_is_the_journal_alone() {
    delete(&Place::new(TASK), "journal");
}

#[test]
fn a_sweep_notices_when_nobody_asks_for_anything() {
    let place = Place::new(TASK);
    let mut daemon = place.start();
    fs::remove_dir_all(place.state()).unwrap();
    // As the timer would. Whoever waits for it is told nothing, or that it could not be.
    assert!(!place.cli(["repair"]).status.success());
    assert_eq!(daemon.wait_exit().code(), Some(74));
}
