//! Statements that are ended before they are done: nothing half done, and nothing left running on the server.

use serde_json::json;

use crate::base::Base;
use crate::daemon::{Daemon, until};
use crate::on_each_database;

on_each_database!(
    a_time_out_ends_the_statement,
    a_cancel_ends_the_statement,
    a_stopped_daemon_leaves_the_job_to_the_next_one,
    a_killed_daemon_leaves_nothing_half_done,
);

fn task(base: &Base, more: &str) -> String {
    format!("[task.a]\ndatabase = \"app\"\nsql = [\"update counter set n = n + 1\", \"{}\"]\n{more}", base.gated())
}

/// Adds a job and waits until it is in its second statement.
fn in_the_middle(base: &Base, daemon: &Daemon<'_>) -> u64 {
    let job = daemon.add(json!({ "task": "a" }));
    until("the second statement runs", || {
        let view = daemon.job(job);
        let message = view["progress"]["message"].as_str().unwrap_or_default().to_owned();
        (message.starts_with("statement 2 of 2") && base.running() > 0).then_some(())
    });
    job
}

#[track_caller]
fn nothing_is_left(base: &Base) {
    until("no statement runs", || (base.running() == 0).then_some(()));
    assert_eq!(base.number("SELECT n FROM counter"), 0);
}

fn a_time_out_ends_the_statement(base: &Base) {
    base.with_gate();
    let place = base.place(&task(base, "timeout = \"1s\"\nattempts = 1"));
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "a" }));
    let view = daemon.wait_state(job, "discarded");
    assert!(view["error"].as_str().unwrap().contains("timed out after 1s"), "{view}");
    nothing_is_left(base);
}

fn a_cancel_ends_the_statement(base: &Base) {
    base.with_gate();
    let place = base.place(&task(base, ""));
    let daemon = place.start();
    let job = in_the_middle(base, &daemon);
    daemon.post(&format!("/v1/jobs/{job}/cancel"), json!({}));
    daemon.wait_state(job, "cancelled");
    nothing_is_left(base);
}

fn a_stopped_daemon_leaves_the_job_to_the_next_one(base: &Base) {
    base.with_gate();
    let place = base.place(&task(base, ""));
    place.configure("stop_timeout = \"0s\"", &base.config(&task(base, "")));
    let daemon = place.start();
    let job = in_the_middle(base, &daemon);
    daemon.stop();
    nothing_is_left(base);
    base.open_gate();
    let daemon = place.start();
    daemon.wait_state(job, "completed");
    assert_eq!(base.number("SELECT n FROM counter"), 1);
}

fn a_killed_daemon_leaves_nothing_half_done(base: &Base) {
    base.with_gate();
    let place = base.place(&task(base, ""));
    let daemon = place.start();
    let job = in_the_middle(base, &daemon);
    daemon.kill();
    base.end_orphan();
    nothing_is_left(base);
    base.open_gate();
    let daemon = place.start();
    let view = daemon.wait_state(job, "completed");
    assert_eq!(view["result"]["statements"][0], 1);
    assert_eq!(base.number("SELECT n FROM counter"), 1);
    daemon.stop();
    place.verify();
}
