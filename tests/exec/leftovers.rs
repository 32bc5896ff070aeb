//! What a daemon that died has left running is found and ended, and nobody else is.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use daybook::core::id::JobId;
use daybook::exec::{Identity, Leftover};

use crate::bench::{is_running, soon};

const JOB: JobId = JobId(12);
const GRACE: Duration = Duration::from_secs(3600);

/// A process group that was not started through `Processes`, as after a restart.
struct Orphan {
    child: Child,
    identity: Identity,
    output: BufReader<std::process::ChildStdout>,
}

fn orphan(script: &str, attempt: u32) -> Orphan {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).env("DAYBOOK_JOB", JOB.to_string()).env("DAYBOOK_ATTEMPT", attempt.to_string());
    let mut child = command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let identity = Identity::of(child.id()).unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    Orphan { child, identity, output }
}

impl Orphan {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Proves that it lives, by having it answer, then ends it.
    fn assert_untouched(mut self) {
        writeln!(self.child.stdin.as_ref().unwrap(), "hello").unwrap();
        assert_eq!(self.line(), "hello");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_living_leader_is_ended_with_its_group() {
    let mut orphan = orphan("sleep 1000 & echo $!; wait", 1);
    let second: u32 = orphan.line().parse().unwrap();
    assert!(orphan.identity.is_alive());
    let leftover = soon(orphan.identity.end_group(JOB, 1, GRACE)).await;
    assert_eq!(leftover, Leftover::Ended { processes: 2 });
    assert!(!orphan.identity.is_alive() && !is_running(second));
    orphan.child.wait().unwrap();
    assert_eq!(soon(orphan.identity.end_group(JOB, 1, GRACE)).await, Leftover::Gone);
}

#[tokio::test]
async fn what_ignores_term_is_killed() {
    let mut orphan = orphan("trap '' TERM; echo ready; sleep 1000; sleep 1000", 1);
    assert_eq!(orphan.line(), "ready");
    let leftover = soon(orphan.identity.end_group(JOB, 1, Duration::from_millis(1))).await;
    assert!(matches!(leftover, Leftover::Ended { .. }), "{leftover:?}");
    assert!(!orphan.identity.is_alive());
    orphan.child.wait().unwrap();
}

#[tokio::test]
async fn a_dead_leader_is_represented_by_whoever_has_its_environment() {
    let mut orphan = orphan("sleep 1000 & echo $!", 1);
    let second: u32 = orphan.line().parse().unwrap();
    orphan.child.wait().unwrap();
    assert!(!orphan.identity.is_alive() && is_running(second));
    assert_eq!(soon(orphan.identity.end_group(JOB, 2, GRACE)).await, Leftover::Gone, "another attempt's");
    assert_eq!(soon(orphan.identity.end_group(JobId(1), 1, GRACE)).await, Leftover::Gone, "another job's");
    assert!(is_running(second));
    assert_eq!(soon(orphan.identity.end_group(JOB, 1, GRACE)).await, Leftover::Ended { processes: 1 });
    assert!(!is_running(second));
}

#[tokio::test]
async fn without_proof_nobody_is_signalled() {
    let mut orphan = orphan("env -i sleep 1000 & echo $!", 1);
    let second: u32 = orphan.line().parse().unwrap();
    orphan.child.wait().unwrap();
    // Until `env` has become `sleep`, it still has the environment that it was started with.
    while !std::fs::read(format!("/proc/{second}/cmdline")).unwrap().starts_with(b"sleep\0") {
        tokio::task::yield_now().await;
    }
    assert_eq!(soon(orphan.identity.end_group(JOB, 1, GRACE)).await, Leftover::Gone);
    assert!(is_running(second));
    let group = rustix::process::Pid::from_raw(orphan.identity.pid as i32).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_reused_number_is_not_signalled() {
    let later = orphan("cat", 1);
    // The same number, and even the same job and attempt in its environment, but started at another time.
    let earlier = Identity { start_time: later.identity.start_time - 1, ..later.identity };
    assert_eq!(soon(earlier.end_group(JOB, 1, Duration::ZERO)).await, Leftover::Gone);
    later.assert_untouched();
}

#[tokio::test]
async fn after_another_boot_nobody_is_signalled() {
    let later = orphan("cat", 1);
    let earlier = Identity { boot_id: later.identity.boot_id ^ 1, ..later.identity };
    assert_eq!(soon(earlier.end_group(JOB, 1, Duration::ZERO)).await, Leftover::Gone);
    later.assert_untouched();
}
