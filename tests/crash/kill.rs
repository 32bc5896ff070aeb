//! `kill -9` at random moments, under the load of many clients: nothing acknowledged is missing, nothing is there twice.
//!
//! `DAYBOOK_CRASH_ROUNDS` makes it longer, `DAYBOOK_CRASH_SEED` another run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::daemon::{Daemon, Place, until};

const ROUNDS: u64 = 8;
/// Clients that add one job a call, and clients that add many.
const SINGLE_CLIENTS: u64 = 6;
const BULK_CLIENTS: u64 = 2;
const JOBS_PER_CALL: u64 = 60;
/// Jobs that one client has run, in one round; beyond them it only adds such as wait. Processes cost most of the time.
const RUN_PER_ROUND: u64 = 15;

const CONFIG: &str = r#"
[task.note]
shell = 'echo "$DAYBOOK_JOB $DAYBOOK_ATTEMPT" >> $DIR/notes'
concurrency = 4

[task.flaky]
shell = 'echo "$DAYBOOK_JOB $DAYBOOK_ATTEMPT" >> $DIR/notes; test "$DAYBOOK_ATTEMPT" -gt 1'
backoff = "300ms"
concurrency = 4

[task.later]
shell = 'echo "$DAYBOOK_JOB $DAYBOOK_ATTEMPT" >> $DIR/notes'

[task.tick]
schedule = "@every 1s"
missed = "all"
missed_max = 1000
overlap = "allow"
concurrency = 4
shell = 'echo "$DAYBOOK_JOB $DAYBOOK_ATTEMPT" >> $DIR/notes'
"#;

/// Small and good enough: splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31) % bound
    }
}

pub fn number_of(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// What the clients were told, and what they saw.
#[derive(Default)]
struct Told {
    /// Key, and the number and task of its job.
    added: Mutex<BTreeMap<String, (u64, &'static str)>>,
    /// Finished jobs as they were first seen.
    ended: Mutex<BTreeMap<u64, Value>>,
    over: AtomicBool,
    /// Counts up with each daemon.
    round: std::sync::atomic::AtomicU64,
}

impl Told {
    /// Notes an acknowledgement; whatever was acknowledged before must be the same.
    fn note(&self, key: &str, task: &'static str, answer: &Value) {
        let id = answer["id"].as_u64().unwrap_or_else(|| panic!("{key} was refused: {answer}"));
        let before = self.added.lock().unwrap().insert(key.to_owned(), (id, task));
        if let Some(before) = before {
            assert_eq!(before, (id, task), "{key} has become another job");
            assert_eq!(answer["created"], json!(false), "{key} was made twice");
        }
    }
}

/// Sends the same until it is answered, over as many daemons as it takes. `None` once all is over.
fn insist(told: &Told, socket: &Path, client: &mut Option<Client>, kind: &str, body: &str) -> Option<Vec<Value>> {
    until("somebody answers", || {
        if told.over.load(Ordering::Relaxed) {
            return Some(None);
        }
        let connected = match client.take() {
            Some(client) => Ok(client),
            None => Client::connect(socket),
        };
        let answer = connected.and_then(|mut connected| {
            let answer = connected.send("POST", "/v1/jobs", kind, body)?;
            *client = Some(connected);
            Ok(answer)
        });
        let answer = answer.ok()?;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
        Some(Some(answer.lines()))
    })
}

/// Adds jobs until all is over. In each round a few that run, then such as wait for an hour.
fn add_for_ever(told: &Told, socket: &Path, name: u64, per_call: u64, seed: u64) {
    let mut random = Random(seed ^ name << 32);
    let mut client = None;
    let (mut number, mut round, mut run) = (0u64, 0, 0);
    let mut last: Option<(String, &str)> = None;
    loop {
        if round != told.round.load(Ordering::Relaxed) {
            (round, run) = (told.round.load(Ordering::Relaxed), 0);
        }
        let mut jobs = Vec::new();
        for _ in 0..per_call {
            number += 1;
            let task = match random.below(3) {
                _ if run >= RUN_PER_ROUND => "later",
                0 => "flaky",
                1 => "later",
                _ => "note",
            };
            run += u64::from(task != "later");
            let mut job = json!({"task": task, "key": format!("{name}-{number}"), "args": {"number": number}});
            match task {
                "later" => job["in"] = json!("1h"),
                _ if random.below(4) == 0 => job["in"] = json!("200ms"),
                _ => {}
            }
            jobs.push((job, task));
        }
        let text: Vec<String> = jobs.iter().map(|(job, _)| job.to_string()).collect();
        let kind = if per_call == 1 { "application/json" } else { "application/x-ndjson" };
        let body = text.join("\n");
        let Some(answers) = insist(told, socket, &mut client, kind, &body) else { return };
        assert_eq!(answers.len(), jobs.len());
        for ((job, task), answer) in jobs.iter().zip(&answers) {
            told.note(job["key"].as_str().unwrap(), task, answer);
        }
        // Now and then the same again, as somebody does who has not read the answer.
        if random.below(16) == 0 {
            let Some(answers) = insist(told, socket, &mut client, kind, &body) else { return };
            told.note(jobs[0].0["key"].as_str().unwrap(), jobs[0].1, &answers[0]);
        }
        if let (Some((body, task)), 0) = (&last, random.below(16)) {
            let key: Value = serde_json::from_str(body).unwrap();
            let Some(answers) = insist(told, socket, &mut client, "application/json", body) else { return };
            told.note(key["key"].as_str().unwrap(), task, &answers[0]);
        }
        last = Some((text[0].clone(), jobs[0].1));
    }
}

/// Looks at what is finished until all is over: from then on it may not change.
fn watch_for_ever(told: &Told, socket: &Path) {
    while !told.over.load(Ordering::Relaxed) {
        let look = || {
            let mut client = Client::connect(socket)?;
            let path = "/v1/jobs?state=completed,discarded,cancelled&limit=2000";
            client.send("GET", path, "application/json", "")
        };
        let Some(answer) = look().ok().filter(|answer| answer.status == 200) else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let mut ended = told.ended.lock().unwrap();
        for job in answer.json().as_array().unwrap() {
            let before = ended.entry(job["id"].as_u64().unwrap()).or_insert_with(|| job.clone());
            assert_eq!(before, job, "a finished job has changed");
        }
    }
}

/// Lets daemons live for random times under load, the last one to the end.
fn rounds<'a>(place: &'a Place, told: &Told, random: &mut Random, rounds: u64) -> Daemon<'a> {
    for round in 1..=rounds {
        told.round.store(round, Ordering::Relaxed);
        let mut daemon = place.launch();
        // Some die while they start.
        if random.below(4) > 0 {
            daemon.wait_ready();
            std::thread::sleep(Duration::from_millis(random.below(1800)));
        } else {
            std::thread::sleep(Duration::from_millis(random.below(150)));
        }
        assert!(daemon.is_up(), "it has ended by itself");
        daemon.kill();
    }
    place.start()
}

#[test]
fn what_was_acknowledged_is_there_once_after_kills_at_any_moment() {
    let rounds_wanted = number_of("DAYBOOK_CRASH_ROUNDS", ROUNDS);
    let seed = number_of("DAYBOOK_CRASH_SEED", u64::from(std::process::id()));
    println!("DAYBOOK_CRASH_SEED={seed} DAYBOOK_CRASH_ROUNDS={rounds_wanted}");
    let (place, told) = (Place::new(CONFIG), Told::default());
    let mut random = Random(seed);
    let daemon = std::thread::scope(|scope| {
        let _end = Over(&told); // also when a round panics, so that the clients end
        for name in 0..SINGLE_CLIENTS + BULK_CLIENTS {
            let per_call = if name < SINGLE_CLIENTS { 1 } else { JOBS_PER_CALL };
            let (told, socket) = (&told, place.socket());
            scope.spawn(move || add_for_ever(told, &socket, name, per_call, seed));
        }
        scope.spawn(|| watch_for_ever(&told, &place.socket()));
        rounds(&place, &told, &mut random, rounds_wanted)
    });
    let told = (told.added.into_inner().unwrap(), told.ended.into_inner().unwrap());
    check(&place, daemon, &told.0, &told.1);
}

struct Over<'a>(&'a Told);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

fn check(place: &Place, daemon: Daemon, added: &BTreeMap<String, (u64, &'static str)>, ended: &BTreeMap<u64, Value>) {
    daemon.post("/v1/tasks/tick/pause", json!({}));
    // Of `tick` no more come now, but what is there waits for its return.
    let live = "state=scheduled,available,running,retryable,interrupted";
    let left = || ["note", "flaky"].iter().map(|task| daemon.jobs(&format!("{live}&task={task}")).len()).sum::<usize>();
    let mut before = left();
    while before > 0 {
        // However much it is: as long as it becomes less.
        before = until("more of what is to run has run", || Some(left()).filter(|now| *now < before));
    }
    daemon.post("/v1/tasks/tick/resume", json!({}));
    let all = daemon.jobs("");
    let mut keys: BTreeMap<&str, &Value> = BTreeMap::new();
    for job in &all {
        if let Some(key) = job["key"].as_str() {
            assert!(keys.insert(key, job).is_none(), "{key} is there twice");
        }
    }
    assert!(added.len() as u64 > 50 * SINGLE_CLIENTS, "only {} jobs were added: that is no load", added.len());
    for (key, (id, task)) in added {
        let job = keys.get(key.as_str()).unwrap_or_else(|| panic!("{key}, acknowledged as job {id}, is missing"));
        assert_eq!((&job["id"], &job["task"]), (&json!(id), &json!(task)), "{key}");
        let state = if *task == "later" { "scheduled" } else { "completed" };
        assert_eq!(job["state"], state, "{job}");
    }
    check_runs(place, &all, ended);
    check_occurrences(&daemon);
    place.verify();
    daemon.stop();
    place.verify();
    println!("{} jobs acknowledged, {} seen finished", added.len(), ended.len());
}

/// Each attempt ran at most once, those that completed did run, and what was seen finished stayed as it was.
fn check_runs(place: &Place, all: &[Value], ended: &BTreeMap<u64, Value>) {
    let notes = place.read("notes");
    let mut ran: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for line in notes.lines() {
        let (job, attempt) = line.split_once(' ').unwrap();
        let first = ran.entry(job.parse().unwrap()).or_default().insert(attempt.parse().unwrap());
        assert!(first, "attempt {attempt} of job {job} ran twice");
    }
    for job in all.iter().filter(|job| job["state"] == "completed") {
        let (id, attempts) = (job["id"].as_u64().unwrap(), job["attempts"].as_u64().unwrap());
        assert_eq!(ran.get(&id).and_then(|ran| ran.last()), Some(&attempts), "the last attempt of {job}");
        if let Some(seen) = ended.get(&id) {
            assert_eq!(seen, job, "it was seen finished, and has changed");
        }
    }
    let finished: BTreeSet<u64> =
        all.iter().filter(|job| !job["finished_at"].is_null()).filter_map(|job| job["id"].as_u64()).collect();
    assert!(ended.keys().all(|id| finished.contains(id)), "what was seen finished is so no more");
    assert!(!ended.is_empty(), "nothing was seen finished");
}

/// Each second has exactly one row, from the first to the last, with a job of its own.
fn check_occurrences(daemon: &Daemon) {
    let rows = daemon.occurrences("tick");
    let second = |row: &Value| chrono::DateTime::parse_from_rfc3339(row["at"].as_str().unwrap()).unwrap().timestamp();
    let mut seconds: Vec<i64> = rows.iter().map(second).collect();
    seconds.sort_unstable();
    assert!(seconds.len() >= 3, "{rows:?}");
    for pair in seconds.windows(2) {
        assert_eq!(pair[0] + 1, pair[1], "the ledger has a gap, or an instant twice");
    }
    let jobs: BTreeSet<u64> = rows.iter().filter_map(|row| row["job"].as_u64()).collect();
    assert_eq!(jobs.len(), rows.iter().filter(|row| row["outcome"] == "ran").count(), "a job for each that ran");
    for row in &rows {
        let ran = row["outcome"] == "ran";
        // While it was paused at the end, and never else, occurrences are not made up for.
        assert!(ran || row["reason"].as_str().unwrap().contains("pause"), "{row}");
    }
    for job in jobs {
        daemon.wait_state(job, "completed");
    }
}
