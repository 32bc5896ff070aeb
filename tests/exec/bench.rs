//! Processes with a folder of their own, and the few calls that the tests are made of.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daybook::core::id::JobId;
use daybook::exec::{Ended, Follow, Identity, Outputs, Place, Processes, Program, Report, Spec, Start};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Where the job of a test is to reach the daemon.
pub const SOCKET: &str = "/run/daybook-test.sock";

/// The one job of a test.
pub const JOB: JobId = JobId(4711);

pub struct Bench {
    pub folder: tempfile::TempDir,
    pub outputs: Outputs,
    pub processes: Processes,
    pub reports: UnboundedReceiver<Report>,
}

/// Fails a test that would hang instead.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("nothing happened for a minute")
}

pub fn shell(text: &str) -> Spec {
    Spec::new(Program::Shell(text.to_owned()))
}

pub fn command(words: &[&str]) -> Spec {
    Spec::new(Program::Command(words.iter().map(|word| (*word).to_owned()).collect()))
}

pub fn start(spec: Spec) -> Start {
    let about = Default::default();
    let spec = Arc::new(spec);
    Start { job: JOB, attempt: 1, task: "test".into(), args: "{}".into(), scheduled_at: None, spec, about }
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with(env!("CARGO_BIN_EXE_daybook").into(), None)
    }

    /// With a program in the place of the shim, and a folder for cgroups.
    pub fn with(shim: PathBuf, cgroups: Option<PathBuf>) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let outputs = Outputs::new(folder.path().join("outputs")).unwrap();
        let (sender, reports) = unbounded_channel();
        let place =
            Place { outputs: outputs.clone(), socket: SOCKET.into(), runs: folder.path().join("runs"), shim, cgroups };
        let processes = Processes::new(place, sender).unwrap();
        Bench { folder, outputs, processes, reports }
    }

    /// A file in the test's own folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Starts and waits for the end.
    pub async fn run(&mut self, spec: Spec) -> Ended {
        self.processes.start(start(spec));
        self.ended().await
    }

    /// Starts, and waits until the job has printed `ready`.
    pub async fn ready(&mut self, spec: Spec) -> (Identity, Follow) {
        self.processes.start(start(spec));
        let Report::Spawned { identity, .. } = self.report().await else { panic!("not spawned") };
        let mut follow = self.outputs.follow(JOB, 1, 0);
        let mut text = String::new();
        while !text.contains("ready") {
            let bytes = soon(follow.next()).await.unwrap().expect("the job ended before it was ready");
            text.push_str(&String::from_utf8(bytes).unwrap());
        }
        (identity, follow)
    }

    pub async fn report(&mut self) -> Report {
        soon(self.reports.recv()).await.unwrap()
    }

    /// Waits for the end, and for the idleness that follows from it.
    pub async fn ended(&mut self) -> Ended {
        loop {
            if let Report::Ended(ended) = self.report().await {
                soon(self.processes.wait_idle()).await;
                assert_eq!(self.processes.count(), 0);
                return ended;
            }
        }
    }

    /// All that the job has printed.
    pub async fn output(&self) -> String {
        let mut follow = self.outputs.follow(JOB, 1, 0);
        let mut all = Vec::new();
        while let Some(bytes) = soon(follow.next()).await.unwrap() {
            all.extend(bytes);
        }
        String::from_utf8(all).unwrap()
    }

    /// Runs a job that must succeed, and answers its output.
    pub async fn print(&mut self, spec: Spec) -> String {
        let ended = self.run(spec).await;
        assert_eq!(ended.outcome.error(), None, "{ended:?}");
        self.output().await
    }
}

/// Whether a process is there that is not a zombie.
pub fn is_running(pid: u32) -> bool {
    Identity::of(pid).is_ok_and(|identity| identity.is_alive())
}
