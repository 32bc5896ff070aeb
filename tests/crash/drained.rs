//! `daybook drain`: what runs may end, or is ended, and nothing is started until a reload.

use serde_json::json;

use crate::daemon::{Place, touch, until};

const WAIT: &str = "[task.wait]\nshell = 'echo a >> $DIR/begun; until test -e $DIR/go; do sleep 0.02; done'\n";
/// Takes its time to end when it is told to.
const STUBBORN: &str = r#"[task.wait]
shell = 'trap "echo a >> $DIR/told" TERM; echo a >> $DIR/begun; until test -e $DIR/go; do sleep 0.02; done'
"#;

#[test]
fn it_waits_for_what_runs_and_a_reload_ends_it() {
    let place = Place::new(WAIT);
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait"}));
    until("it has begun", || (place.read("begun") == "a\n").then_some(()));
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| place.cli(["drain"]));
        until("it is drained", || (daemon.get("/v1/status")["drained"] == true).then_some(()));
        assert_eq!(daemon.state(job), "running");
        let next = daemon.add(json!({"task": "wait"}));
        touch(&place.path("go"));
        let drained = drain.join().unwrap();
        assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
        assert_eq!((daemon.state(job), daemon.state(next)), ("completed".into(), "available".into()));
        assert!(daemon.why(next).contains("drained"), "{}", daemon.why(next));
        let status = String::from_utf8(place.cli(["status"]).stdout).unwrap();
        assert!(status.contains("it was drained"), "{status}");
        daemon.post("/v1/reload", json!({}));
        daemon.wait_state(next, "completed");
    });
    assert_eq!(daemon.get("/v1/status")["drained"], false);
    assert_eq!(place.read("begun"), "a\na\n");
}

#[test]
fn with_kill_it_interrupts_what_runs() {
    let place = Place::new(WAIT);
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait"}));
    until("it has begun", || (place.read("begun") == "a\n").then_some(()));
    let drained = place.cli(["drain", "--kill"]);
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    assert_eq!((place.job_processes(), place.shims()), (vec![], vec![]));
    let journal = || daemon.send("GET", &format!("/v1/journal?job={job}"), "").text();
    let interrupted = journal();
    let interrupted = interrupted.lines().find(|line| line.contains("job_interrupted")).unwrap_or_default();
    assert!(interrupted.contains("the daemon was drained"), "{}", journal());
    assert_eq!(daemon.job(job)["attempts"], 1, "it is not started again yet");
    daemon.post("/v1/reload", json!({}));
    until("it has begun again", || (place.read("begun") == "a\na\n").then_some(()));
    // A drain is over by then: what is ended now has another reason.
    touch(&place.path("go"));
    assert_eq!(daemon.wait_state(job, "completed")["attempts"], 2);
    place.verify();
}

#[test]
fn what_a_drain_has_told_to_end_was_drained_also_after_a_reload() {
    let place = Place::new(STUBBORN);
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait"}));
    until("it has begun", || (place.read("begun") == "a\n").then_some(()));
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| place.cli(["drain", "--kill"]));
        until("it was told to end", || (place.read("told") == "a\n").then_some(()));
        daemon.post("/v1/reload", json!({}));
        touch(&place.path("go"));
        drain.join().unwrap();
    });
    daemon.wait_state(job, "completed");
    let journal = daemon.send("GET", &format!("/v1/journal?job={job}"), "").text();
    let interrupted = journal.lines().find(|line| line.contains("job_interrupted")).unwrap_or_default();
    assert!(interrupted.contains("the daemon was drained"), "{journal}");
}

#[test]
fn a_start_ends_it_too() {
    let place = Place::new(WAIT);
    let daemon = place.start();
    assert!(place.cli(["drain"]).status.success());
    let job = daemon.add(json!({"task": "wait"}));
    touch(&place.path("go"));
    daemon.kill();
    place.start().wait_state(job, "completed");
}
