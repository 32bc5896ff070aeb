//! The daemon's part, played by the test.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use daybook::core::id::JobId;
use daybook::exec::{Identity, Program, Spec};
use daybook::shim::{Ended, Look, Order, RunFile};
use rustix::process::{Pid, Signal};
use std::os::fd::AsFd;

pub const SHIM: &str = env!("CARGO_BIN_EXE_daybook");

pub fn shell(text: &str) -> Spec {
    Spec::new(Program::Shell(text.to_owned()))
}

pub fn command(words: &[&str]) -> Spec {
    Spec::new(Program::Command(words.iter().map(|word| (*word).to_owned()).collect()))
}

/// Looks until there is something to see; fails a test that would hang instead.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "for a minute: not {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Says why a test cannot be run here, which is a failure where all of them are to be.
pub fn skip(why: &str) {
    println!("skipped: {why}");
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "nothing is skipped with CI=true: {why}");
}

/// A folder for the files of one attempt.
pub struct Bench {
    pub folder: tempfile::TempDir,
}

/// A shim that has been started.
pub struct Shim {
    pub child: Child,
    run: PathBuf,
    output: PathBuf,
}

impl Bench {
    pub fn new() -> Bench {
        Bench { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn order(&self, spec: Spec) -> Order {
        let path = OsString::from("/usr/local/bin:/usr/bin:/bin");
        let environment = BTreeMap::from([("PATH".to_owned(), path), ("DAYBOOK_JOB".to_owned(), "1".into())]);
        let output = self.path("output");
        Order { job: JobId(1), attempt: 1, spec, environment, output, cgroup: None, temporary: None, result: None }
    }

    pub fn start(&self, order: &Order) -> Shim {
        let mut command = Command::new(SHIM);
        command.arg("shim").stderr(Stdio::null());
        self.start_as(order, command)
    }

    /// Starts a command that starts the shim with the standard streams which it gets.
    pub fn start_as(&self, order: &Order, mut command: Command) -> Shim {
        let path = self.path("run");
        let run = RunFile::create(&path).unwrap();
        command.stdin(order.hand_over().unwrap()).stdout(run.as_fd().try_clone_to_owned().unwrap());
        let child = command.spawn().unwrap();
        Shim { child, run: path, output: order.output.clone() }
    }

    pub fn run(&self, spec: Spec) -> Ended {
        self.start(&self.order(spec)).ended()
    }

    pub fn output(&self) -> String {
        std::fs::read_to_string(self.path("output")).unwrap_or_default()
    }

    /// Runs a job that must succeed, and answers its output.
    #[track_caller]
    pub fn print(&self, spec: Spec) -> String {
        let ended = self.run(spec);
        assert_eq!(ended.outcome.error(), None, "{ended:?}");
        self.output()
    }
}

impl Shim {
    pub fn look(&self) -> Look {
        RunFile::look(&self.run).unwrap().expect("a run file")
    }

    /// Waits until the shim is gone, and for what it has noted.
    #[track_caller]
    pub fn ended(mut self) -> Ended {
        until("over", || self.child.try_wait().unwrap());
        // A process that another test is just starting may hold the lock until it is another program.
        let look = until("free", || Some(self.look()).filter(|look| !matches!(look, Look::Alive(_))));
        if let Look::Ended(ended) = look { ended } else { panic!("not ended: {look:?}") }
    }

    /// Waits until the job has printed `text`.
    #[track_caller]
    pub fn printed(&mut self, text: &str) {
        until("printed", || {
            assert!(self.child.try_wait().unwrap().is_none(), "over before it printed {text}: {:?}", self.look());
            let output = std::fs::read_to_string(&self.output).unwrap_or_default();
            output.contains(text).then_some(())
        });
    }

    /// The number of the shim, which may be a descendant of what was started.
    pub fn pid(&self) -> u32 {
        until("a shim", || find(self.child.id()))
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_raw(self.pid() as i32).unwrap(), signal).unwrap();
    }
}

fn find(pid: u32) -> Option<u32> {
    if std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim() == "daybook-shim" {
        return Some(pid);
    }
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().find_map(|child| find(child.parse().ok()?))
}

/// Whether a process is there that is not a zombie.
pub fn is_running(pid: u32) -> bool {
    Identity::of(pid).is_ok_and(|identity| identity.is_alive())
}

/// A file of the tests' own.
pub fn job(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shim/jobs").join(name).to_str().unwrap().to_owned()
}
