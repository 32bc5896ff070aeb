//! The ledger of occurrences: each has one row with its reason.

use serde_json::json;

use crate::daemon::{Place, touch, until};

#[test]
fn a_stopping_daemon_leaves_occurrences_to_the_next_one() {
    let config = "[task.often]\nschedule = \"* * * * * *\"\nmissed = \"all\"\ncommand = [\"true\"]\n\
                  [task.holds]\nshell = \"trap '' TERM; until test -e $DIR/go; do sleep 0.01; done\"";
    let place = Place::with_top("stop_timeout = \"60s\"", config);
    let mut daemon = place.start();
    let job = daemon.add(json!({ "task": "holds" }));
    daemon.wait_state(job, "running");
    until("an occurrence is decided", || (!daemon.occurrences("often").is_empty()).then_some(()));
    daemon.signal(rustix::process::Signal::TERM);
    until("it stops", || (daemon.get("/v1/status")["state"] == "stopping").then_some(()));
    let decided = daemon.occurrences("often").len();
    let since = std::time::Instant::now();
    until("two occurrences are due", || (since.elapsed().as_secs() >= 2).then_some(()));
    assert_eq!(daemon.occurrences("often").len(), decided);
    touch(&place.path("go"));
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
