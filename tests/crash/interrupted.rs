//! What becomes of jobs that a kill has interrupted, and that nothing else of them is lost by it.

use serde_json::json;

use crate::daemon::{Place, touch, until};

/// Waits for the file `go`; says that it has begun.
const WAITS: &str = r#"shell = 'echo "$DAYBOOK_ATTEMPT" >> $DIR/begun; until test -e $DIR/go; do sleep 0.02; done'"#;

fn waiting_task(more: &str) -> Place {
    Place::new(&format!("[task.wait]\n{WAITS}\n{more}\n"))
}

#[track_caller]
fn wait_begun(place: &Place, attempts: &str) {
    until("the attempts have begun", || (place.read("begun") == attempts).then_some(()));
}

#[test]
fn retry_runs_it_again() {
    let place = waiting_task("on_interrupt = \"retry\"");
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait", "args": {"a": 1}, "key": "k", "priority": 7}));
    wait_begun(&place, "1\n");
    let before = daemon.wait_state(job, "running");
    daemon.kill_with_shims();
    let daemon = place.start();
    wait_begun(&place, "1\n2\n");
    let running = daemon.wait_state(job, "running");
    for same in ["id", "task", "args", "key", "priority", "created_at"] {
        assert_eq!(running[same], before[same], "{same}");
    }
    touch(&place.path("go"));
    let done = daemon.wait_state(job, "completed");
    assert_eq!(done["attempts"], 2);
    let again = daemon.post("/v1/jobs", json!({"task": "wait", "key": "k"}));
    assert_eq!(again, json!({"id": job, "created": false}), "its key is still its own");
    daemon.stop();
    place.verify();
}

#[test]
fn hold_waits_for_a_person() {
    let place = waiting_task("on_interrupt = \"hold\"");
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait"}));
    wait_begun(&place, "1\n");
    daemon.kill_with_shims();
    // It is held, and stays so over another kill and a sweep.
    place.start().kill();
    let daemon = place.start();
    daemon.post("/v1/repair", json!({}));
    let held = daemon.wait_state(job, "interrupted");
    let error = held["error"].as_str().unwrap();
    assert!(error.contains("looked after it was killed") && error.contains("hold"), "{error}");
    assert!(daemon.why(job).contains(&format!("daybook retry {job}")), "{}", daemon.why(job));
    let problems = daemon.get("/v1/status")["problems"].to_string();
    assert!(problems.contains(&format!("job {job} waits for a person")), "{problems}");
    assert_eq!(place.read("begun"), "1\n");
    touch(&place.path("go"));
    daemon.post(&format!("/v1/jobs/{job}/retry"), json!({}));
    daemon.wait_state(job, "completed");
    assert_eq!(place.read("begun"), "1\n2\n");
}

#[test]
fn a_held_job_can_be_cancelled() {
    let place = waiting_task("on_interrupt = \"hold\"");
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait"}));
    wait_begun(&place, "1\n");
    daemon.kill_with_shims();
    let daemon = place.start();
    daemon.wait_state(job, "interrupted");
    daemon.post(&format!("/v1/jobs/{job}/cancel"), json!({}));
    daemon.wait_state(job, "cancelled");
    daemon.kill();
    let daemon = place.start();
    assert_eq!(daemon.state(job), "cancelled");
    assert_eq!(place.read("begun"), "1\n");
}

#[test]
fn fail_discards_it() {
    let place = waiting_task("on_interrupt = \"fail\"");
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait"}));
    wait_begun(&place, "1\n");
    daemon.kill_with_shims();
    let daemon = place.start();
    let job = daemon.wait_state(job, "discarded");
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("looked after it was killed") && error.contains("fail"), "{error}");
    assert_eq!(place.read("begun"), "1\n");
}

#[test]
fn a_retry_keeps_its_due_time_and_the_count_of_its_failures() {
    let place = Place::new("[task.fails]\nshell = 'exit 3'\nbackoff = \"1h\"\n");
    let daemon = place.start();
    let job = daemon.add(json!({"task": "fails"}));
    let failed = daemon.wait_state(job, "retryable");
    assert!(failed["error"].as_str().unwrap().contains('3'), "{failed}");
    daemon.kill();
    for _ in 0..3 {
        let daemon = place.start();
        assert_eq!(daemon.job(job), failed);
        daemon.kill();
    }
}

#[test]
fn how_far_it_was_is_kept_for_whoever_has_to_decide() {
    let place = waiting_task("on_interrupt = \"hold\"");
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait"}));
    wait_begun(&place, "1\n");
    let progress = json!({"current": 3, "total": 10, "message": "three of ten"});
    daemon.post(&format!("/v1/jobs/{job}/progress"), progress.clone());
    assert_eq!(daemon.job(job)["progress"], progress);
    daemon.kill_with_shims();
    let daemon = place.start();
    assert_eq!(daemon.wait_state(job, "interrupted")["progress"], progress);
    // A new attempt begins anew.
    daemon.post(&format!("/v1/jobs/{job}/retry"), json!({}));
    assert_eq!(daemon.wait_state(job, "running")["progress"]["current"], 0);
}

#[test]
fn what_waits_keeps_its_instant_and_a_due_one_runs_at_once() {
    let place = Place::new("[task.now]\nshell = 'true'\n");
    let daemon = place.start();
    let later = daemon.add(json!({"task": "now", "in": "1h"}));
    let soon = daemon.add(json!({"task": "now", "in": "300ms"}));
    let before = daemon.job(later);
    daemon.kill();
    let daemon = place.start();
    daemon.wait_state(soon, "completed");
    assert_eq!(daemon.job(later), before);
}

#[test]
fn a_cancel_that_was_asked_for_is_kept_though_the_daemon_died_over_it() {
    // The job takes no notice of SIGTERM, so that it is still being ended when the daemon is killed.
    let config = "[task.deaf]\ngrace = \"1h\"\n\
        shell = 'trap \"\" TERM; echo \"$DAYBOOK_ATTEMPT\" >> $DIR/begun; until test -e $DIR/go; do sleep 0.02; done'\n";
    let place = Place::new(config);
    let daemon = place.start();
    let job = daemon.add(json!({"task": "deaf"}));
    wait_begun(&place, "1\n");
    daemon.post(&format!("/v1/jobs/{job}/cancel"), json!({"reason": "no longer wanted"}));
    daemon.kill_with_shims();
    let daemon = place.start();
    let cancelled = daemon.wait_state(job, "cancelled");
    assert!(cancelled["error"].as_str().unwrap().contains("no longer wanted"), "{cancelled}");
    assert_eq!(place.read("begun"), "1\n");
    assert!(place.job_processes().is_empty(), "and its processes are gone");
}

#[test]
fn pauses_are_kept_and_jobs_wait_for_the_end_of_them() {
    let place = Place::new("[task.now]\nshell = 'true'\n");
    let daemon = place.start();
    daemon.post("/v1/tasks/now/pause", json!({}));
    let job = daemon.add(json!({"task": "now"}));
    daemon.kill();
    let daemon = place.start();
    assert_eq!(daemon.state(job), "available");
    assert!(daemon.why(job).contains("paused"), "{}", daemon.why(job));
    daemon.post("/v1/tasks/now/resume", json!({}));
    daemon.wait_state(job, "completed");
}

#[test]
fn results_outputs_and_ends_are_still_there() {
    let config = "[task.says]\nshell = 'echo hello; echo \"[1, 2]\" > \"$DAYBOOK_RESULT\"'\n";
    let place = Place::new(config);
    let daemon = place.start();
    let job = daemon.add(json!({"task": "says"}));
    let done = daemon.wait_state(job, "completed");
    daemon.kill();
    let daemon = place.start();
    assert_eq!(daemon.job(job), done);
    assert_eq!(done["result"], json!([1, 2]));
    assert_eq!(daemon.send("GET", &format!("/v1/jobs/{job}/output"), "").text(), "hello\n");
}

#[test]
fn a_job_of_a_task_that_left_the_config_waits_for_its_return() {
    let place = waiting_task("");
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait"}));
    wait_begun(&place, "1\n");
    daemon.kill_with_shims();
    place.configure("", "[task.other]\nshell = 'true'\n");
    let daemon = place.start();
    assert!(daemon.why(job).contains("no longer in the config"), "{}", daemon.why(job));
    place.configure("", &format!("[task.wait]\n{WAITS}\n"));
    daemon.post("/v1/reload", json!({}));
    touch(&place.path("go"));
    daemon.wait_state(job, "completed");
    assert_eq!(place.read("begun"), "1\n2\n");
}
