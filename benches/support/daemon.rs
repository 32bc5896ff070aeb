//! A daemon in a process of its own: this very program, started again with `--daemon`. It runs `daybook::daemon` as
//! the real binary does, with the real handlers or with handlers that are over as soon as they have started.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use daybook::core::command::{self, Ending};
use daybook::core::effect::StartAttempt;
use daybook::core::id::JobId;
use daybook::daemon::{Options, run, run_with_executor};
use daybook::engine::Handle;
use daybook::engine::run::Executor;
use tokio::sync::mpsc;

use super::monotonic;
use crate::batch;

/// What a daemon does with attempts.
#[derive(Clone, Copy, Debug)]
pub enum Handlers {
    /// What the config says.
    Real,
    /// Nothing, which succeeds at once; when each was started is written to the file `starts` at the end. Batches of the
    /// task `clients` are run, by a handler that does nothing.
    Noop,
    /// Nothing, without an end: a started job goes on running.
    Endless,
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    dir: PathBuf,
    /// When it was started, on the monotonic clock.
    pub started: u64,
}

impl Daemon {
    /// Starts a daemon in `dir` with this config (its state folder and socket are added), and waits until it answers.
    pub fn start(dir: &Path, config: &str, handlers: Handlers) -> Daemon {
        let text = format!("state_dir = \"state\"\nsocket = \"socket\"\nlog.level = \"warn\"\n{config}");
        let path = dir.join("daybook.toml");
        fs::write(&path, text).expect("the config can be written");
        let daemon = Daemon::spawn(dir, handlers);
        daemon.wait_until_ready();
        daemon
    }

    /// Starts it with the config that is there, and does not wait.
    pub fn spawn(dir: &Path, handlers: Handlers) -> Daemon {
        let program = std::env::current_exe().expect("this program has a path");
        let log = File::options().create(true).append(true).open(dir.join("log")).expect("the log opens");
        let started = monotonic();
        let child = Command::new(program)
            .arg("--daemon")
            .arg(format!("{handlers:?}").to_lowercase())
            .arg(dir)
            // The folders for temporary files of attempts are on the same disk, or in memory, as all else.
            .env("TMPDIR", std::path::absolute(dir).expect("the folder has a path"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("this program can be started");
        Daemon { child, dir: dir.to_owned(), started }
    }

    pub fn wait_until_ready(&self) {
        let limit = Instant::now() + Duration::from_secs(120);
        while !self.dir.join("ready").exists() {
            let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(Instant::now() < limit && !log.contains("Error:"), "the daemon does not start: {log}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join("socket")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it in good order; when each attempt was started, if its handlers do nothing.
    pub fn stop(mut self) -> Vec<Started> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it lives");
        self.child.wait().expect("it is a child of ours");
        let bytes = fs::read(self.dir.join("starts")).unwrap_or_default();
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let started = bytes.chunks_exact(32).map(|entry| Started {
            job: number(&entry[..8]),
            at: number(&entry[8..16]),
            instant_ms: number(&entry[16..24]) as i64,
            late_us: number(&entry[24..]) as i64,
        });
        started.collect()
    }

    /// Ends it as a crash would.
    pub fn kill(mut self) {
        self.child.kill().expect("it lives");
        self.child.wait().expect("it is a child of ours");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Already ended is as good.
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<_> = self.child.wait();
        let _: std::io::Result<()> = fs::remove_file(self.dir.join("ready"));
    }
}

/// When an attempt was started.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    pub job: u64,
    /// On the monotonic clock.
    pub at: u64,
    /// The instant of its occurrence; 0 for jobs that were added.
    pub instant_ms: i64,
    /// How much later it was started.
    pub late_us: i64,
}

/// Handlers that do nothing.
struct Noop {
    starts: Mutex<Vec<Started>>,
    ends: Option<mpsc::UnboundedSender<command::Command>>,
    /// Made by the first start.
    first: PathBuf,
    engine: Handle,
}

impl Executor for Noop {
    fn start(&self, attempt: StartAttempt) {
        let at = monotonic();
        if *attempt.task == *batch::TASK {
            let (engine, dir) = (self.engine.clone(), self.first.parent().map(Path::to_owned).unwrap_or_default());
            tokio::spawn(async move { batch::beside::handle(engine, attempt, &dir).await });
            return;
        }
        let instant_ms = attempt.occurrence.map_or(0, |occurrence| occurrence.at.0);
        let late_us = wall_us() - instant_ms * 1000;
        let mut starts = self.starts.lock().expect("no start panics");
        if starts.is_empty() {
            fs::write(&self.first, at.to_string()).expect("the bench directory can be written");
        }
        starts.push(Started { job: attempt.job.0, at, instant_ms, late_us });
        if let Some(ends) = &self.ends {
            let (job, attempt) = (attempt.job, attempt.attempt);
            let ending = Ending::Succeeded { result: None, note: None };
            // An engine that is gone takes no more reports.
            let _: Result<(), _> = ends.send(command::Command::ReportEnded { job, attempt, ending });
        }
    }

    fn stop(&self, _job: JobId, _attempt: u32) {}
}

fn wall_us() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    time.tv_sec * 1_000_000 + time.tv_nsec / 1000
}

async fn forward(mut ends: mpsc::UnboundedReceiver<command::Command>, engine: Handle) {
    while let Some(command) = ends.recv().await {
        if engine.tell(command).await.is_err() {
            break;
        }
    }
}

/// What this program does when it is started as a daemon.
pub fn main(handlers: &str, dir: &Path) {
    let options = Options { config: dir.join("daybook.toml"), state_dir: None, socket: None };
    let ready = |_: &daybook::config::Config| fs::write(dir.join("ready"), "").expect("the folder can be written");
    let noop = Arc::new(Mutex::new(None));
    let executor = |engine: Handle| -> Arc<dyn Executor> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let ends = (handlers == "noop").then_some(sender);
        tokio::spawn(forward(receiver, engine.clone()));
        let made = Arc::new(Noop { starts: Mutex::default(), ends, first: dir.join("first"), engine });
        *noop.lock().expect("nobody panics") = Some(made.clone());
        made
    };
    let ended = match handlers {
        "real" => run(&options, ready),
        _ => run_with_executor(&options, executor, ready),
    };
    if let Err(error) = ended {
        eprintln!("Error: {error}");
        std::process::exit(1);
    }
    if let Some(noop) = noop.lock().expect("nobody panics").take() {
        let starts = noop.starts.lock().expect("no start panics");
        let numbers = starts.iter().flat_map(|one| [one.job, one.at, one.instant_ms as u64, one.late_us as u64]);
        let bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        fs::write(dir.join("starts"), bytes).expect("the folder can be written");
    }
}

/// When the first attempt was started, on the monotonic clock; waits for it.
pub fn first_start(dir: &Path) -> u64 {
    let limit = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(at) = fs::read_to_string(dir.join("first")).ok().and_then(|text| text.parse().ok()) {
            return at;
        }
        assert!(Instant::now() < limit, "no attempt was started");
        std::thread::sleep(Duration::from_millis(1));
    }
}
