//! Jobs whose task has left the config, as every verb shows them.

use serde_json::{Value, json};

use crate::daemon::{Daemon, Place, touch, until};
use crate::said;

const STAYS: &str = "[task.stays]\nshell = \"true\"\n";

fn goes(shell: &str) -> String {
    format!("{STAYS}[task.goes]\nshell = \"{shell}\"\nbackoff = \"1h\"\n")
}

fn configure(place: &Place, daemon: &Daemon, tasks: &str) {
    place.configure("", tasks);
    daemon.post("/v1/reload", json!({ "wait": true }));
}

#[test]
fn orphans_are_shown_and_wait_for_their_task_or_for_a_person() {
    let place = Place::new(&goes("exit 1"));
    let daemon = place.start();
    let failed = daemon.add(json!({ "task": "goes" }));
    daemon.wait_state(failed, "retryable");
    let later = daemon.add(json!({ "task": "goes", "in": "1h" }));
    let done = daemon.add(json!({ "task": "goes", "in": "1h" }));
    daemon.post(&format!("/v1/jobs/{done}/cancel"), json!({}));
    daemon.wait_state(done, "cancelled");
    assert_eq!(daemon.job(failed)["orphaned"], false);

    configure(&place, &daemon, STAYS);
    assert_eq!(daemon.job(failed)["orphaned"], true);
    assert_eq!(daemon.job(failed)["state"], "retryable", "the state is what it was");
    assert_eq!(daemon.job(done)["orphaned"], false, "what is over waits for nothing");
    let listed: Vec<Value> = daemon.jobs("orphaned=1").iter().map(|job| job["id"].clone()).collect();
    assert_eq!(listed, [later, failed]);
    let jobs = said(&place.cli(["jobs", "--orphaned"]));
    assert_eq!(jobs.matches("orphaned").count(), 2, "{jobs}");
    assert!(said(&place.cli(["show", &failed.to_string()])).contains("retryable, orphaned"));
    assert!(daemon.why(later).starts_with("it is orphaned: task `goes` is no longer in the config"));
    assert!(said(&place.cli(["tasks"])).lines().any(|line| line.starts_with("goes") && line.contains("removed")));
    let status = daemon.get("/v1/status");
    assert_eq!(status["jobs"]["orphaned"], 2);
    assert!(status["problems"][0].as_str().unwrap().contains("`daybook jobs --orphaned --task goes`"), "{status}");

    for job in [failed, later, done] {
        let answer = daemon.send("POST", &format!("/v1/jobs/{job}/retry"), "");
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("task_removed")), "{}", answer.text());
    }
    daemon.post(&format!("/v1/jobs/{later}/cancel"), json!({}));
    assert_eq!(daemon.job(later)["orphaned"], false, "somebody has decided");

    configure(&place, &daemon, &goes("true"));
    assert_eq!(daemon.job(failed)["orphaned"], false);
    assert_eq!(daemon.get("/v1/status")["problems"], json!([]));
    for job in [failed, done] {
        daemon.post(&format!("/v1/jobs/{job}/retry"), json!({}));
        daemon.wait_state(job, "completed");
    }
    place.verify();
    daemon.stop();
    place.verify();
}

#[test]
fn a_running_one_runs_to_its_end_and_an_interrupted_one_is_kept_over_restarts() {
    let work = "until [ -e $DIR/go ]; do sleep 0.01; done; echo $DAYBOOK_ATTEMPT >> $DIR/ran";
    let place = Place::new(&(goes(work) + "concurrency = 2\non_interrupt = \"fail\"\n"));
    let daemon = place.start();
    let first = daemon.add(json!({ "task": "goes" }));
    daemon.wait_state(first, "running");
    configure(&place, &daemon, STAYS);
    assert_eq!(daemon.job(first)["state"], "running");
    assert!(daemon.why(first).ends_with("its task is gone from the config, it runs to its end"));
    touch(&place.path("go"));
    daemon.wait_state(first, "completed");

    std::fs::remove_file(place.path("go")).unwrap();
    configure(&place, &daemon, &(goes(work) + "on_interrupt = \"fail\"\n"));
    let second = daemon.add(json!({ "task": "goes" }));
    daemon.wait_state(second, "running");
    place.configure("", STAYS);
    daemon.kill_with_shims();
    let daemon = place.start();
    let job = daemon.job(second);
    assert_eq!((&job["state"], &job["orphaned"]), (&json!("interrupted"), &json!(true)));
    touch(&place.path("go"));
    configure(&place, &daemon, &(goes(work) + "on_interrupt = \"retry\"\n"));
    daemon.wait_state(second, "completed");
    assert_eq!(place.read("ran"), "1\n2\n");
    daemon.stop();
}

#[test]
fn an_orphan_outlives_a_stop_as_any_other() {
    let stays = "[task.stays]\nshell = \"true\"\n";
    let goes = "[task.goes]\nshell = \"touch $DIR/runs; until test -e $DIR/go; do sleep 0.02; done\"\n";
    let place = Place::new(&format!("{stays}{goes}"));
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "goes" }));
    until("it runs", || place.path("runs").exists().then_some(()));
    place.configure("", stays);
    daemon.post("/v1/reload", json!({}));
    daemon.stop();
    let daemon = place.start();
    assert_eq!(daemon.job(job)["state"], "running");
    touch(&place.path("go"));
    assert_eq!(daemon.wait_state(job, "completed")["attempts"], 1);
}
