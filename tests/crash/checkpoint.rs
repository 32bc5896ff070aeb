//! Checkpoints: a daemon that was killed while one was written, or after it, has everything; of a damaged disk no
//! part is skipped in silence.

use std::fs;

use serde_json::{Value, json};

use crate::daemon::{Daemon, Place, until};

/// Bytes of commits after which a checkpoint is written.
const CHECKPOINT_AFTER: usize = 64 << 20;
const ARGS: usize = 60_000;
const JOBS_PER_CALL: usize = 100;

/// Adds jobs, that wait, until a checkpoint is due.
fn load(daemon: &Daemon, prefix: &str) -> usize {
    let mut client = daemon.client();
    let args = "x".repeat(ARGS);
    let calls = CHECKPOINT_AFTER / ARGS / JOBS_PER_CALL + 2;
    for call in 0..calls {
        let job =
            |number| json!({"task": "wait", "in": "1h", "key": format!("{prefix}-{call}-{number}"), "args": args});
        let jobs: Vec<Value> = (0..JOBS_PER_CALL).map(job).collect();
        let answer = client.send("POST", "/v1/jobs", "application/json", &json!(jobs).to_string()).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    calls * JOBS_PER_CALL
}

#[track_caller]
fn whole(daemon: &Daemon, waiting: usize) {
    let scheduled = daemon.get("/v1/status")["jobs"]["scheduled"].clone();
    assert_eq!(scheduled, json!(waiting));
    for key in ["a-0-0", "small"] {
        assert_eq!(daemon.post("/v1/jobs", json!({"task": "wait", "key": key}))["created"], false, "{key}");
    }
    daemon.place.verify();
}

#[test]
fn a_daemon_killed_around_a_checkpoint_has_everything() {
    let place = Place::new("[task.wait]\nshell = 'true'\n");
    let daemon = place.start();
    let small = daemon.add(json!({"task": "wait", "key": "small"}));
    daemon.wait_state(small, "completed");
    let mut waiting = load(&daemon, "a");
    // It has begun, or is about to: nobody waits for it.
    daemon.kill();
    let daemon = place.start();
    whole(&daemon, waiting);
    // Recovery has read that much that the next commit makes one due.
    daemon.add(json!({"task": "wait", "key": "after", "in": "1h"}));
    waiting += 1;
    until("a checkpoint is written", || place.log().contains("checkpoint written").then_some(()));
    daemon.add(json!({"task": "wait", "key": "later", "in": "1h"}));
    waiting += 1;
    daemon.kill();
    let daemon = place.start();
    whole(&daemon, waiting);
    daemon.stop();

    let generations = place.generations();
    assert!(generations.len() >= 2, "{generations:?}");
    let away = place.path("away");
    // The one after the checkpoint is needed.
    fs::rename(generations.last().unwrap(), &away).unwrap();
    let (code, said) = place.start_refused();
    assert_eq!(code, 74, "{said}");
    assert!(said.contains("commit ") && said.contains("backup"), "{said}");
    fs::rename(&away, generations.last().unwrap()).unwrap();
    // The one before is not.
    fs::rename(&generations[0], &away).unwrap();
    let daemon = place.start();
    whole(&daemon, waiting);
    daemon.stop();
    // Without it the checkpoint is all there is.
    fs::rename(place.state().join("checkpoint"), place.path("checkpoint")).unwrap();
    let (code, said) = place.start_refused();
    assert_eq!(code, 74, "{said}");
    assert!(said.contains("commit 1 ") && said.contains("backup"), "{said}");
    // With it the checkpoint can be done without.
    fs::rename(&away, &generations[0]).unwrap();
    whole(&place.start(), waiting);
}
