//! Answers that go on.

use serde_json::Value;

use crate::support::Served;
use crate::wire::Connection;
use crate::{get, post};

fn open(served: &Served, path: &str) -> Connection {
    let mut connection = Connection::open(&served.socket);
    connection.send(format!("GET {path} HTTP/1.1\r\nhost: d\r\n\r\n").as_bytes());
    let (status, headers) = connection.head();
    assert_eq!(status, 200);
    assert!(headers.contains(&("content-type".to_owned(), "application/x-ndjson".to_owned())));
    connection
}

fn line(connection: &mut Connection) -> Value {
    serde_json::from_slice(&connection.chunk().expect("it goes on")).expect("a line of JSON")
}

#[test]
fn a_job_is_watched_until_it_is_finished() {
    let served = Served::start();
    let mut watching = open(&served, "/v1/jobs/7/watch");
    assert_eq!(line(&mut watching)["state"], "available");
    post(&served, "/v1/jobs/5/cancel", ""); // another one
    post(&served, "/v1/jobs/7/cancel", "");
    assert_eq!(line(&mut watching)["state"], "cancelled");
    assert!(watching.chunk().is_none());
}

#[test]
fn a_finished_job_is_watched_once() {
    let served = Served::start();
    assert_eq!(get(&served, "/v1/jobs/1/watch").lines().len(), 1);
}

#[test]
fn a_watch_ends_with_the_daemon() {
    let served = Served::start();
    let mut watching = open(&served, "/v1/jobs/3/watch");
    line(&mut watching);
    served.fake.close_feed();
    assert!(watching.chunk().is_none());
}

#[test]
fn the_journal_is_followed() {
    let served = Served::start();
    let mut following = open(&served, "/v1/journal?follow=1&limit=1");
    assert_eq!(line(&mut following)["seq"], 11);
    served.fake.pause_backup();
    let paused = line(&mut following);
    assert_eq!((&paused["event"], &paused["task"]), (&Value::from("task_paused"), &Value::from("backup")));
    let mut one = open(&served, "/v1/journal?follow=1&job=7");
    assert_eq!(line(&mut one)["seq"], 11);
    served.fake.pause_backup();
    post(&served, "/v1/jobs/7/cancel", "");
    assert_eq!(line(&mut one)["event"], "job_cancelled");
}

#[test]
fn a_follower_that_is_left_behind_misses_nothing() {
    let served = Served::start();
    let mut following = open(&served, "/v1/journal?follow=1&from=12");
    // More than the feed holds, while nobody reads.
    for _ in 0..5_000 {
        served.fake.pause_backup();
    }
    let mut next = 12;
    let mut rest = Vec::new();
    while next < 5_012 {
        rest.extend_from_slice(&following.chunk().expect("it goes on"));
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let event: Value = serde_json::from_slice(&line).expect("a line of JSON");
            assert_eq!(event["seq"], next);
            next += 1;
        }
    }
}

#[test]
fn a_follow_with_a_first_commit_ends_at_its_limit() {
    let served = Served::start();
    assert_eq!(get(&served, "/v1/journal?follow=1&from=1&limit=3").lines().len(), 3);
}

#[test]
fn what_goes_on_ends_when_the_server_stops() {
    let mut served = Served::start();
    let mut following = open(&served, "/v1/journal?follow=1&from=11");
    let mut watching = open(&served, "/v1/jobs/3/watch");
    assert_eq!(line(&mut following)["seq"], 11);
    line(&mut watching);
    served.fake.pause_backup();
    served.stop();
    assert_eq!(line(&mut following)["seq"], 12);
    assert!(following.chunk().is_none());
    assert!(watching.chunk().is_none());
}
