//! A job that takes down the daemon, or its shim, is started three times and then held.

use serde_json::json;

use crate::daemon::{Place, touch, until};

const CONFIG: &str = r#"
[task.deadly]
shell = '''
echo "$DAYBOOK_ATTEMPT" >> $DIR/begun
# The shim and, before it, the daemon, the parent of its parent.
parent() { sed "s/.*) . \([0-9]*\) .*/\1/" /proc/$1/stat; }
test -e $DIR/mended || kill -9 $(parent $(parent $PPID)) $PPID'''

[task.orphan]
shell = '''
echo "$DAYBOOK_ATTEMPT" >> $DIR/orphaned
test -e $DIR/mended || kill -9 $PPID'''

[task.harmless]
shell = 'true'
"#;

#[test]
fn a_job_that_kills_its_shim_three_times_is_held_until_a_person_lets_it_go() {
    let place = Place::new(CONFIG);
    let daemon = place.start();
    let job = daemon.add(json!({"task": "orphan"}));
    until("it is held", || daemon.why(job).contains("quarantined").then_some(()));
    assert_eq!(place.read("orphaned"), "1\n2\n3\n");
    assert!(daemon.get("/v1/status")["problems"].to_string().contains("quarantined"));
    daemon.post("/v1/repair", json!({}));
    assert_eq!(daemon.state(job), "interrupted");
    touch(&place.path("mended"));
    daemon.post(&format!("/v1/jobs/{job}/retry"), json!({}));
    daemon.wait_state(job, "completed");
    assert_eq!(place.read("orphaned"), "1\n2\n3\n4\n");
}

#[test]
fn a_job_that_kills_the_daemon_three_times_is_held_until_a_person_lets_it_go() {
    let place = Place::new(CONFIG);
    let mut daemon = place.start();
    let harmless = daemon.add(json!({"task": "harmless", "in": "1h"}));
    // Its answer is lost if the daemon dies before it is written; that it was added shows in that it runs.
    let _: Result<_, _> = daemon.client().send("POST", "/v1/jobs", "application/json", r#"{"task":"deadly"}"#);
    for attempt in 1..=3 {
        daemon.wait_exit();
        assert_eq!(place.read("begun").lines().count(), attempt);
        daemon = place.launch();
    }
    daemon.wait_ready();
    let job = daemon.jobs("task=deadly")[0]["id"].as_u64().unwrap();
    let held = daemon.wait_state(job, "interrupted");
    let reason = held["error"].as_str().unwrap();
    assert!(reason.contains("quarantined") && reason.contains("3 times"), "{reason}");
    assert!(daemon.why(job).contains("quarantined"), "{}", daemon.why(job));
    assert!(daemon.get("/v1/status")["problems"].to_string().contains("quarantined"));
    // It stays so over a sweep, a kill and a stop; the others go on.
    daemon.post("/v1/repair", json!({}));
    daemon.kill();
    place.start().stop();
    let mut daemon = place.start();
    assert_eq!(daemon.state(job), "interrupted");
    assert_eq!(daemon.job(job)["error"], held["error"]);
    let other = daemon.add(json!({"task": "harmless"}));
    daemon.wait_state(other, "completed");
    assert_eq!(daemon.state(harmless), "scheduled");
    assert_eq!(place.read("begun"), "1\n2\n3\n");

    touch(&place.path("mended"));
    let retried = place.cli(["retry", &job.to_string()]);
    assert!(retried.status.success(), "{}", String::from_utf8_lossy(&retried.stderr));
    daemon.wait_state(job, "completed");
    assert_eq!(place.read("begun"), "1\n2\n3\n4\n");
    assert!(daemon.is_up());
    place.verify();
}

#[test]
fn a_kill_that_has_nothing_to_do_with_a_job_that_runs_for_long_does_not_count() {
    let place = Place::new("[task.long]\nshell = 'echo a >> $DIR/begun; until test -e $DIR/go; do sleep 0.02; done'\n");
    let mut daemon = place.start();
    let job = daemon.add(json!({"task": "long"}));
    for attempt in 1..=5 {
        until("it has begun", || (place.read("begun").lines().count() == attempt).then_some(()));
        until("it has settled", || {
            let journal = daemon.send("GET", &format!("/v1/journal?job={job}"), "").text();
            (journal.matches("attempt_settled").count() == attempt).then_some(())
        });
        daemon.kill_with_shims();
        daemon = place.start();
    }
    touch(&place.path("go"));
    assert_eq!(daemon.wait_state(job, "completed")["attempts"], 6);
}
