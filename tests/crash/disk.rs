//! A disk that takes no more: the daemon ends with its own exit code, and nothing acknowledged is lost.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::client::Client;
use crate::daemon::{Place, noise, until};

const CONFIG: &str = "[task.wait]\nshell = 'true'\n";

/// Adds jobs until the daemon is gone; answers the keys that were acknowledged.
fn add_until_gone(client: &mut Client, prefix: &str) -> Vec<String> {
    let args = noise(1, 20_000);
    let mut added = Vec::new();
    until("the disk is full", || {
        for _ in 0..10 {
            let key = format!("{prefix}-{}", added.len());
            let body = json!({"task": "wait", "in": "1h", "key": key, "args": args}).to_string();
            match client.send("POST", "/v1/jobs", "application/json", &body) {
                Ok(answer) if answer.status == 201 => added.push(key),
                // Nobody is told "ok" for what is not on disk.
                Ok(answer) => assert!(answer.status >= 500, "{}", answer.text()),
                Err(_) => return Some(()),
            }
        }
        None
    });
    added
}

#[track_caller]
fn nothing_is_lost(place: &Place, keys: &[String]) {
    assert!(!keys.is_empty());
    let daemon = place.start();
    let jobs = daemon.jobs("task=wait");
    let there: std::collections::BTreeSet<&str> = jobs.iter().filter_map(|job| job["key"].as_str()).collect();
    assert_eq!(there.len(), jobs.len(), "a key is there twice");
    for key in keys {
        assert!(there.contains(key.as_str()), "{key} was acknowledged and is missing");
    }
    // At most what was under way when it ended is there besides.
    assert!(there.len() <= keys.len() + 1, "{} of {}", there.len(), keys.len());
    place.verify();
    daemon.stop();
}

#[test]
fn a_write_that_fails_ends_the_daemon_with_74() {
    let place = Place::new(CONFIG);
    // Files of at most 3 MiB. Without the trap the signal would kill the process before its write can fail.
    let mut daemon = place.launch_limited("trap '' XFSZ; ulimit -f 6144");
    daemon.wait_ready();
    let keys = add_until_gone(&mut daemon.client(), "k");
    assert_eq!(daemon.wait_exit().code(), Some(74), "{}", place.log());
    assert!(place.log().contains("Error:") && place.log().contains("journal"), "{}", place.log());
    nothing_is_lost(&place, &keys);
}

/// A file system of its own, if we may make one.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn try_new(path: &'a Path, size: &str) -> Option<Mounted<'a>> {
        std::fs::create_dir(path).unwrap();
        let options = format!("size={size},mode=0700");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "daybook-test"]).arg(path).output();
        match output {
            Ok(output) if output.status.success() => Some(Mounted(path)),
            other => {
                println!("skipped: no file system could be mounted: {other:?}");
                None
            }
        }
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.0).status().unwrap().success());
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _: Result<_, _> = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_ends_the_daemon_with_74_and_room_brings_it_back() {
    let place = Place::new(CONFIG);
    let state = place.state();
    let Some(disk) = Mounted::try_new(&state, "12m") else { return };
    let mut keys = Vec::new();
    let mut daemon = place.start();
    keys.extend(add_until_gone(&mut daemon.client(), "first"));
    assert_eq!(daemon.wait_exit().code(), Some(74), "{}", place.log());
    // Without room it does not come up, says why, and spoils nothing.
    for _ in 0..2 {
        let (code, said) = place.start_refused();
        assert_eq!(code, 74, "{said}");
        assert!(said.contains("space"), "{said}");
    }
    disk.resize("64m");
    nothing_is_lost(&place, &keys);
    drop(disk);
}
