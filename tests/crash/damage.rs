//! A damaged disk: what is needed to recover is never skipped in silence, what is not is made again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::daemon::{Daemon, Place, noise, until};

const CONFIG: &str = r#"
[task.wait]
shell = 'true'

[task.tick]
schedule = "@every 1s"
shell = 'true'
"#;

/// Commits that are made before anything is damaged, at least.
const JOBS: u64 = 150;

/// A state folder with jobs in it, live and finished, and no daemon.
fn filled() -> Place {
    let place = Place::new(CONFIG);
    let daemon = place.start();
    let mut client = daemon.client();
    for number in 0..JOBS {
        let job =
            json!({"task": "wait", "in": "1h", "key": format!("key-{number}"), "args": format!("marker-{number:06}")});
        let answer = client.send("POST", "/v1/jobs", "application/json", &job.to_string()).unwrap();
        assert_eq!(answer.status, 201);
    }
    let done = daemon.add(json!({"task": "wait", "key": "done"}));
    daemon.wait_state(done, "completed");
    daemon.stop();
    place
}

fn database(place: &Place) -> PathBuf {
    place.generations().pop().unwrap().join("db")
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// It ends with the code for it, names a commit in that range, and says what to do; and so each time.
#[track_caller]
fn refused(place: &Place, commits: std::ops::RangeInclusive<u64>) {
    let backup = place.path("backup");
    copy(&place.state(), &backup);
    for _ in 0..2 {
        let (code, said) = place.start_refused();
        assert_eq!(code, 74, "{said}");
        let number = said
            .split("commit ")
            .nth(1)
            .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        assert!(number.is_some_and(|number: u64| commits.contains(&number)), "{said}");
        assert!(said.contains("from a backup") && said.contains("journal verify"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        let verify = place.cli(["journal", "verify"]);
        let said = String::from_utf8_lossy(&verify.stderr);
        assert_eq!(verify.status.code(), Some(74), "{said}");
        assert!(said.contains("commit"), "{said}");
    }
    fs::remove_dir_all(place.state()).unwrap();
    fs::rename(backup, place.state()).unwrap();
}

/// Nothing is missing.
#[track_caller]
fn whole(daemon: &Daemon) {
    assert_eq!(daemon.jobs("task=wait&state=scheduled").len() as u64, JOBS);
    for (key, task) in [("key-0", "wait"), ("done", "wait")] {
        assert_eq!(daemon.post("/v1/jobs", json!({"task": task, "key": key}))["created"], false, "{key}");
    }
    daemon.place.verify();
}

#[test]
fn a_flipped_byte_in_the_middle_stops_it_and_a_backup_brings_it_back() {
    let place = filled();
    let db = database(&place);
    let sound = fs::read(&db).unwrap();
    let marker = format!("marker-{:06}", JOBS / 2);
    let at = sound
        .windows(marker.len())
        .position(|bytes| bytes == marker.as_bytes())
        .expect("arguments are stored as they are");
    let mut damaged = sound.clone();
    damaged[at + 3] ^= 0x10;
    fs::write(&db, &damaged).unwrap();
    refused(&place, 2..=JOBS);
    fs::write(&db, &sound).unwrap();
    whole(&place.start());
}

#[test]
fn zeroes_in_the_middle_stop_it() {
    let place = filled();
    let db = database(&place);
    let mut bytes = fs::read(&db).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used / 2..used / 2 + 4096].fill(0);
    fs::write(&db, &bytes).unwrap();
    refused(&place, 1..=JOBS);
}

#[test]
fn a_journal_that_is_cut_off_stops_it() {
    let place = filled();
    let bytes = fs::read(database(&place)).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    for length in [used / 2, 0] {
        fs::write(database(&place), &bytes[..length]).unwrap();
        let (code, said) = place.start_refused();
        assert_eq!(code, 74, "{said}");
        assert!(said.contains("commit ") && said.contains("backup"), "{said}");
    }
}

#[test]
fn a_missing_generation_a_missing_database_and_a_damaged_head_stop_it() {
    let place = filled();
    let (generation, away) = (place.generations().pop().unwrap(), place.path("away"));
    for lost in [generation.clone(), generation.join("db"), generation.join("origin")] {
        fs::rename(&lost, &away).unwrap();
        refused(&place, 1..=1);
        fs::rename(&away, &lost).unwrap();
    }
    let head = place.state().join("journal/head");
    let sound = fs::read(&head).unwrap();
    fs::write(&head, &sound[1..]).unwrap();
    let (code, said) = place.start_refused();
    assert_eq!(code, 74, "{said}");
    assert!(said.contains("journal/head"), "{said}");
    fs::write(&head, &sound).unwrap();
    whole(&place.start());
}

#[test]
fn an_unfinished_commit_at_the_end_is_cut_off_and_told() {
    let place = filled();
    let head = fs::read(place.state().join("journal/head")).unwrap();
    // A commit of many parts, that does not compress: its end is then lost, and the head was not marked since.
    let daemon = place.start();
    let jobs: Vec<Value> = (0..16)
        .map(|number| {
            let args = noise(number, 8000);
            json!({"task": "wait", "in": "1h", "key": format!("lost-{number}"), "args": args})
        })
        .collect();
    daemon.post("/v1/tasks/tick/pause", json!({})); // so that this is the last commit
    let reached = fs::read(place.state().join("journal/reached")).unwrap();
    daemon.post("/v1/jobs", json!(jobs));
    daemon.kill();
    // As if it had been killed just before the end of that commit: no note says that it was reached.
    fs::write(place.state().join("journal/head"), head).unwrap();
    fs::write(place.state().join("journal/reached"), reached).unwrap();
    let mut bytes = fs::read(database(&place)).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used - 16 * 1024..].fill(0);
    fs::write(database(&place), bytes).unwrap();

    let daemon = place.start();
    assert!(place.log().contains("cut an unfinished commit off"));
    assert!(daemon.jobs("").iter().all(|job| !job["key"].as_str().is_some_and(|key| key.starts_with("lost"))));
    whole(&daemon);
    // It goes on from there, and the next start finds nothing to cut.
    daemon.post("/v1/jobs", json!(jobs));
    daemon.kill();
    let told = place.log().len();
    let daemon = place.start();
    assert!(!place.log()[told..].contains("cut"), "{}", &place.log()[told..]);
    assert_eq!(daemon.jobs("task=wait&state=scheduled").len(), JOBS as usize + jobs.len());
    place.verify();
}

#[test]
fn projections_that_are_lost_are_made_again() {
    let place = filled();
    let daemon = place.start();
    let (jobs, rows) = (daemon.jobs("state=completed&task=wait"), daemon.occurrences("tick"));
    daemon.stop();
    for lost in [&["history"][..], &["occurrences"], &["keys"], &["history", "occurrences", "keys"]] {
        for name in lost {
            fs::remove_dir_all(place.state().join(name)).unwrap();
        }
        let daemon = place.start();
        assert_eq!(daemon.jobs("state=completed&task=wait"), jobs, "{lost:?}");
        let now = daemon.occurrences("tick");
        assert!(now.ends_with(&rows), "{lost:?}");
        whole(&daemon);
        daemon.stop();
    }
}

/// Flips a byte in each stretch of that many bytes, in all databases of a projection.
fn damage(projection: &Path, stretch: usize) {
    let partitions = fs::read_dir(projection).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    for partition in partitions {
        let db = partition.join("db");
        let mut bytes = fs::read(&db).unwrap();
        bytes.iter_mut().step_by(stretch).for_each(|byte| *byte = !*byte);
        fs::write(&db, bytes).unwrap();
    }
}

#[test]
fn a_damaged_projection_heals_or_is_named_and_can_be_deleted() {
    let place = filled();
    let sound = place.path("sound");
    fs::rename(place.state(), &sound).unwrap();
    for (name, stretch) in [("history", 1), ("history", 64), ("history", 1500), ("occurrences", 1000), ("keys", 700)] {
        copy(&sound, &place.state());
        damage(&place.state().join(name), stretch);
        let told = place.log().len();
        let mut daemon = place.launch();
        let ended = until("it answers or ends", || match daemon.exit_code() {
            None => daemon.answers().then_some(None),
            code => Some(code),
        });
        if let Some(code) = ended {
            let said = place.log()[told..].to_owned();
            assert_eq!(code, 74, "{said}");
            assert!(said.contains(name) && said.contains("deleted") && !said.contains("panicked"), "{said}");
            fs::remove_dir_all(place.state().join(name)).unwrap();
            daemon = place.start();
        }
        whole(&daemon);
        daemon.stop();
        fs::remove_dir_all(place.state()).unwrap();
    }
}

#[test]
fn leftovers_of_a_killed_start_are_no_trouble() {
    let place = filled();
    let generation = place.generations().pop().unwrap();
    fs::write(generation.join("snap.0000000000000001.generating"), "half a snapshot").unwrap();
    fs::create_dir(place.state().join("journal/gen-99999999999999999999.new")).unwrap();
    whole(&place.start());
}

#[test]
fn a_flipped_byte_after_the_last_mark_of_the_head_stops_it_too() {
    let place = filled();
    let head = fs::read(place.state().join("journal/head")).unwrap();
    let daemon = place.start();
    let mut client = daemon.client();
    for number in 0..JOBS {
        let job = json!({"task": "wait", "in": "1h", "args": format!("unmarked-{number:06}")});
        let answer = client.send("POST", "/v1/jobs", "application/json", &job.to_string()).unwrap();
        assert_eq!(answer.status, 201);
    }
    daemon.kill();
    // As if all this had happened since the head was marked; the note of the last commit is as the kill has left it.
    fs::write(place.state().join("journal/head"), head).unwrap();
    let db = database(&place);
    let mut bytes = fs::read(&db).unwrap();
    let marker = format!("unmarked-{:06}", JOBS / 2);
    let at = bytes.windows(marker.len()).position(|found| found == marker.as_bytes()).unwrap();
    bytes[at + 3] ^= 0x10;
    fs::write(&db, &bytes).unwrap();
    refused(&place, JOBS..=2 * JOBS + 60);
}
