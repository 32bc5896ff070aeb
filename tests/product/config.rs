//! Reloads as an operator meets them: what changed is said in words, a bad file changes nothing, running jobs go on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::daemon::{Daemon, Place, touch, until};
use crate::said;

/// What `daybook reload` printed, and its exit code.
fn reload(place: &Place) -> (i32, String) {
    let output = place.cli(["reload", "--wait"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text.replace(&format!("{}/", place.dir().display()), ""))
}

/// The changes that the journal has noted, oldest first.
fn noted(place: &Place) -> Vec<String> {
    let journal = said(&place.cli(["journal", "--json"]));
    let events = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let changed = events.filter(|event| event["event"] == "config_changed");
    changed.map(|event| event["change"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_changed_is_said_by_the_command_in_the_log_and_in_the_journal() {
    let old = "[task.backup]\nshell = \"true\"\nschedule = \"30 2 * * *\"\n";
    let place = Place::new(old);
    let daemon = place.start();
    let sweep = daemon.get("/v1/status")["last_sweep"]["at"].clone();
    place.configure("", &old.replace("30 2", "0 3"));
    let expected = "reloaded\n  backup: schedule 30 2 * * * → 0 3 * * *\nswept: 0 findings, 0 fixed\n";
    assert_eq!(reload(&place), (0, expected.to_owned()));
    assert!(place.log().contains("backup: schedule 30 2 * * * → 0 3 * * *"), "in the log");
    assert_eq!(noted(&place), ["backup: schedule 30 2 * * * → 0 3 * * *"]);
    assert_ne!(daemon.get("/v1/status")["last_sweep"]["at"], sweep, "`--wait` waits for the sweep");
    let seq = |daemon: &Daemon| daemon.get("/v1/status")["seq"].as_u64().unwrap();
    let before = seq(&daemon);
    assert_eq!(reload(&place).1, "reloaded; nothing has changed\nswept: 0 findings, 0 fixed\n");
    assert_eq!(seq(&daemon), before + 1, "of which only the sweep is noted");
    let checked = place.cli(["check"]);
    assert!(said(&checked).contains(": no errors, 1 task"), "its own state folder is nothing to warn of");
    daemon.stop();
    assert_eq!(reload(&place).0, 4, "nobody is there to reload");
}

#[test]
fn a_hangup_reloads_and_sweeps() {
    let place = Place::new("[task.a]\nshell = \"true\"\n");
    let daemon = place.start();
    let sweep = daemon.get("/v1/status")["last_sweep"]["at"].clone();
    place.configure("", "[task.b]\nshell = \"true\"\n");
    daemon.signal(Signal::HUP);
    until("the sweep is over", || (daemon.get("/v1/status")["last_sweep"]["at"] != sweep).then_some(()));
    assert_eq!(noted(&place), ["task a removed", "task b added"]);
    daemon.stop();
}

#[test]
fn a_reload_without_waiting_sweeps_as_well() {
    let place = Place::new("[task.a]\nshell = \"true\"\n");
    let daemon = place.start();
    let sweep = daemon.get("/v1/status")["last_sweep"]["at"].clone();
    assert_eq!(daemon.post("/v1/reload", json!({}))["sweep"], Value::Null);
    until("the sweep is over", || (daemon.get("/v1/status")["last_sweep"]["at"] != sweep).then_some(()));
}

#[test]
fn a_running_job_goes_on_with_what_it_was_started_with_and_its_retry_is_the_new() {
    let task = |shell: &str| format!("[task.work]\nshell = \"{shell}\"\nbackoff = \"1ms\"\n");
    let place = Place::new(&task("until [ -e $DIR/go ]; do sleep 0.01; done; echo old >> $DIR/ran; exit 1"));
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "work" }));
    daemon.wait_state(job, "running");
    let attempt = daemon.job(job)["started_at"].clone();
    place.configure("", &task("echo new >> $DIR/ran"));
    assert_eq!(reload(&place).0, 0);
    assert_eq!(daemon.job(job)["started_at"], attempt, "it was not touched");
    touch(&place.path("go"));
    daemon.wait_state(job, "completed");
    assert_eq!(place.read("ran"), "old\nnew\n");
    daemon.stop();
}

#[test]
fn what_takes_a_restart_is_said_until_there_is_one() {
    let place = Place::new("[task.a]\nshell = \"true\"\n");
    let daemon = place.start();
    let text = fs::read_to_string(place.config_file()).unwrap();
    fs::write(place.config_file(), text.replace("\"state\"", "\"elsewhere\"")).unwrap();
    for _ in 0..2 {
        let (code, told) = reload(&place);
        assert_eq!(code, 0);
        let change = format!("  {0}/state → {0}/elsewhere takes a restart\n", place.dir().display());
        let change = change.replace(&format!("{}/", place.dir().display()), "").replace("  ", "  state_dir ");
        assert!(told.contains(&change), "{told}");
    }
    let status = daemon.get("/v1/status");
    assert!(status["problems"][0].as_str().unwrap().ends_with("takes a restart"), "{status}");
    assert!(status["state_dir"].as_str().unwrap().ends_with("/state"), "{status}");
    assert_eq!(noted(&place), [""; 0], "nothing has changed yet");
    fs::write(place.config_file(), text).unwrap();
    assert_eq!(reload(&place).0, 0);
    assert_eq!(daemon.get("/v1/status")["problems"], json!([]));
    daemon.stop();
}

/// Whatever happens to the files, the daemon goes on with the last good config and says what is wrong.
#[test]
fn a_config_that_cannot_be_read_changes_nothing() {
    let good = "[task.ok]\nshell = \"true\"\n";
    let place = Place::new(good);
    let daemon = place.start();
    let main = place.config_file();
    let text = fs::read_to_string(&main).unwrap();
    let large = format!("{text}\n{}", "#".repeat(1024 * 1024));
    let breakages: [(&str, &dyn Fn(), &str); 6] = [
        ("gone", &|| fs::remove_file(&main).unwrap(), "cannot be read: No such file"),
        ("a folder", &|| fs::create_dir(&main).unwrap(), "is not a regular file"),
        (
            "half-written",
            &|| fs::write(&main, &text[..text.len() - 8]).unwrap(),
            "daybook.toml:7:8: string values must be quoted",
        ),
        ("not UTF-8", &|| fs::write(&main, [text.as_bytes(), b"# \xff"].concat()).unwrap(), "is not UTF-8"),
        ("huge", &|| fs::write(&main, &large).unwrap(), "is larger than 1 MiB"),
        ("a link to itself", &|| std::os::unix::fs::symlink(&main, &main).unwrap(), "symbolic links"),
    ];
    for (what, break_it, expected) in breakages {
        if matches!(what, "a folder" | "a link to itself") {
            fs::remove_file(&main).unwrap();
        }
        break_it();
        let answer = daemon.send("POST", "/v1/reload", r#"{"wait":true}"#);
        assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("config_invalid")), "{what}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(expected), "{what}: {}", answer.text());
        assert_eq!(reload(&place).0, 3, "{what}: whoever asks, and wherever the socket is");
        let status = daemon.get("/v1/status");
        assert!(status["problems"][0].as_str().unwrap().contains(expected), "{what}: {status}");
        let job = daemon.add(json!({ "task": "ok" }));
        daemon.wait_state(job, "completed");
        if main.is_dir() {
            fs::remove_dir(&main).unwrap();
        } else if main.symlink_metadata().is_ok() {
            fs::remove_file(&main).unwrap();
        }
        fs::write(&main, &text).unwrap();
        assert_eq!(reload(&place).0, 0, "{what}: mended");
        assert_eq!(daemon.get("/v1/status")["problems"], json!([]), "{what}: mended");
    }
    daemon.stop();
}

#[test]
fn errors_are_all_printed_with_exit_code_3() {
    let place = Place::new("[task.ok]\nshell = \"true\"\n");
    let daemon = place.start();
    place.configure("", "[task.ok]\nshell = \"true\"\ntimeout = \"never\"\nshedule = \"@daily\"\n");
    let (code, told) = reload(&place);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("daybook.toml:8:11: task.ok.timeout: `never` is not a duration"), "{told}");
    assert!(told.contains("daybook.toml:9:1: task.ok.shedule: unknown key; did you mean `schedule`?"), "{told}");
    let checked = place.cli(["check"]);
    assert_eq!(checked.status.code(), Some(3));
    let checked = String::from_utf8_lossy(&checked.stderr).replace(&format!("{}/", place.dir().display()), "");
    for line in checked.lines() {
        assert!(told.contains(line), "`check` says the same as the daemon: {line}\n{told}");
    }
    assert_eq!(checked.lines().count(), 2, "{checked}");
    daemon.stop();
}

#[test]
fn a_daemon_of_root_starts_on_no_file_that_others_may_write() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "this test needs root");
        return eprintln!("skipped: only a daemon of root looks at who may write to its config");
    }
    let place = Place::new("[task.ok]\nshell = \"true\"\n");
    fs::set_permissions(place.config_file(), fs::Permissions::from_mode(0o666)).unwrap();
    let (code, told) = place.start_refused();
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("chmod go-w"), "{told}");
    assert_eq!(place.cli(["check"]).status.code(), Some(3));
    fs::set_permissions(place.config_file(), fs::Permissions::from_mode(0o644)).unwrap();
    let daemon = place.start();
    fs::set_permissions(place.config_file(), fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(reload(&place).0, 3);
    daemon.stop();
}

/// Who is not root reads what it can, whoever may write to it.
#[test]
fn another_user_reads_what_it_can() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "this test needs root");
        return eprintln!("skipped: it takes root to become another user");
    }
    const NOBODY: u32 = 65534;
    let place = Place::new("[task.ok]\nshell = \"true\"\n");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(place.dir(), 0o755);
    let program = place.path("daybook");
    // By another process: who starts one while a file is open for writing here would have it open as well.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_daybook")).arg(&program).status().unwrap();
    assert!(copied.success());
    let check = || {
        let mut command = Command::new(&program);
        command.args(["check", "--config"]).arg(place.config_file()).current_dir("/").uid(NOBODY).gid(NOBODY);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    mode(&place.config_file(), 0o666);
    assert_eq!(check(), (Some(0), String::new()));
    mode(&place.config_file(), 0o600);
    let (code, told) = check();
    assert_eq!(code, Some(3));
    assert!(told.contains("daybook.toml: cannot be read: Permission denied"), "{told}");
}

/// Twenty at once, while the file changes: each is answered, and the last one finds the last file.
#[test]
fn reloads_at_the_same_time_follow_each_other() {
    let place = Place::new("[task.t0]\nshell = \"true\"\n");
    let daemon = place.start();
    std::thread::scope(|scope| {
        let asked: Vec<_> = (1..=20)
            .map(|number| {
                let text = fs::read_to_string(place.config_file()).unwrap();
                let next = place.path("next.toml");
                fs::write(&next, text.replace(&format!("t{}]", number - 1), &format!("t{number}]"))).unwrap();
                fs::rename(&next, place.config_file()).unwrap();
                daemon.signal(Signal::HUP);
                scope.spawn(|| daemon.send("POST", "/v1/reload", r#"{"wait":true}"#).status)
            })
            .collect();
        assert!(asked.into_iter().all(|answer| answer.join().unwrap() == 200));
    });
    let tasks = daemon.get("/v1/tasks");
    assert_eq!(tasks.as_array().unwrap().iter().map(|task| &task["task"]).collect::<Vec<_>>(), ["t20"]);
    daemon.stop();
}

#[test]
fn sweeps_become_more_frequent_by_a_reload() {
    let place = Place::new("[task.a]\nshell = \"true\"\n");
    let daemon = place.start();
    let text = fs::read_to_string(place.config_file()).unwrap();
    fs::write(place.config_file(), text.replace("\"1h\"", "\"1s\"")).unwrap();
    assert_eq!(reload(&place).0, 0);
    let at = || daemon.get("/v1/status")["last_sweep"]["at"].clone();
    for _ in 0..2 {
        let before = at();
        until("another sweep", || (at() != before).then_some(()));
    }
    daemon.stop();
}
