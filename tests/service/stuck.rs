//! An engine that hangs starves the watchdog, though the rest of the process lives.
//!
//! The daemon is this test program, started once more: its executor never returns, and it is called by the engine.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use daybook::core::effect::StartAttempt;
use daybook::core::id::JobId;
use daybook::daemon::{Options, run_with_executor};
use daybook::engine::run::Executor;

use crate::daemon::{Place, until};
use crate::manager::Manager;

/// Where the child finds its config and says that it hangs.
const FOLDER: &str = "DAYBOOK_TEST_STUCK";

struct Stuck(PathBuf);

impl Executor for Stuck {
    fn start(&self, _: StartAttempt) {
        std::fs::write(&self.0, "").unwrap();
        loop {
            std::thread::park();
        }
    }

    fn stop(&self, _: JobId, _: u32) {}
}

/// Not a test: the daemon of the one below.
#[test]
#[ignore = "it is started by the test below and does nothing by itself"]
fn a_daemon_that_gets_stuck() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let options = Options { config: folder.join("daybook.toml"), state_dir: None, socket: None };
    run_with_executor(&options, |_| Arc::new(Stuck(folder.join("stuck"))), |_| {}).unwrap();
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may be gone already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_stuck_engine_starves_the_watchdog() {
    let place = Place::new("[task.a]\nshell = 'true'\n");
    let manager = Manager::new(place.dir());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "stuck::a_daemon_that_gets_stuck", "--ignored"]).env(FOLDER, place.dir());
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "100000");
    let _daemon = Killed(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    manager.until(|line| line == "READY=1");
    manager.until(|line| line == "WATCHDOG=1");
    let mut client = UnixStream::connect(place.socket()).unwrap();
    // Nobody waits for the answer: jobs are started before it is let out.
    let body = r#"{"task": "a"}"#;
    let head = format!("POST /v1/jobs HTTP/1.1\r\nhost: daybook\r\ncontent-length: {}\r\n\r\n", body.len());
    client.write_all(format!("{head}{body}").as_bytes()).unwrap();
    until("the engine is stuck", || place.path("stuck").exists().then_some(()));
    // What was on its way may still come; then there is silence for far longer than the watchdog waits.
    let mut fed = 0;
    while let Some(message) = manager.next_within(Duration::from_secs(2)) {
        fed += usize::from(message.iter().any(|line| line == "WATCHDOG=1"));
        assert!(fed < 10, "a stuck engine feeds the watchdog");
    }
}
