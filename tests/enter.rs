//! `daybook shim enter`: a process that makes itself into what a job is to be, told by the protocol of the shim.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use daybook::core::codec;
use daybook::core::id::JobId;
use daybook::exec::{Program, Spec};
use daybook::shim::{Io, IoClass, Limit, Order, Stdin, User};

/// A number that no user has.
const UID: u32 = 54_321;
const GID: u32 = 54_322;

/// What only root can do. With `CI` in the environment the tests must be run by root.
fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        assert!(std::env::var_os("CI").is_none(), "{test} needs root");
        eprintln!("skipped: {test} needs root, because only root can start a job as another user");
    }
    root
}

fn shell(text: &str) -> Spec {
    Spec { cwd: Some("/".into()), ..Spec::new(Program::Shell(text.into())) }
}

fn as_user(spec: Spec) -> Spec {
    Spec { user: Some(User { uid: UID, gid: GID, groups: vec![GID, 7_000, 7_001] }), ..spec }
}

struct Answer {
    /// Why it has not become the job.
    why: String,
    output: String,
    code: Option<i32>,
}

/// Runs a job as the shim does.
fn enter(spec: Spec) -> Answer {
    let environment = [("PATH", "/usr/bin:/bin"), ("DAYBOOK_ARGS", "{\"a\":1}")];
    let order = Order {
        job: JobId(7),
        attempt: 1,
        spec,
        environment: environment.map(|(name, value)| (name.to_owned(), value.into())).into(),
        output: "/nowhere".into(),
        cgroup: None,
        temporary: None,
        result: None,
    };
    let mut bytes = Vec::new();
    codec::put(&order, &mut bytes).unwrap();
    enter_with(&bytes)
}

fn enter_with(order: &[u8]) -> Answer {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_daybook"));
    command.args(["shim", "enter"]).stdin(Stdio::from(OwnedFd::from(theirs)));
    command.stderr(writer.try_clone().unwrap()).stdout(writer);
    let mut child = command.spawn().unwrap();
    drop(command);
    ours.write_all(order).unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    let (mut why, mut output) = (String::new(), String::new());
    ours.read_to_string(&mut why).unwrap();
    reader.read_to_string(&mut output).unwrap();
    Answer { why, output, code: child.wait().unwrap().code() }
}

#[track_caller]
fn prints(spec: Spec, expected: &str) {
    let Answer { why, output, code } = enter(spec);
    assert_eq!((why.as_str(), output.trim_end(), code), ("", expected, Some(0)));
}

#[track_caller]
fn refuses(spec: Spec, expected: &str) {
    let Answer { why, output, code } = enter(spec);
    assert_eq!((why.as_str(), output.as_str(), code), (expected, "", Some(1)));
}

/// The lines of /proc/self/status that begin with one of these words.
fn status(words: &str) -> Spec {
    Spec::new(Program::Command(["grep", "-E", words, "/proc/self/status"].map(str::to_owned).to_vec()))
}

#[test]
fn a_job_is_its_user_and_nothing_of_root_is_left() {
    if !is_root("a_job_is_its_user_and_nothing_of_root_is_left") {
        return;
    }
    prints(as_user(shell("id -u; id -g; id -G")), &format!("{UID}\n{GID}\n{GID} 7000 7001"));
    let none = "0000000000000000";
    prints(
        as_user(status("^(Uid|Gid|CapPrm|CapEff|CapAmb):")),
        &format!(
            "Uid:\t{UID}\t{UID}\t{UID}\t{UID}\nGid:\t{GID}\t{GID}\t{GID}\t{GID}\nCapPrm:\t{none}\nCapEff:\t{none}\nCapAmb:\t{none}"
        ),
    );
    let none = Spec { user: Some(User { uid: UID, gid: GID, groups: Vec::new() }), ..shell("id -G") };
    prints(none, &GID.to_string());
    let Answer { output, code, .. } = enter(as_user(shell("cat /etc/shadow; kill -0 1")));
    assert!(code != Some(0) && output.contains("denied"), "{output}");
}

#[test]
fn a_job_of_a_user_can_open_its_own_output_by_name() {
    if !is_root("a_job_of_a_user_can_open_its_own_output_by_name") {
        return;
    }
    prints(as_user(shell("echo a > /dev/stdout; echo b > /dev/stderr")), "a\nb");
}

#[test]
fn signals_and_descriptors_are_those_of_a_fresh_process() {
    // Whoever runs the tests may ignore signals and leave files open. SIGPIPE is what we ignore ourselves.
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    // 32 and 33 are the C library's, which has them ignored in whatever it spawns.
    let ignored = |mask: &str| u64::from_str_radix(mask, 16).unwrap() & !(0b11 << 31);
    let Answer { output, .. } = enter(Spec { nice: Some(10), ..status("^Sig(Blk|Ign):") });
    let (blocked, found) = output.trim().split_once("\nSigIgn:\t").unwrap();
    assert_eq!(blocked, "SigBlk:\t0000000000000000");
    assert_eq!(ignored(found), ignored(own) & !(1 << 12), "{output}");

    let ls = Spec::new(Program::Command(["ls", "/proc/self/fd"].map(str::to_owned).to_vec()));
    let Answer { output, .. } = enter(Spec { nice: Some(10), ..ls });
    let inherited = inherited();
    let open: Vec<&str> = output.lines().filter(|number| !inherited.contains(&number.to_string())).collect();
    assert_eq!(open.len(), 4, "in, out, err, and the folder that is listed: {open:?}");
    prints(Spec { nice: Some(10), ..shell("readlink /proc/self/fd/0") }, "/dev/null");
}

/// Descriptors that every child of ours inherits, besides the first three.
fn inherited() -> Vec<String> {
    let number = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let numbers = fs::read_dir("/proc/self/fd").unwrap().flatten().map(number);
    let is_inherited = |number: &String| {
        let information = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = information.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or("02000000").trim();
        number.parse::<u32>().unwrap() > 2 && u64::from_str_radix(flags, 8).unwrap() & 0o2_000_000 == 0
    };
    numbers.filter(is_inherited).collect()
}

#[test]
fn limits_and_priorities_are_set() {
    let limit = |soft, hard| Limit { soft, hard };
    let limits: BTreeMap<String, Limit> = [
        ("nofile", limit(Some(77), Some(88))),
        ("core", limit(Some(0), Some(0))),
        ("cpu", limit(Some(100), Some(200))),
        ("fsize", limit(Some(1024 * 1024), Some(2 * 1024 * 1024))),
        ("stack", limit(Some(4 * 1024 * 1024), Some(8 * 1024 * 1024))),
    ]
    .map(|(name, limit)| (name.to_owned(), limit))
    .into();
    let line = "ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -St; ulimit -Ht; ulimit -Sf; ulimit -Hs";
    prints(Spec { limits, ..shell(line) }, "77\n88\n0\n100\n200\n2048\n8192");
    prints(Spec { nice: Some(7), ..shell("nice") }, "7");
    let io = |class, level| Spec { io: Some(Io { class, level }), ..shell("ionice") };
    prints(io(IoClass::BestEffort, 6), "best-effort: prio 6");
    prints(io(IoClass::Idle, 0), "idle");
    if is_root("limits_and_priorities_are_set: those for root") {
        prints(as_user(Spec { nice: Some(-5), ..shell("nice; id -u") }), &format!("-5\n{UID}"));
        prints(as_user(io(IoClass::RealTime, 3)), "realtime: prio 3");
    }
}

#[test]
fn a_limit_that_cannot_be_had_is_told() {
    let limits = [("nofile".to_owned(), Limit { soft: None, hard: None })].into();
    let Answer { why, .. } = enter(Spec { limits, ..shell("true") });
    assert!(why.starts_with("its limit `nofile`: operation not permitted (the daemon's own is "), "{why}");
    let limits = [("weather".to_owned(), Limit { soft: None, hard: None })].into();
    refuses(Spec { limits, ..shell("true") }, "its limit `weather` is not known");
    refuses(
        Spec { io: Some(Io { class: IoClass::BestEffort, level: 8 }), ..shell("true") },
        "its `ionice`: the level is none of 0 to 7",
    );
}

#[test]
fn what_the_user_may_not_use_is_told() {
    if !is_root("what_the_user_may_not_use_is_told") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mode = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(path, 0o755);
    let (shut, program, input) = (path.join("shut"), path.join("program"), path.join("input"));
    fs::create_dir(&shut).unwrap();
    mode(&shut, 0o700);
    fs::write(&program, "#!/bin/sh\necho ran\n").unwrap();
    mode(&program, 0o700);
    fs::write(&input, "read").unwrap();
    mode(&input, 0o600);
    let (name, words) = (program.to_str().unwrap(), |name: &str| Spec::new(Program::Command(vec![name.to_owned()])));

    refuses(
        as_user(Spec { cwd: Some(shut.clone()), ..shell("true") }),
        &format!("its working directory `{}`: permission denied", shut.display()),
    );
    refuses(as_user(words(name)), "permission denied (is it executable?)");
    let from = Spec { stdin: Stdin::File(input.clone()), ..shell("cat") };
    refuses(as_user(from.clone()), &format!("its standard input `{}`: permission denied", input.display()));
    refuses(as_user(words("no-such")), "no such program in the job's PATH (/usr/bin:/bin)");

    for path in [&shut, &program, &input] {
        chown(path, Some(UID), None).unwrap();
    }
    prints(as_user(Spec { cwd: Some(shut.clone()), ..shell("pwd") }), shut.to_str().unwrap());
    prints(as_user(words(name)), "ran");
    prints(as_user(from), "read");
    prints(as_user(Spec { stdin: Stdin::Args, ..shell("cat; cat < /dev/stdin") }), "{\"a\":1}{\"a\":1}");
}

#[test]
fn another_user_takes_root() {
    if rustix::process::geteuid().is_root() {
        return eprintln!("skipped: another_user_takes_root is for those who are not root");
    }
    let why = enter(as_user(shell("true"))).why;
    assert!(why.starts_with(&format!("becoming user {UID}, supplementary groups: operation not permitted")), "{why}");
}

#[test]
fn a_torn_order_is_told() {
    let Answer { why, code, .. } = enter_with(b"torn");
    assert!(why.starts_with("its order cannot be read: "), "{why}");
    assert_eq!(code, Some(1));
}

/// The variables of a job may come from a file of its user: what they say to the dynamic linker is not for root.
#[test]
fn variables_of_a_job_are_its_own() {
    let spec = Spec { nice: Some(1), ..Spec::new(Program::Command(vec!["env".to_owned()])) };
    prints(spec, "DAYBOOK_ARGS={\"a\":1}\nPATH=/usr/bin:/bin");
}
