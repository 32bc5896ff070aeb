//! What must be there after a boot: everything acknowledged, once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::daemon::{Daemon, Place, until};
use crate::load::Told;

/// The tasks that [`crate::load`] adds to, and a schedule. What runs notes it outside of the disk.
pub const TASKS: &str = r#"
[task.note]
shell = 'echo "$DAYBOOK_JOB $DAYBOOK_ATTEMPT" >> $DIR/notes'
concurrency = 2

[task.later]
shell = 'true'

[task.tick]
schedule = "@every 1s"
missed = "all"
missed_max = 1000
overlap = "allow"
concurrency = 4
shell = 'echo "$DAYBOOK_JOB $DAYBOOK_ATTEMPT" >> $DIR/notes'
"#;

/// Compares what a daemon shows with what was told before the cut.
#[track_caller]
pub fn check(daemon: &Daemon, told: &Told) {
    let (added, ended) = (told.added.lock().unwrap(), told.ended.lock().unwrap());
    let all = daemon.jobs("");
    let mut keys: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut numbers: BTreeMap<u64, &Value> = BTreeMap::new();
    for job in &all {
        assert!(numbers.insert(job["id"].as_u64().unwrap(), job).is_none(), "{job} is listed twice");
        if let Some(key) = job["key"].as_str() {
            assert!(keys.insert(key, job).is_none(), "{key} is there twice");
        }
    }
    let lost: Vec<_> = added.keys().filter(|key| !keys.contains_key(key.as_str())).collect();
    let some: Vec<_> = lost.iter().take(5).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged jobs are lost, as {some:?}", lost.len(), added.len());
    for (key, (id, task)) in added.iter() {
        let job = keys[key.as_str()];
        assert_eq!((&job["id"], &job["task"]), (&json!(id), &json!(task)), "{key}");
        assert!(*task != "later" || job["state"] == "scheduled", "{job}");
    }
    for (id, seen) in ended.iter() {
        let job = numbers.get(id).unwrap_or_else(|| panic!("{seen} was seen finished, and is gone"));
        assert_eq!(seen, *job, "it was seen finished, and has changed");
    }
    check_notes(daemon.place);
    check_occurrences(daemon);
}

/// An attempt was started only when its start was durable: no number was given twice.
fn check_notes(place: &Place) {
    let mut ran = BTreeSet::new();
    for note in place.read("notes").lines() {
        assert!(ran.insert(note.to_owned()), "attempt {note} ran twice");
    }
}

/// Each second has exactly one row, from the first to the last, with a job of its own.
fn check_occurrences(daemon: &Daemon) {
    let rows = daemon.occurrences("tick");
    let second = |row: &Value| chrono::DateTime::parse_from_rfc3339(row["at"].as_str().unwrap()).unwrap().timestamp();
    let mut seconds: Vec<i64> = rows.iter().map(second).collect();
    seconds.sort_unstable();
    for pair in seconds.windows(2) {
        assert_eq!(pair[0] + 1, pair[1], "the ledger has a gap, or an instant twice");
    }
    let jobs: BTreeSet<u64> = rows.iter().filter_map(|row| row["job"].as_u64()).collect();
    assert_eq!(jobs.len(), rows.len(), "a job for each");
}

/// All that is to run has run, and the journal is whole, with the daemon and without.
#[track_caller]
pub fn finish(daemon: Daemon, told: &Told) {
    let live = "state=scheduled,available,running,retryable,interrupted&task=note";
    until("all that is to run has run", || daemon.jobs(live).is_empty().then_some(()));
    check(&daemon, told);
    let place = daemon.place;
    place.verify();
    daemon.stop();
    place.verify();
    println!("{} jobs acknowledged", told.added.lock().unwrap().len());
}
