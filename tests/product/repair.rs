//! The sweep as an operator sees it.

use serde_json::{Value, json};

use crate::daemon::Place;
use crate::said;

/// The names of the invariants that a report says are broken.
pub fn invariants(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|it| it["invariant"].as_str().unwrap()).collect()
}

#[test]
fn a_healthy_daemon_has_no_findings_however_often_it_is_asked() {
    let place = Place::new("[task.ok]\ncommand = [\"true\"]");
    let daemon = place.start();
    for _ in 0..20 {
        daemon.add(json!({ "task": "ok" }));
        let report = daemon.post("/v1/repair", json!({}));
        assert_eq!((&report["findings"], &report["found"], &report["fixed"]), (&json!([]), &json!(0), &json!(0)));
        assert_eq!(
            (&report["dry_run"], &report["joined"], &report["door"]),
            (&json!(false), &json!(false), &json!("socket"))
        );
        assert_eq!(daemon.post("/v1/repair", json!({ "dry_run": true }))["findings"], json!([]));
    }
}

#[test]
fn a_daemon_that_has_just_come_back_is_healthy() {
    let place = Place::new("[task.ok]\ncommand = [\"true\"]");
    for _ in 0..5 {
        let daemon = place.start();
        assert_eq!(daemon.post("/v1/repair", json!({}))["findings"], json!([]));
        assert_eq!(daemon.post("/v1/repair", json!({}))["findings"], json!([]));
        let job = daemon.add(json!({ "task": "ok" }));
        daemon.wait_state(job, "completed");
        daemon.kill();
    }
}

#[test]
fn the_last_sweep_can_be_read_without_another_one() {
    let place = Place::new("[task.long]\nshell = \"exec sleep 1000\"");
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "long" }));
    daemon.wait_state(job, "running");
    crate::daemon::until("its process is there", || (!place.job_processes().is_empty()).then_some(()));
    daemon.kill_with_shims();

    let daemon = place.start();
    let swept: Value = serde_json::from_str(&said(&place.cli(["repair", "--last", "--json"]))).unwrap();
    assert_eq!((&swept["fixed"], &swept["dry_run"], &swept["door"]), (&json!(3), &json!(false), &json!("start")));
    let found = ["interrupted-jobs", "leftover-processes", "leftovers"];
    assert_eq!(invariants(&swept), found, "the job, its process, and the socket of the daemon that was killed");
    assert_eq!(swept, daemon.get("/v1/repair"), "asking again is not another sweep");
    assert!(said(&place.cli(["repair", "--last"])).contains("interrupted-jobs"));

    daemon.post("/v1/repair", json!({ "dry_run": true }));
    assert_eq!(swept, daemon.get("/v1/repair"), "a dry run is not the last sweep");
    daemon.post("/v1/repair", json!({}));
    let last = daemon.get("/v1/repair");
    assert_eq!((&last["findings"], &last["door"]), (&json!([]), &json!("socket")));
    assert_eq!(invariants(&last["earlier"]), found, "the last one that found something is not forgotten");
    let shown = said(&place.cli(["repair", "--last"]));
    assert!(shown.contains("by socket") && shown.contains("nothing was broken"), "{shown}");
    assert!(shown.contains("by start") && shown.contains("interrupted-jobs"), "{shown}");
    assert_eq!(place.cli(["repair", "--last", "--dry-run"]).status.code(), Some(2));
}
