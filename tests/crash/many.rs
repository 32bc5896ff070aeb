//! A thousand jobs on a bounded queue, cancelled and killed meanwhile: each ends once, and a cancel that was
//! acknowledged holds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::client::Client;
use crate::daemon::{Daemon, Place, until};

const JOBS: usize = 1000;
const QUEUE_SIZE: usize = 700;
/// Cancels in each round, before the kill.
const CANCELS: usize = 40;

const CONFIG: &str = r#"
[task.note]
shell = 'echo "$DAYBOOK_JOB" >> $DIR/notes; sleep 0.05'
concurrency = 8
queue_size = 700
"#;

/// Adds all that the queue takes; answers the jobs that were added.
fn fill(daemon: &Daemon) -> BTreeSet<u64> {
    let lines: Vec<String> =
        (0..JOBS).map(|number| json!({"task": "note", "key": format!("k{number}")}).to_string()).collect();
    let answer = daemon.client().send("POST", "/v1/jobs", "application/x-ndjson", &lines.join("\n")).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    let answers = answer.lines();
    assert_eq!(answers.len(), JOBS);
    let (added, refused): (Vec<&Value>, Vec<&Value>) = answers.iter().partition(|answer| answer["created"] == true);
    assert!(refused.iter().all(|answer| answer["code"] == "queue_full"), "{refused:?}");
    // Some may have started while the rest was taken in.
    assert!((QUEUE_SIZE..=QUEUE_SIZE + 8).contains(&added.len()), "{} were added", added.len());
    added.iter().map(|answer| answer["id"].as_u64().unwrap()).collect()
}

#[test]
fn each_of_a_thousand_jobs_ends_once_whatever_is_cancelled_and_killed() {
    let place = Place::new(CONFIG);
    let mut daemon = place.start();
    daemon.post("/v1/tasks/note/pause", json!({}));
    let all = fill(&daemon);
    daemon.post("/v1/tasks/note/resume", json!({}));
    let ids: Vec<u64> = all.iter().copied().collect();
    // As the daemon answered: cancelled while it waited, or asked to end while it ran.
    let mut cancelled: BTreeMap<u64, String> = BTreeMap::new();
    for round in 0..5 {
        let mut client = daemon.client();
        for cancel in 0..CANCELS {
            // From both ends: such as run now, and such as wait.
            let place_in_line =
                if cancel % 2 == 0 { round * CANCELS + cancel } else { ids.len() - 1 - round * CANCELS - cancel };
            let job = ids[place_in_line];
            match cancel_one(&mut client, job) {
                (200, view) => drop(cancelled.insert(job, view["state"].as_str().unwrap().to_owned())),
                (status, problem) => {
                    assert_eq!(status, 409, "{problem}");
                    assert!(
                        problem["code"] == "already_finished" || problem["code"] == "already_stopping",
                        "{problem}"
                    );
                }
            }
        }
        daemon.kill();
        daemon = place.start();
    }
    let live = "state=scheduled,available,running,retryable,interrupted&task=note";
    until("all have ended", || daemon.jobs(live).is_empty().then_some(()));
    check(&place, &daemon, &all, &cancelled);
    assert_eq!(daemon.post("/v1/jobs", json!({"task": "note", "key": "k0"}))["created"], false);
    place.verify();
}

fn cancel_one(client: &mut Client, job: u64) -> (u16, Value) {
    let answer = client.send("POST", &format!("/v1/jobs/{job}/cancel"), "application/json", "{}").unwrap();
    (answer.status, answer.json())
}

fn check(place: &Place, daemon: &Daemon, all: &BTreeSet<u64>, cancelled: &BTreeMap<u64, String>) {
    let jobs = daemon.jobs("task=note");
    let states: BTreeMap<u64, &str> =
        jobs.iter().map(|job| (job["id"].as_u64().unwrap(), job["state"].as_str().unwrap())).collect();
    assert_eq!(jobs.len(), states.len(), "a job is there twice");
    assert_eq!(&states.keys().copied().collect::<BTreeSet<_>>(), all, "a job is missing, or one too many");
    let notes = place.read("notes");
    let ran: BTreeSet<u64> = notes.lines().map(|line| line.parse().unwrap()).collect();
    assert!(cancelled.values().any(|state| state == "cancelled"), "no waiting job was cancelled");
    for (job, state) in &states {
        match (cancelled.get(job).map(String::as_str), *state) {
            (None, "completed") => assert!(ran.contains(job), "job {job} completed and never ran"),
            // It had not started, and never will.
            (Some("cancelled"), "cancelled") => {
                assert!(!ran.contains(job) || daemon.job(*job)["attempts"] != 0, "job {job}")
            }
            // It was running, and may have been done before it was ended.
            (Some("running"), "cancelled" | "completed") | (Some("completed"), "completed") => {}
            (asked, state) => panic!("job {job} is {state}; its cancel was answered with {asked:?}"),
        }
    }
}
