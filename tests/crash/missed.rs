//! Occurrences that fall into the time without a daemon: each gets its one row, by its task's policy.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::{Daemon, Place, until};

const CONFIG: &str = r#"
[task.skip]
schedule = "@every 1s"
missed = "skip"
shell = 'true'

[task.last]
schedule = "@every 1s"
missed = "last"
shell = 'true'

[task.all]
schedule = "@every 1s"
missed = "all"
overlap = "allow"
shell = 'true'

[task.boot]
schedule = "@reboot"
shell = 'true'
"#;

fn second(text: &Value) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text.as_str().unwrap()).unwrap().timestamp()
}

/// The rows of the task by their second, for which there must be exactly one.
fn ledger(daemon: &Daemon, task: &str) -> BTreeMap<i64, Value> {
    let rows = daemon.occurrences(task);
    let count = rows.len();
    let rows: BTreeMap<i64, Value> = rows.into_iter().map(|row| (second(&row["at"]), row)).collect();
    assert_eq!(rows.len(), count, "{task}: an instant has two rows");
    let (first, last) = (rows.keys().next().unwrap(), rows.keys().next_back().unwrap());
    assert_eq!(rows.len() as i64, last - first + 1, "{task}: an instant has no row");
    rows
}

#[test]
fn each_occurrence_of_an_outage_has_one_row_by_the_policy_of_its_task() {
    let place = Place::new(CONFIG);
    let daemon = place.start();
    until("all have run", || {
        ["skip", "last", "all"].iter().all(|task| !daemon.occurrences(task).is_empty()).then_some(())
    });
    let down_from = chrono::Utc::now().timestamp() + 1; // the next whole second may be decided before the kill is
    daemon.kill();
    let outage = Instant::now();
    until("some occurrences are missed", || (outage.elapsed() > Duration::from_secs(5)).then_some(()));
    let up_from = chrono::Utc::now().timestamp();
    let daemon = place.start();
    let after = |task: &str| ledger(&daemon, task).keys().next_back().copied();
    until("they go on", || ["skip", "last", "all"].iter().all(|task| after(task) > Some(up_from + 2)).then_some(()));

    let missed: Vec<i64> = (down_from + 1..up_from).collect();
    assert!(missed.len() >= 2, "{missed:?}");
    let outcomes = |task: &str| -> Vec<String> {
        let rows = ledger(&daemon, task);
        missed.iter().map(|at| rows[at]["outcome"].as_str().unwrap().to_owned()).collect()
    };
    assert!(outcomes("skip").iter().all(|outcome| outcome == "missed"), "{:?}", outcomes("skip"));
    assert!(outcomes("all").iter().all(|outcome| outcome == "ran"), "{:?}", outcomes("all"));
    // The last one of all that were missed stands for the others.
    let last = outcomes("last");
    assert!(last[..last.len() - 1].iter().all(|outcome| outcome == "merged"), "{last:?}");
    for at in &missed {
        let row = &ledger(&daemon, "skip")[at];
        assert!(row["reason"].as_str().unwrap().contains("the daemon was down"), "{row}");
    }
    assert_eq!(daemon.occurrences("boot").len(), 1, "the machine has not booted since");
    place.verify();
}
