//! A history that can no longer be written ends the daemon: what it lacks would not be known by its key.

use std::fs;

use serde_json::json;

use crate::client::Client;
use crate::daemon::Place;

#[test]
fn a_history_that_cannot_be_written_ends_the_daemon_and_is_made_up_for() {
    let place = Place::new("[task.now]\nshell = 'true'\n");
    let mut daemon = place.start();
    // No folder can be made in a file, whoever asks.
    let keys = place.state().join("keys");
    fs::remove_dir_all(&keys).unwrap();
    fs::write(&keys, "").unwrap();
    let job = daemon.add(json!({"task": "now", "key": "k"}));
    // Any commit after that finds it out.
    let status = loop {
        let client = Client::connect(&place.socket());
        let sent = client.and_then(|mut client| client.send("POST", "/v1/repair", "application/json", "{}"));
        if sent.is_err() {
            break daemon.wait_exit();
        }
    };
    assert_eq!(status.code(), Some(74), "{}", place.log());
    assert!(place.log().contains("state/keys") && place.log().contains("start it again"), "{}", place.log());
    fs::remove_file(&keys).unwrap();
    let daemon = place.start();
    daemon.wait_state(job, "completed");
    assert_eq!(daemon.post("/v1/jobs", json!({"task": "now", "key": "k"})), json!({"id": job, "created": false}));
    place.verify();
}
