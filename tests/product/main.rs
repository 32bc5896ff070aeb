//! The product's promises as somebody outside finds them: the built daemon in a folder of its own, asked through the
//! command line and the socket. A module for each area; the folder and the client are those of the crash tests.

#[path = "../crash/client.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod client;
#[path = "../crash/daemon.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod daemon;

mod broken;
mod config;
mod doors;
mod hours;
mod jobs;
mod ledger;
mod orphans;
mod repair;
mod retention;
mod status;
mod tasks;

use std::process::Output;

/// What a verb printed, which must have succeeded.
#[track_caller]
pub fn said(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}
