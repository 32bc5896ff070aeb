//! A batch whose hours are over says so, and gives no time at which it will be done.

use serde_json::{Value, json};

use crate::daemon::{Place, until};

/// `HH:00-HH:00`, in UTC, so many hours from now on.
fn hours(from: u64, to: u64) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() / 3600;
    format!("{:02}:00-{:02}:00", (now + from) % 24, (now + to) % 24)
}

#[test]
fn why_tells_what_a_batch_waits_for_until_its_hours_come() {
    let config = |hours: &str| {
        format!(
            "[task.night]\ntimezone = \"UTC\"\nitems = \"given\"\nconcurrency = 1\nhours = \"{hours}\"\n\
             each = {{ shell = 'until test -e $DIR/go; do sleep 0.02; done' }}\n"
        )
    };
    // Neither this hour nor the next, should it come meanwhile.
    let outside = hours(2, 23);
    let place = Place::new(&config(&outside));
    let daemon = place.start();
    let batch = daemon.post("/v1/batches", json!({"task": "night", "items": ["a", "b", "c"]}))["id"].as_u64().unwrap();
    let rests = format!("it begins no further item: it waits for its hours, {outside} (UTC)");
    until("it waits for its hours", || daemon.why(batch).contains(&rests).then_some(()));
    let shown = daemon.get(&format!("/v1/batches/{batch}"));
    assert_eq!((&shown["state"], &shown["todo"], &shown["eta"]), (&json!("running"), &json!(3), &Value::Null));
    // Its hours are those that it began with, until it goes on with others.
    let inside = hours(0, 3);
    place.configure("", &config(&inside));
    daemon.post("/v1/reload", json!({}));
    assert!(daemon.why(batch).contains(&rests));
    daemon.kill();
    let daemon = place.start();
    until("one is handled", || (daemon.get(&format!("/v1/batches/{batch}"))["running"] == 1).then_some(()));
    assert!(!daemon.why(batch).contains("hours"), "{}", daemon.why(batch));
    std::fs::write(place.path("go"), "").unwrap();
    daemon.wait_state(batch, "completed");
}
