//! One look at the daemon: what runs, what waits for a person, what was missed, and whether it is well.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::daemon::{Daemon, Place, until};

const CONFIG: &str = r#"
[task.held]
shell = "exec sleep 1000"
on_interrupt = "hold"
[task.fails]
shell = "exit 3"
attempts = 1
[task.ok]
command = ["true"]
[task.gone]
shell = "exec sleep 1000"
[task.often]
schedule = "@every 1s"
missed = "skip"
command = ["true"]
"#;

fn status(daemon: &Daemon) -> Value {
    daemon.get("/v1/status")
}

fn waiting(daemon: &Daemon) -> Vec<(String, String, u64)> {
    let status = status(daemon);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |it: &Value| (text(&it["kind"]), text(&it["task"]), it["jobs"].as_u64().unwrap());
    status["waiting"].as_array().unwrap().iter().map(one).collect()
}

fn row(kind: &str, task: &str, jobs: u64) -> (String, String, u64) {
    (kind.to_owned(), task.to_owned(), jobs)
}

#[test]
fn a_daemon_is_healthy_until_something_waits_for_a_person() {
    let place = Place::new(CONFIG);
    let daemon = place.start();
    assert_eq!(status(&daemon)["health"], "healthy");
    assert_eq!(place.cli(["status"]).status.code(), Some(0));

    let job = daemon.add(json!({ "task": "held" }));
    daemon.wait_state(job, "running");
    let running = status(&daemon);
    assert_eq!((&running["running"][0]["id"], &running["jobs"]["running"]), (&json!(job), &json!(1)));

    daemon.kill_with_shims();
    let daemon = place.start();
    assert_eq!(waiting(&daemon), [row("held", "held", 1)]);
    let seen = status(&daemon);
    assert_eq!((&seen["health"], &seen["waiting_jobs"]), (&json!("degraded"), &json!(1)));
    let shown = place.cli(["status"]);
    assert_eq!(shown.status.code(), Some(1));
    let command = seen["waiting"][0]["commands"][1].as_str().unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains(command.strip_prefix("daybook ").unwrap()), "{shown:?}");

    // What it says to type makes it well again.
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    assert!(place.cli(words).status.success());
    assert_eq!(status(&daemon)["health"], "healthy");
    assert_eq!(place.cli(["status", "--json"]).status.code(), Some(0));
}

#[test]
fn jobs_given_up_are_shown_for_a_day_over_a_start_and_until_they_end_otherwise() {
    let place = Place::new(CONFIG);
    let daemon = place.start();
    let jobs = [(); 3].map(|()| daemon.add(json!({ "task": "fails" })));
    jobs.iter().for_each(|job| drop(daemon.wait_state(*job, "discarded")));
    assert_eq!(waiting(&daemon), [row("discarded", "fails", 3)]);
    assert_eq!(status(&daemon)["health"], "healthy", "what is given up is over");

    daemon.kill();
    let daemon = place.start();
    until("what was before the start is read", || (waiting(&daemon) == [row("discarded", "fails", 3)]).then_some(()));
    let mended = CONFIG.replace("exit 3", "exit 0");
    place.configure("", &mended);
    daemon.post("/v1/reload", json!({}));
    daemon.post(&format!("/v1/jobs/{}/retry", jobs[2]), json!({}));
    daemon.wait_state(jobs[2], "completed");
    assert_eq!(waiting(&daemon), [row("discarded", "fails", 2)]);
    daemon.kill();
    let daemon = place.start();
    until("what was before the start is read", || (waiting(&daemon) == [row("discarded", "fails", 2)]).then_some(()));
}

#[test]
fn missed_occurrences_are_counted_over_starts() {
    let place = Place::new(CONFIG);
    let daemon = place.start();
    until("it has run", || (!daemon.occurrences("often").is_empty()).then_some(()));
    daemon.kill();
    let down = std::time::Instant::now();
    until("some are missed", || (down.elapsed().as_secs() >= 3).then_some(()));
    for _ in 0..2 {
        let daemon = place.start();
        // Every missed row of the ledger, and no row twice.
        until("what was missed is counted", || {
            let rows = daemon.occurrences("often");
            let missed = rows.iter().filter(|row| row["outcome"] == "missed").count();
            let seen = status(&daemon)["missed"][0].clone();
            (missed >= 2 && seen["missed"] == json!(missed)).then_some(())?;
            assert_eq!((&seen["task"], &seen["reason"]), (&json!("often"), &json!("the daemon was down")));
            Some(())
        });
        daemon.kill();
    }
}

#[test]
fn jobs_of_a_task_that_has_gone_wait_for_its_return() {
    let place = Place::new(CONFIG);
    let daemon = place.start();
    let jobs = [(); 2].map(|()| daemon.add(json!({ "task": "gone", "in": "1h" })));
    place.configure("", &CONFIG.replace("task.gone", "task.other"));
    daemon.post("/v1/reload", json!({}));
    assert_eq!(waiting(&daemon), [row("orphaned", "gone", 2)]);
    assert_eq!(status(&daemon)["health"], "degraded");
    jobs.iter().for_each(|job| drop(daemon.post(&format!("/v1/jobs/{job}/cancel"), json!({}))));
    assert_eq!(status(&daemon)["health"], "healthy");

    place.configure("", "[task.ok]\ncommand = 7");
    assert_eq!(daemon.send("POST", "/v1/reload", "").status, 422);
    let seen = status(&daemon);
    assert_eq!(seen["health"], "degraded");
    assert!(seen["problems"][0].as_str().unwrap().contains("the config was refused"), "{seen}");
}

#[test]
fn a_running_job_of_a_task_that_has_gone_waits_for_nobody() {
    let place = Place::new("[task.long]\nshell = \"exec sleep 1000\"");
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "long" }));
    daemon.wait_state(job, "running");
    place.configure("", "[task.other]\nshell = \"true\"");
    daemon.post("/v1/reload", json!({}));
    let seen = status(&daemon);
    assert_eq!(
        (&seen["jobs"]["orphaned"], &seen["waiting"], &seen["health"]),
        (&json!(1), &json!([]), &json!("healthy"))
    );
    let report = daemon.post("/v1/repair", json!({ "dry_run": true }));
    assert_eq!(report["findings"][0]["explanation"], "it is no longer in the config, and a job of it runs", "{report}");
}

#[test]
fn a_daemon_that_stops_says_so() {
    let place = Place::endless("", "");
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "endless" }));
    daemon.wait_state(job, "running");
    daemon.signal(Signal::TERM);
    until("it says so", || (status(&daemon)["health"] == "stopping").then_some(()));
    assert_eq!(place.cli(["status"]).status.code(), Some(1));
}
