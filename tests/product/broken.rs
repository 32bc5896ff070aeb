//! What a sweep mends, broken from outside: files, folders, processes, the config.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::daemon::{Daemon, Place, touch, until};
use crate::repair::invariants;

const OK: &str = "[task.ok]\ncommand = [\"true\"]\n";

/// A dry run finds these and changes nothing; a sweep mends them; the next one finds nothing.
#[track_caller]
fn mended(daemon: &Daemon<'_>, expected: &[&str]) -> Value {
    let seq = daemon.get("/v1/status")["seq"].clone();
    let dry = daemon.post("/v1/repair", json!({ "dry_run": true }));
    assert_eq!((invariants(&dry), &dry["fixed"]), (expected.to_vec(), &json!(0)), "{dry}");
    assert_eq!(daemon.get("/v1/status")["seq"], seq, "a dry run writes nothing");
    let report = daemon.post("/v1/repair", json!({}));
    assert_eq!((invariants(&report), &report["fixed"]), (expected.to_vec(), &json!(expected.len())), "{report}");
    let journal = daemon.send("GET", &format!("/v1/journal?from={}", seq.as_u64().unwrap() + 1), "").lines();
    let told: Vec<_> = journal.iter().filter(|it| it["event"] == "sweep_found").flat_map(invariants).collect();
    assert_eq!(told, expected, "the journal tells what was mended");
    assert_eq!(daemon.post("/v1/repair", json!({}))["findings"], json!([]));
    report
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn write(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "stray").unwrap();
}

#[test]
fn a_state_folder_that_lets_others_in_is_closed() {
    let place = Place::new(OK);
    let daemon = place.start();
    assert_eq!(mode(&place.state()), 0o700);
    fs::set_permissions(place.state(), Permissions::from_mode(0o777)).unwrap();
    let report = mended(&daemon, &["state-folder"]);
    assert!(report["findings"][0]["explanation"].as_str().unwrap().contains("0777"), "{report}");
    assert_eq!(mode(&place.state()), 0o750);
    fs::set_permissions(place.state().join("journal"), Permissions::from_mode(0o757)).unwrap();
    mended(&daemon, &["state-folder"]);
    assert_eq!(mode(&place.state().join("journal")), 0o755);
}

#[test]
fn a_state_folder_of_somebody_else_is_told_and_left() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "as CI it runs as root");
        eprintln!("skipped: only root can give a folder away");
        return;
    }
    let place = Place::new(OK);
    let daemon = place.start();
    std::os::unix::fs::chown(place.state(), Some(12345), None).unwrap();
    let report = daemon.post("/v1/repair", json!({}));
    assert_eq!((invariants(&report), &report["fixed"]), (vec!["state-folder"], &json!(0)), "{report}");
    let problems = daemon.get("/v1/status")["problems"].to_string();
    assert!(problems.contains("belongs to user 12345"), "{problems}");
    std::os::unix::fs::chown(place.state(), Some(0), None).unwrap();
    assert_eq!(daemon.post("/v1/repair", json!({}))["findings"], json!([]));
    assert_eq!(daemon.get("/v1/status")["problems"], json!([]));
}

#[test]
fn outputs_of_attempts_that_never_were_go_and_all_others_stay() {
    let config = "[task.says]\nshell = \"echo hello\"\n[task.waits]\nshell = \"echo hello; exec sleep 1000\"";
    let place = Place::new(config);
    let daemon = place.start();
    let done = daemon.add(json!({ "task": "says" }));
    daemon.wait_state(done, "completed");
    let running = daemon.add(json!({ "task": "waits" }));
    let outputs = place.state().join("outputs");
    let real = [outputs.join("0/1.1.log"), outputs.join("0/2.1.log")];
    until("both have printed", || real.iter().all(|path| path.exists()).then_some(()));
    daemon.wait_state(running, "running");
    let strays = [outputs.join("0/999.1.log"), outputs.join("5/5000.2.result"), outputs.join("0/2.7.log")];
    let foreign = [outputs.join("0/notes.txt"), outputs.join("lost+found/x")];
    strays.iter().chain(&foreign).for_each(|path| write(path));
    mended(&daemon, &["outputs-without-a-job"; 3]);
    assert!(strays.iter().all(|path| !path.exists()));
    assert!(real.iter().chain(&foreign).all(|path| path.exists()));
}

#[test]
fn an_output_that_somebody_has_deleted_is_told_and_one_that_was_pruned_is_not() {
    let config = "[task.says]\nshell = \"echo hello\"\n[task.goes-on]\nshell = \"echo hello; exec sleep 1000\"\n\
                  [task.fails]\nshell = \"echo oh; exit 1\"\nbackoff = \"1h\"\n[task.silent]\ncommand = [\"true\"]";
    let place = Place::new(config);
    let daemon = place.start();
    let done = |task: &str, state: &str| {
        let job = daemon.add(json!({ "task": task }));
        daemon.wait_state(job, state)
    };
    let said = done("says", "completed");
    assert_eq!(said["output_bytes"], 6);
    assert_eq!(done("fails", "retryable")["output_bytes"], 3);
    assert_eq!(done("silent", "completed")["output_bytes"], 0);
    done("goes-on", "running");
    let outputs = place.state().join("outputs/0");
    let files = [outputs.join("1.1.log"), outputs.join("2.1.log"), outputs.join("4.1.log")];
    until("it has printed", || files[2].metadata().ok().filter(|file| file.len() == 6));
    assert_eq!(daemon.post("/v1/repair", json!({}))["findings"], json!([]));
    files.iter().for_each(|path| fs::remove_file(path).unwrap());
    let report = daemon.post("/v1/repair", json!({}));
    assert_eq!((invariants(&report), &report["fixed"]), (vec!["lost-outputs"; 3], &json!(0)), "{report}");
    let subjects: Vec<_> = report["findings"].as_array().unwrap().iter().map(|it| &it["subject"]).collect();
    assert_eq!(subjects, ["attempt 1 of job 2", "attempt 1 of job 1", "attempt 1 of job 4"]);

    // Pruned for lack of room, all that have ended may be missing.
    place.configure("[outputs]\nkeep = { size = \"1B\" }", config);
    daemon.post("/v1/reload", json!({}));
    let pruned = done("says", "completed")["id"].as_u64().unwrap();
    until("it is pruned", || (!outputs.join(format!("{pruned}.1.log")).exists()).then_some(()));
    let report = daemon.post("/v1/repair", json!({}));
    assert_eq!(report["findings"][0]["subject"], "attempt 1 of job 4", "{report}");
    assert_eq!(report["found"], 1);
}

#[test]
fn a_result_that_nobody_has_read_goes() {
    let place = Place::new(OK);
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "ok" }));
    daemon.wait_state(job, "completed");
    let result = place.state().join("outputs/0/1.1.result");
    write(&result);
    mended(&daemon, &["abandoned-results"]);
    assert!(!result.exists());
}

#[test]
fn outputs_that_should_be_gone_for_long_go() {
    let place = Place::new(OK);
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "ok" }));
    daemon.wait_state(job, "completed");
    let old = place.state().join("outputs/0/1.1.log");
    let found = until("it is found before it is gone by itself", || {
        write(&old);
        let then = SystemTime::now() - Duration::from_secs(31 * 86_400);
        File::options().write(true).open(&old).ok()?.set_modified(then).unwrap();
        let dry = daemon.post("/v1/repair", json!({ "dry_run": true }));
        (!invariants(&dry).is_empty()).then_some(dry)
    });
    assert_eq!(invariants(&found), ["retention-overdue"]);
    daemon.post("/v1/repair", json!({}));
    assert!(!old.exists());
    assert_eq!(daemon.post("/v1/repair", json!({}))["findings"], json!([]));
}

#[test]
fn what_a_killed_start_has_left_is_removed_and_told_of() {
    let place = Place::new(OK);
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "ok" }));
    daemon.wait_state(job, "completed");
    daemon.stop();
    let state = place.state();
    let generation = place.generations().pop().unwrap();
    let leftovers = [
        state.join("checkpoint/00000000000000000009.new/db"),
        state.join("history/00000000000000000001-00000000000000000001.drop/db"),
        state.join("journal/gen-00000000000000000099.new/db"),
        generation.join("snap.0000000000000001.generating"),
        state.join("journal/head.new"),
    ];
    leftovers.iter().for_each(|path| write(path));
    let daemon = place.start();
    let report = daemon.get("/v1/repair");
    assert_eq!((invariants(&report), &report["door"]), (vec!["leftovers"; 5], &json!("start")), "{report}");
    assert_eq!(report["fixed"], 5);
    assert!(leftovers.iter().all(|path| !path.exists()), "{report}");
    assert_eq!(daemon.post("/v1/repair", json!({}))["findings"], json!([]));
    daemon.stop();
    assert_eq!(daemon_is_healthy(&place), Vec::<String>::new(), "a good end leaves nothing");
    place.verify();
}

fn daemon_is_healthy(place: &Place) -> Vec<String> {
    let daemon = place.start();
    let report = daemon.get("/v1/repair");
    let found = invariants(&report).into_iter().map(str::to_owned).collect();
    daemon.stop();
    found
}

#[test]
fn a_daemon_that_is_killed_again_and_again_while_it_starts_comes_back_healthy() {
    let place = Place::new(OK);
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "ok" }));
    daemon.wait_state(job, "completed");
    daemon.kill();
    for milliseconds in [1, 3, 6, 10, 15, 20, 30, 45, 60] {
        let daemon = place.launch();
        std::thread::sleep(Duration::from_millis(milliseconds));
        daemon.kill();
    }
    let daemon = place.start();
    let report = daemon.get("/v1/repair");
    assert!(invariants(&report).iter().all(|name| *name == "leftovers"), "{report}");
    assert_eq!(daemon.post("/v1/repair", json!({}))["findings"], json!([]));
    daemon.stop();
    place.verify();
}

#[test]
fn a_process_that_is_killed_behind_the_daemons_back_is_no_finding_but_a_failed_attempt() {
    let place = Place::new("[task.waits]\nattempts = 1\nshell = \"exec sleep 1000\"");
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "waits" }));
    let pid = until("it runs", || place.job_processes().first().copied());
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(daemon.post("/v1/repair", json!({}))["findings"], json!([]));
    let error = daemon.wait_state(job, "discarded")["error"].clone();
    assert!(error.as_str().unwrap().contains("signal 9"), "{error}");
}

#[test]
fn a_held_job_goes_on_when_its_task_no_longer_asks_for_a_person() {
    let task = |policy: &str| {
        let waits = "shell = 'echo $DAYBOOK_ATTEMPT >> $DIR/begun; until test -e $DIR/go; do sleep 0.02; done'";
        format!("[task.waits]\non_interrupt = \"{policy}\"\n{waits}\n")
    };
    let place = Place::new(&task("hold"));
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "waits" }));
    until("it runs", || (place.read("begun") == "1\n").then_some(()));
    daemon.kill_with_shims();
    let daemon = place.start();
    daemon.wait_state(job, "interrupted");
    assert_eq!(daemon.post("/v1/repair", json!({}))["findings"], json!([]), "a person is asked for");
    place.configure("", &task("retry"));
    daemon.post("/v1/reload", json!({ "wait": true }));
    let report = daemon.get("/v1/repair");
    assert_eq!((invariants(&report), &report["fixed"]), (vec!["held-jobs"], &json!(1)), "{report}");
    touch(&place.path("go"));
    daemon.wait_state(job, "completed");
}

#[test]
fn jobs_of_a_task_that_is_gone_are_told_and_journaled_once() {
    let place = Place::new(&format!("{OK}[task.goes]\nshell = \"exec sleep 1000\""));
    let daemon = place.start();
    daemon.add(json!({ "task": "goes", "in": "1h" }));
    daemon.add(json!({ "task": "goes", "in": "1h" }));
    place.configure("", OK);
    let from = daemon.get("/v1/status")["seq"].as_u64().unwrap() + 1;
    // With its sweep, which is the first to tell of it.
    daemon.post("/v1/reload", json!({ "wait": true }));
    for _ in 0..3 {
        let report = daemon.post("/v1/repair", json!({}));
        assert_eq!((invariants(&report), &report["fixed"]), (vec!["orphaned-jobs"], &json!(0)), "{report}");
        assert_eq!(invariants(&daemon.get("/v1/repair")), ["orphaned-jobs"]);
    }
    let journal = daemon.send("GET", &format!("/v1/journal?from={from}"), "").lines();
    let sweeps = journal.iter().filter(|it| it["event"] == "sweep_finished");
    let left: Vec<_> = sweeps.map(|it| it["left"].is_null()).collect();
    assert_eq!(left, [false, true, true, true], "what stays the same is written once: {journal:?}");
}

#[test]
fn a_history_of_another_journal_is_told() {
    let place = Place::new(OK);
    let state = place.state();
    let daemon = place.start();
    daemon.stop();
    let copy = |from: &Path, to: &Path| {
        let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
        assert!(done.success());
    };
    copy(&state.join("journal"), &place.path("journal.backup"));
    let daemon = place.start();
    daemon.post("/v1/jobs", json!(vec![json!({ "task": "ok" }); 5]));
    until("all are done", || daemon.jobs("state=available,running").is_empty().then_some(()));
    daemon.stop();
    fs::remove_dir_all(state.join("journal")).unwrap();
    copy(&place.path("journal.backup"), &state.join("journal"));
    let daemon = place.start();
    let report = daemon.post("/v1/repair", json!({}));
    assert_eq!((invariants(&report), &report["fixed"]), (vec!["projections-ahead"; 3], &json!(0)), "{report}");
    let status = place.cli(["status"]);
    let said = String::from_utf8_lossy(&status.stdout);
    assert!(said.contains("of another journal"), "{said}");
    assert_eq!(status.status.code(), Some(1), "it is degraded");
}
