//! Jobs that do what they can to be overlooked, ended in every way there is: with a cgroup, and by the sweep alone.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use daybook::exec::Outcome;
use daybook::shim::{Ended, Stragglers};
use rustix::process::Signal;

use crate::bench::{Bench, SHIM, command, job, skip};

/// Processes of one namespace.
const PIDS_MAX: u32 = 600;

/// How an attempt comes to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    ByItself,
    TimeOut,
    Cancel,
}

/// A pid namespace for one attempt, with a limit on processes and with a place for cgroups, where there are such.
pub struct Namespace {
    /// A cgroup of version 2 that has `home`, for the shim, and is to have `job`.
    pub cgroup: Option<PathBuf>,
    /// One that limits processes: the same, or one of version 1.
    pids: Option<PathBuf>,
    /// Words before the shim's own.
    pub wrapper: Vec<String>,
}

impl Namespace {
    pub fn new(with_cgroup: bool) -> Namespace {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let make = |folder: PathBuf| {
            let folder = folder.join(format!("daybook-test-{}-{number}", std::process::id()));
            std::fs::create_dir(&folder).is_ok().then_some(folder)
        };
        let is_root = rustix::process::geteuid().is_root();
        let cgroup = unified().filter(|_| is_root && with_cgroup).and_then(make);
        let cgroup = cgroup.filter(|cgroup| std::fs::create_dir(cgroup.join("home")).is_ok());
        let old = PathBuf::from("/sys/fs/cgroup/pids");
        let pids = Some(old).filter(|old| is_root && old.join("cgroup.procs").exists()).and_then(make);
        for limited in pids.iter().chain(&cgroup) {
            // Not there if nobody has turned the controller on. The jobs have bounds of their own besides.
            let _: Result<_, _> = std::fs::write(limited.join("pids.max"), PIDS_MAX.to_string());
        }
        Namespace { cgroup, pids, wrapper: Vec::new() }
    }

    /// The command that becomes a shim in here; none, with the reason, where that is impossible.
    fn command(&self) -> Option<Command> {
        let mut unshare = vec!["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
        if !rustix::process::geteuid().is_root() {
            unshare.extend(["--user", "--map-root-user"]);
        }
        let tried = Command::new(unshare[0]).args(&unshare[1..]).arg("true").output();
        if !tried.as_ref().is_ok_and(|tried| tried.status.success()) {
            skip(&format!("no pid namespace can be made: {tried:?}"));
            return None;
        }
        let mut command = Command::new(unshare[0]);
        command.args(&unshare[1..]).arg("sh").arg(job("namespace.sh")).args(&self.wrapper).args([SHIM, "shim"]);
        if let Some(cgroup) = &self.cgroup {
            command.env("HOME_CGROUP", cgroup.join("home"));
        }
        command.envs(self.pids.iter().map(|pids| ("PIDS", pids)));
        command.stderr(Stdio::piped());
        Some(command)
    }

    /// Runs a job to its end; answers what was noted, and the processes that were left, none of whom is there any more.
    #[track_caller]
    pub fn run(&self, bench: &Bench, words: &[&str], end: End, leave: bool) -> Option<(Ended, Vec<String>)> {
        let mut spec = command(words);
        spec.grace = Duration::from_millis(200);
        spec.leave_background = leave;
        spec.timeout = (end == End::TimeOut).then_some(Duration::from_millis(700));
        let mut order = bench.order(spec);
        order.cgroup = self.cgroup.as_ref().map(|cgroup| cgroup.join("job"));
        let mut shim = bench.start_as(&order, self.command()?);
        if end == End::Cancel {
            shim.printed("ready");
            shim.signal(Signal::USR1);
        }
        let mut told = String::new();
        shim.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert!(told.contains("code 0\n"), "{told}");
        let left = told.lines().filter_map(|line| line.strip_prefix("left ")).map(str::to_owned).collect();
        Some((shim.ended(), left))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for folder in self.cgroup.iter().flat_map(|cgroup| [cgroup.join("job"), cgroup.join("home")]) {
            let _: Result<_, _> = std::fs::remove_dir(folder);
        }
        for folder in self.pids.iter().chain(&self.cgroup) {
            let _: Result<_, _> = std::fs::remove_dir(folder);
        }
    }
}

/// The cgroup of version 2 that this process is in.
fn unified() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?.split(' ').nth(1)?;
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    Some(PathBuf::from(mount).join(own.lines().find_map(|line| line.strip_prefix("0::/"))?))
}

/// `stragglers_min` is how many are surely seen after a normal end.
#[track_caller]
fn nothing_is_left(file: &str, stragglers_min: u32) {
    let interpreter = if file.ends_with(".pl") { "perl" } else { "sh" };
    for with_cgroup in [true, false] {
        for end in [End::ByItself, End::TimeOut, End::Cancel] {
            let namespace = Namespace::new(with_cgroup);
            if with_cgroup && namespace.cgroup.is_none() {
                println!("no cgroup of version 2 can be made here: {file} is ended by the sweep alone");
                continue;
            }
            let bench = Bench::new();
            let mode = if end == End::ByItself { "end" } else { "stay" };
            let Some((ended, left)) = namespace.run(&bench, &[interpreter, &job(file), mode], end, false) else {
                return;
            };
            let what = format!("{file}, {end:?}, with a cgroup: {with_cgroup}: {ended:?}");
            assert_eq!(left, Vec::<String>::new(), "{what}");
            assert_eq!((ended.stragglers.left, &ended.notes), (0, &Vec::new()), "{what}");
            let is_expected = match end {
                End::ByItself => {
                    assert!(ended.stragglers.count >= stragglers_min, "{what}");
                    matches!(ended.outcome, Outcome::Succeeded { exit_code: 0 })
                }
                End::TimeOut => matches!(ended.outcome, Outcome::TimedOut { .. }),
                End::Cancel => matches!(ended.outcome, Outcome::Cancelled),
            };
            assert!(is_expected, "{what}");
            if let Some(cgroup) = &namespace.cgroup {
                assert!(!cgroup.join("job").exists(), "{what}");
            }
        }
    }
}

#[test]
fn double_fork() {
    nothing_is_left("double_fork.pl", 1);
}

#[test]
fn setsid() {
    nothing_is_left("setsid.sh", 1);
}

#[test]
fn empty_environment() {
    nothing_is_left("empty_environment.sh", 1);
}

#[test]
fn parent_gone() {
    nothing_is_left("parent_gone.sh", 1);
}

#[test]
fn ignores_term() {
    nothing_is_left("ignores_term.sh", 1);
}

#[test]
fn holds_stdout() {
    nothing_is_left("holds_stdout.sh", 1);
}

#[test]
fn chameleon() {
    nothing_is_left("chameleon.pl", 0);
}

#[test]
fn spray() {
    nothing_is_left("spray.pl", 1);
}

/// What the others rely on: who escapes is seen. And what is left on purpose is named.
#[test]
fn who_is_left_is_seen() {
    let (namespace, bench) = (Namespace::new(false), Bench::new());
    let words = ["sh", &job("setsid.sh"), "end"];
    let Some((ended, left)) = namespace.run(&bench, &words, End::ByItself, true) else { return };
    assert_eq!(left.len(), 1, "{left:?}");
    let expected = Stragglers { count: 1, names: vec!["sleep".to_owned()], left: 1 };
    assert_eq!(ended.stragglers, expected);
}
