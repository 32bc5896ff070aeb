//! `execution = false`: a daemon that takes jobs in and starts none, until a reload says otherwise.

use serde_json::json;

use crate::daemon::{Place, touch, until};

const CONFIG: &str = r#"
[task.note]
shell = 'echo "$DAYBOOK_JOB" >> $DIR/notes; until test -e $DIR/go; do sleep 0.02; done'
concurrency = 2
"#;

#[test]
fn jobs_are_taken_and_wait_until_a_reload_lets_them_start() {
    let place = Place::with_top("execution = false", CONFIG);
    let daemon = place.start();
    let first = daemon.add(json!({"task": "note", "key": "k"}));
    let delayed = daemon.add(json!({"task": "note", "in": "10ms"}));
    daemon.wait_state(delayed, "available");
    assert_eq!(daemon.state(first), "available");
    assert!(daemon.why(first).contains("`execution` is false"), "{}", daemon.why(first));
    assert_eq!(daemon.get("/v1/status")["execution"], false);
    daemon.kill();
    let daemon = place.start();
    daemon.post("/v1/repair", json!({}));
    assert_eq!((daemon.state(first), daemon.state(delayed)), ("available".into(), "available".into()));
    assert_eq!(place.read("notes"), "");

    place.configure("", CONFIG);
    daemon.post("/v1/reload", json!({}));
    until("both run", || (place.read("notes").lines().count() == 2).then_some(()));
    assert_eq!(daemon.get("/v1/status")["execution"], true);

    // And back: what runs goes on, what waits stays.
    place.configure("execution = false", CONFIG);
    daemon.post("/v1/reload", json!({}));
    let third = daemon.add(json!({"task": "note"}));
    touch(&place.path("go"));
    daemon.wait_state(first, "completed");
    daemon.wait_state(delayed, "completed");
    assert_eq!(daemon.state(third), "available");
    place.configure("execution = true", CONFIG);
    daemon.post("/v1/reload", json!({}));
    daemon.wait_state(third, "completed");
    place.verify();
}
