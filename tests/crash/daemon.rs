//! A folder with a config, and the daemon on it: started, waited for, killed, started again. Whatever happens to
//! a test, nothing of it is left running.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use daybook::shim::{Look, RunFile};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::client::{Answer, Client};

/// How long a test waits for a condition. Only a test that fails takes that long.
const DEADLINE: Duration = Duration::from_secs(90);

/// Waits until `look` finds something.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A temporary folder with the config of a daemon, its socket and its state.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// `config` is the tasks; top-level keys go into `top`.
    pub fn with_top(top: &str, config: &str) -> Place {
        let place = Place { dir: tempfile::tempdir().unwrap() };
        place.configure(top, config);
        place
    }

    pub fn new(config: &str) -> Place {
        Place::with_top("", config)
    }

    /// With a task `endless`, a worker that never ends by itself, and `more` of them.
    pub fn endless(top: &str, more: &str) -> Place {
        let endless = "[databases.app]\nurl = \"sqlite://$DIR/app.db\"\n[task.endless]\ndatabase = \"app\"\n\
            sql = \"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n\"\n";
        let place = Place::with_top(top, &format!("{more}{endless}"));
        touch(&place.path("app.db")); // no file is ever made
        place
    }

    /// Writes the config; `$DIR` in it is the folder.
    pub fn configure(&self, top: &str, config: &str) {
        let head = "state_dir = \"state\"\nsocket = \"control.sock\"\n";
        let text = format!("{head}{top}\n[repair]\nevery = \"1h\"\n{config}");
        fs::write(self.config_file(), text.replace("$DIR", &self.dir().to_string_lossy())).unwrap();
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub fn config_file(&self) -> PathBuf {
        self.path("daybook.toml")
    }

    pub fn socket(&self) -> PathBuf {
        self.path("control.sock")
    }

    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// What all daemons here have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The text of a file that jobs write; empty while there is none.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn spawn(&self, mut command: Command) -> Daemon<'_> {
        let log = || OpenOptions::new().create(true).append(true).open(self.path("log")).map(Stdio::from).unwrap();
        command.stdin(Stdio::null()).stdout(log()).stderr(log()).process_group(0);
        Daemon { child: command.spawn().unwrap(), place: self }
    }

    /// A daemon that has just been started and may not answer yet.
    pub fn launch(&self) -> Daemon<'_> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_daybook"));
        command.arg("daemon").arg("--config").arg(self.config_file());
        self.spawn(command)
    }

    /// The same through a shell that first runs `before`, to set a limit.
    pub fn launch_limited(&self, before: &str) -> Daemon<'_> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{before}; exec \"$0\" daemon --config \"$1\"")]);
        command.arg(env!("CARGO_BIN_EXE_daybook")).arg(self.config_file());
        self.spawn(command)
    }

    /// A daemon that answers.
    #[track_caller]
    pub fn start(&self) -> Daemon<'_> {
        let mut daemon = self.launch();
        daemon.wait_ready();
        daemon
    }

    /// Starts a daemon that is expected not to come up: its exit code and what it said.
    #[track_caller]
    pub fn start_refused(&self) -> (i32, String) {
        let said_before = self.log().len();
        let status = self.launch().wait_exit();
        (status.code().unwrap_or(-1), self.log()[said_before..].to_owned())
    }

    /// Runs another verb of the command line.
    pub fn cli<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_daybook"));
        command.arg("--config").arg(self.config_file()).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// `daybook journal verify` finds nothing wrong, with or without a daemon.
    #[track_caller]
    pub fn verify(&self) {
        let output = self.cli(["journal", "verify", "--json"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
        let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&verified["ok"], &verified["problems"]), (&json!(true), &json!([])));
    }

    /// The generations of the journal, oldest first.
    pub fn generations(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.state().join("journal")).unwrap().map(|entry| entry.unwrap().path());
        let mut found: Vec<_> = entries.filter(|path| path.is_dir()).collect();
        found.sort();
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the daemon in {}:\n{}", self.dir().display(), self.log());
        }
        // Shims that a killed daemon has left, and their jobs, which know their socket.
        for pid in self.shims().into_iter().chain(self.job_processes()) {
            let _: Result<(), _> = kill_process(pid, Signal::KILL);
        }
    }
}

impl Place {
    /// Processes of jobs of this place.
    pub fn job_processes(&self) -> Vec<Pid> {
        let variable = format!("DAYBOOK_SOCKET={}", self.socket().display());
        let is_ours = |pid: &i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
        };
        pids().filter(is_ours).filter_map(Pid::from_raw).collect()
    }

    /// The shims of attempts of this place: those who have a run file open, and are not the daemon.
    pub fn shims(&self) -> Vec<Pid> {
        let state = fs::canonicalize(self.state()).unwrap_or_else(|_| self.state());
        let (runs, lock) = (state.join("runs"), state.join("lock"));
        let is_ours = |pid: &i32| {
            let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            let open: Vec<PathBuf> = entries.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
            open.iter().any(|path| path.starts_with(&runs)) && !open.contains(&lock)
        };
        pids().filter(is_ours).filter_map(Pid::from_raw).collect()
    }
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
}

/// A running daemon. Dropping it kills it.
pub struct Daemon<'a> {
    child: Child,
    pub place: &'a Place,
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // It may be gone already.
        let _: Result<(), _> = self.child.kill();
        let _: Result<ExitStatus, _> = self.child.wait();
    }
}

impl Daemon<'_> {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it answers that it is well.
    #[track_caller]
    pub fn wait_ready(&mut self) {
        until("the daemon answers", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the daemon has ended instead of answering: {status}");
            }
            self.answers().then_some(())
        });
    }

    /// Whether it answers that it is well.
    pub fn answers(&self) -> bool {
        let ask = || Client::connect(&self.place.socket())?.send("GET", "/healthz", "application/json", "");
        ask().is_ok_and(|answer| answer.status == 200)
    }

    /// Once it has ended, its exit code; -1 for a signal.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }

    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        until("the daemon ends", || self.child.try_wait().unwrap())
    }

    /// Whether it still runs.
    pub fn is_up(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGKILL, and it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGKILL for it and for all its shims: nobody knows how its attempts end.
    pub fn kill_with_shims(self) {
        let place = self.place;
        // One whose shim has not begun would be started by the next daemon, as nothing of it is lost.
        until("what runs has a shim that has begun", || {
            let runs = fs::read_dir(place.state().join("runs")).unwrap().flatten();
            let looks: Vec<_> = runs.filter_map(|file| RunFile::look(&file.path()).ok().flatten()).collect();
            let all_begun = !looks.iter().any(|look| matches!(look, Look::Alive(None) | Look::NeverStarted));
            let none_runs = || self.get("/v1/status")["jobs"]["running"] == 0;
            (all_begun && (!looks.is_empty() || none_runs())).then_some(())
        });
        self.kill();
        for pid in place.shims() {
            // It may have ended by itself.
            let _: Result<(), _> = kill_process(pid, Signal::KILL);
        }
        until("the shims are gone", || place.shims().is_empty().then_some(()));
    }

    /// SIGTERM, and it ends well.
    #[track_caller]
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait_exit();
        assert!(status.success(), "{status}");
    }

    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(&self.place.socket()).unwrap()
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.client().send(method, path, "application/json", body).unwrap()
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.send("POST", path, &body.to_string());
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.text());
        answer.json()
    }

    /// Adds a job and answers its number.
    #[track_caller]
    pub fn add(&self, body: Value) -> u64 {
        self.post("/v1/jobs", body)["id"].as_u64().unwrap()
    }

    #[track_caller]
    pub fn job(&self, job: u64) -> Value {
        self.get(&format!("/v1/jobs/{job}"))
    }

    #[track_caller]
    pub fn state(&self, job: u64) -> String {
        self.job(job)["state"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn why(&self, job: u64) -> String {
        self.get(&format!("/v1/jobs/{job}/why"))["why"].as_str().unwrap().to_owned()
    }

    /// Waits until the job is in this state, and answers the job.
    #[track_caller]
    pub fn wait_state(&self, job: u64, state: &str) -> Value {
        until(&format!("job {job} is {state}"), || Some(self.job(job)).filter(|view| view["state"] == state))
    }

    /// All jobs that match, newest first; `filter` is a query.
    #[track_caller]
    pub fn jobs(&self, filter: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.get(&format!("/v1/jobs?limit=5000&{filter}{after}"));
            let page = page.as_array().unwrap();
            let Some(last) = page.last() else { return all };
            after = format!("&after={}", last["id"]);
            all.extend(page.iter().cloned());
        }
    }

    /// All decided occurrences of a task, newest first.
    #[track_caller]
    pub fn occurrences(&self, task: &str) -> Vec<Value> {
        self.get(&format!("/v1/tasks/{task}/occurrences?limit=10000")).as_array().unwrap().clone()
    }
}

/// Text that does not compress to less than half, another one for each seed.
pub fn noise(seed: u64, length: usize) -> String {
    let mut word = seed;
    let step = |_| {
        word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        char::from(b"0123456789abcdef"[(word >> 60) as usize])
    };
    (0..length).map(step).collect()
}

/// Makes a file that jobs wait for.
pub fn touch(path: &Path) {
    File::create(path).unwrap();
}
