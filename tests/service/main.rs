//! The built daemon as a service: what it tells a service manager, the socket it is handed, what it logs, the shipped
//! units, and all of it together on a machine of its own with a real systemd.
//!
//! The units are judged by `systemd-analyze`; where systemd is not installed, it is installed by apt. The machine is a
//! set of namespaces with a file system over this one's: that takes root and cgroup v2. What cannot run says so and passes;
//! with `CI=true` it fails instead.

// Starting, stopping and talking is the same as in the crash tests, which use all of it.
#[path = "../crash/client.rs"]
#[allow(dead_code, reason = "the crash tests use the rest")]
mod client;
#[path = "../crash/daemon.rs"]
#[allow(dead_code, reason = "the crash tests use the rest")]
mod daemon;

mod boot;
mod handed;
mod logs;
mod machine;
mod manager;
mod notify;
mod outlive;
mod stuck;
mod units;

/// Says that a test did not run, and why; under CI that is a failure.
fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "cannot run, which under CI is a failure: {why}");
    // Not by a macro, which would be captured: a test that passes without having run is to be seen.
    let _: std::io::Result<()> =
        std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED, nothing is tested: {why}\n").as_bytes());
}
