//! All file descriptors are taken by clients that stay, and by attempts: the daemon goes on, and is well again when
//! they have gone.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::client::Client;
use crate::daemon::{Daemon, Place, until};

const LIMIT: usize = 96;
/// Each attempt takes two or three of them.
const ATTEMPTS: usize = 60;

fn add(client: &mut Client, task: &str, key: &str, delay: &str) -> Option<Value> {
    let mut body = json!({ "task": task, "key": key });
    if !delay.is_empty() {
        body["in"] = json!(delay);
    }
    let answer = client.send("POST", "/v1/jobs", "application/json", &body.to_string()).ok()?;
    assert_eq!(answer.status, 201, "{}", answer.text());
    Some(answer.json()["id"].clone())
}

fn place(task: &str) -> Place {
    Place::new(&format!("[task.later]\nshell = 'true'\n{task}"))
}

fn launch(place: &Place) -> Daemon<'_> {
    let mut daemon = place.launch_limited(&format!("ulimit -n {LIMIT}"));
    daemon.wait_ready();
    daemon
}

/// All that was acknowledged is there after a kill.
fn check(place: &Place, mut daemon: Daemon<'_>, acknowledged: &BTreeMap<String, Value>) {
    assert!(daemon.is_up());
    daemon.kill();
    let daemon = place.start();
    let jobs: BTreeMap<String, Value> =
        daemon.jobs("").iter().map(|job| (job["key"].as_str().unwrap().to_owned(), job["id"].clone())).collect();
    for (key, id) in acknowledged {
        assert_eq!(jobs.get(key), Some(id), "{key}");
    }
    daemon.stop();
    place.verify();
}

#[test]
fn clients_that_take_all_descriptors_leave_room_for_the_disk_and_for_who_asks() {
    let place = place("");
    let daemon = launch(&place);
    let mut client = daemon.client();
    let mut acknowledged = BTreeMap::new();
    acknowledged.insert("before".into(), add(&mut client, "later", "before", "10h").unwrap());
    let idle: Vec<UnixStream> = (0..2 * LIMIT).map(|_| UnixStream::connect(place.socket()).unwrap()).collect();
    for number in 0..20 {
        let key = format!("during-{number}");
        let id = add(&mut client, "later", &key, "10h").expect("who is served stays so");
        acknowledged.insert(key, id);
    }
    // One more takes the place of an idle one.
    assert!(daemon.answers());
    drop(idle);
    // One that is being answered keeps its place: then one more is told why, instead of waiting in vain.
    let follow = |_| {
        let mut stream = UnixStream::connect(place.socket()).unwrap();
        stream.write_all(b"GET /v1/journal?follow=1 HTTP/1.1\r\nhost: daybook\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 12]).unwrap();
        stream
    };
    let following: Vec<UnixStream> = (0..LIMIT).map(follow).collect();
    let told = daemon.client().send("GET", "/healthz", "application/json", "").unwrap();
    assert_eq!((told.status, &told.json()["code"]), (503, &json!("too_many_connections")));
    drop(following);
    until("it is well again", || daemon.answers().then_some(()));
    let id = add(&mut daemon.client(), "later", "after", "10h").unwrap();
    acknowledged.insert("after".into(), id);
    check(&place, daemon, &acknowledged);
}

#[test]
fn a_daemon_that_can_open_nothing_for_a_while_goes_on_by_itself() {
    let place = place("");
    let daemon = launch(&place);
    let mut client = daemon.client();
    let mut acknowledged = BTreeMap::new();
    // From then on it is served, and does not wait to be accepted.
    acknowledged.insert("before".into(), add(&mut client, "later", "before", "10h").unwrap());
    let limit = |current| {
        let pid = Pid::from_raw(daemon.pid() as i32);
        prlimit(pid, Resource::Nofile, Rlimit { current: Some(current), maximum: Some(LIMIT as u64) }).unwrap();
    };
    limit(3);
    let mut waiting = UnixStream::connect(place.socket()).unwrap();
    waiting.write_all(b"GET /healthz HTTP/1.1\r\nhost: daybook\r\nconnection: close\r\n\r\n").unwrap();
    acknowledged.insert("during".into(), add(&mut client, "later", "during", "10h").expect("who is served stays so"));
    limit(LIMIT as u64);
    waiting.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut told = String::new();
    waiting.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    check(&place, daemon, &acknowledged);
}

/// The shims that wait for another attempt of their task have descriptors too.
#[test]
fn shims_that_have_no_attempt_keep_none_from_starting() {
    let names: Vec<String> = (0..ATTEMPTS).map(|number| format!("short-{number}")).collect();
    let place = place(&names.iter().map(|name| format!("[task.{name}]\nshell = 'true'\n")).collect::<String>());
    let daemon = launch(&place);
    let mut client = daemon.client();
    for name in &names {
        add(&mut client, name, name, "").expect("it is taken");
        until("it has run", || {
            let job = daemon.jobs(&format!("task={name}")).into_iter().next()?;
            assert!(job["error"].is_null(), "{job}");
            (job["state"] == "completed").then_some(())
        });
    }
    drop(client);
    daemon.stop();
    place.verify();
}

#[test]
fn attempts_that_find_no_descriptor_fail_and_are_tried_again() {
    let place = place(&format!(
        "[task.many]\nconcurrency = {ATTEMPTS}\nattempts = 1000\nbackoff = \"200ms\"\n\
         shell = 'while ! test -e $DIR/go; do sleep 0.1; done'\n"
    ));
    let daemon = launch(&place);
    let mut client = daemon.client();
    let mut acknowledged = BTreeMap::new();
    for number in 0..ATTEMPTS {
        let key = format!("many-{number}");
        let id = add(&mut client, "many", &key, "").expect("it is taken");
        acknowledged.insert(key, id);
    }
    let failed = until("some cannot be started", || {
        daemon.jobs("state=retryable").into_iter().find(|job| job["error"].is_string())
    });
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("too many open files"), "{error}");
    // A connection that has been idle meanwhile may have made room for another.
    let id = add(&mut daemon.client(), "later", "during", "10h").expect("it is taken");
    acknowledged.insert("during".into(), id);
    crate::daemon::touch(&place.path("go"));
    until("all have run", || (daemon.jobs("task=many&state=completed").len() == ATTEMPTS).then_some(()));
    check(&place, daemon, &acknowledged);
}
