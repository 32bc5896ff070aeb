//! The ledger of occurrences: each has one row with its reason.

use serde_json::json;

use crate::daemon::{Place, until};

#[test]
fn a_stopping_daemon_leaves_occurrences_to_the_next_one() {
    let often = "[task.often]\nschedule = \"* * * * * *\"\nmissed = \"all\"\ncommand = [\"true\"]\n";
    let place = Place::endless("stop_timeout = \"60s\"", often);
    let mut daemon = place.start();
    let job = daemon.add(json!({ "task": "endless" }));
    daemon.wait_state(job, "running");
    until("an occurrence is decided", || (!daemon.occurrences("often").is_empty()).then_some(()));
    daemon.signal(rustix::process::Signal::TERM);
    until("it stops", || (daemon.get("/v1/status")["state"] == "stopping").then_some(()));
    let decided = daemon.occurrences("often").len();
    let since = std::time::Instant::now();
    until("two occurrences are due", || (since.elapsed().as_secs() >= 2).then_some(()));
    assert_eq!(daemon.occurrences("often").len(), decided);
    daemon.post(&format!("/v1/jobs/{job}/cancel"), json!({}));
    assert!(daemon.wait_exit().success());

    let daemon = place.start();
    let rows = until("they are made up for", || Some(daemon.occurrences("often")).filter(|it| it.len() >= decided + 2));
    let skipped: Vec<_> = rows.iter().filter(|row| row["outcome"] != "ran").collect();
    assert!(skipped.is_empty(), "{skipped:?}");
    let mut instants: Vec<_> = rows.iter().map(|row| row["at"].as_str().unwrap()).collect();
    instants.sort();
    let all = instants.len();
    instants.dedup();
    assert_eq!(instants.len(), all, "one row for each");
}

#[test]
fn a_schedule_that_changes_while_the_daemon_is_down_or_the_task_paused_leaves_no_gap() {
    let config = |changes: &str, goes: &str| {
        format!(
            "[task.changes]\nschedule = \"{changes}\"\nmissed = \"all\"\ncommand = [\"true\"]\n{goes}\
             [task.paused]\nschedule = \"{changes}\"\ncommand = [\"true\"]\n"
        )
    };
    let goes = "[task.goes]\nschedule = \"* * * * * *\"\nmissed = \"all\"\ncommand = [\"true\"]\n";
    let place = Place::new(&config("* * * * * *", goes));
    let daemon = place.start();
    until("all have begun", || (!daemon.occurrences("changes").is_empty()).then_some(()));
    daemon.post("/v1/tasks/paused/pause", json!({}));
    daemon.stop();
    let since = std::time::Instant::now();
    until("two occurrences are due", || (since.elapsed().as_secs() >= 2).then_some(()));
    place.configure("", &config("0 0 1 1 *", ""));
    let daemon = place.start();
    for (task, outcome) in [("changes", "ran"), ("goes", "missed"), ("paused", "missed")] {
        let rows = daemon.occurrences(task);
        let reason = rows[0]["reason"].as_str().unwrap();
        assert_eq!(rows[0]["outcome"], outcome, "{task}: {reason}");
        assert_eq!(reason.contains("the schedule has changed or gone"), outcome == "missed", "{task}: {reason}");
        let instants: Vec<_> = rows.iter().rev().map(|row| seconds(row["at"].as_str().unwrap())).collect();
        assert!(instants.len() > 2 && instants.windows(2).all(|pair| pair[1] == pair[0] + 1), "{task}: {instants:?}");
    }
    assert_eq!(daemon.jobs("task=goes&state=available"), Vec::<serde_json::Value>::new());
    daemon.stop();
    place.verify();
}

/// The second of the day of an instant in RFC 3339, on from noon so that midnight does not matter.
fn seconds(at: &str) -> i64 {
    let part = |from: usize| at[from..from + 2].parse::<i64>().unwrap();
    (part(11) * 3600 + part(14) * 60 + part(17) + 43_200) % 86_400
}
