//! What a job finds around it: variables, folder, mask, open files, signals.

use std::collections::BTreeMap;
use std::path::PathBuf;

use daybook::core::limits::ARGS_BYTES_MAX;
use daybook::core::time::Timestamp;
use daybook::exec::{Program, Spec};

use crate::bench::{Bench, SOCKET, command, shell, start};

fn variables(output: &str) -> BTreeMap<&str, &str> {
    output.split('\0').filter_map(|entry| entry.split_once('=')).collect()
}

#[tokio::test]
async fn is_made_from_nothing() {
    let mut bench = Bench::new();
    // `cat` adds no variable of its own, as a shell would.
    let mut start = start(command(&["cat", "/proc/self/environ"]));
    start.scheduled_at = Some(Timestamp(1_000));
    start.args = r#"{"a": "b c"}"#.into();
    bench.processes.start(start);
    bench.ended().await;
    let output = bench.output().await;
    let mut found = variables(&output);
    for (name, expected) in [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("SHELL", "/bin/sh"),
        ("DAYBOOK_JOB", "4711"),
        ("DAYBOOK_ATTEMPT", "1"),
        ("DAYBOOK_TASK", "test"),
        ("DAYBOOK_ARGS", r#"{"a": "b c"}"#),
        ("DAYBOOK_SOCKET", SOCKET),
        ("DAYBOOK_SCHEDULED_AT", "1970-01-01T00:00:01.000Z"),
    ] {
        assert_eq!(found.remove(name), Some(expected), "{name}");
    }
    assert!(found.remove("HOME").is_some_and(|home| home.starts_with('/')));
    assert!(found.remove("DAYBOOK_RESULT").is_some_and(|path| path.starts_with(bench.folder.path().to_str().unwrap())));
    assert_eq!(found.remove("USER"), found.remove("LOGNAME"));
    assert_eq!(found.remove("LANG").map(str::to_owned), std::env::var("LANG").ok());
    let temporary = found.remove("TMPDIR").expect("it has a folder of its own");
    assert!(!std::path::Path::new(temporary).exists(), "which is gone with it");
    assert_eq!(found, BTreeMap::new(), "nothing else gets in, such as cargo's variables");
}

#[tokio::test]
async fn the_config_adds_and_replaces_but_not_what_names_the_attempt() {
    let mut spec = command(&["cat", "/proc/self/environ"]);
    for (name, value) in [("LANG", "C.UTF-8"), ("SHELL", "/bin/bash"), ("TOKEN", "a=b\nc"), ("DAYBOOK_JOB", "1")] {
        spec.env.insert(name.into(), value.into());
    }
    let output = Bench::new().print(spec).await;
    let found = variables(&output);
    assert_eq!((found["LANG"], found["SHELL"], found["TOKEN"]), ("C.UTF-8", "/bin/bash", "a=b\nc"));
    assert_eq!(found["DAYBOOK_JOB"], "4711");
    assert!(!found.contains_key("DAYBOOK_SCHEDULED_AT"), "only an occurrence has one");
}

#[tokio::test]
async fn the_largest_arguments_arrive() {
    let mut bench = Bench::new();
    let mut start = start(shell("printf %s \"$DAYBOOK_ARGS\" | wc -c"));
    start.args = format!("\"{}\"", "x".repeat(ARGS_BYTES_MAX - 2));
    bench.processes.start(start);
    bench.ended().await;
    assert_eq!(bench.output().await.trim(), ARGS_BYTES_MAX.to_string());
}

#[tokio::test]
async fn working_directory_and_empty_input() {
    let mut spec = shell("pwd; cat; readlink /proc/self/fd/0");
    spec.cwd = Some(PathBuf::from("/usr"));
    assert_eq!(Bench::new().print(spec).await, "/usr\n/dev/null\n");
}

#[tokio::test]
async fn umask_is_set_for_both_handlers_and_keeps_the_words() {
    let set = |mut spec: Spec| {
        spec.umask = Some(0o137);
        spec
    };
    assert_eq!(Bench::new().print(set(shell("umask"))).await, "0137\n");
    let words = ["sh", "-c", "umask; echo \"$1|$2\"", "x", "a  b", "$HOME"].map(str::to_owned).to_vec();
    assert_eq!(Bench::new().print(set(Spec::new(Program::Command(words)))).await, "0137\na  b|$HOME\n");
    let ended = Bench::new().run(set(command(&["no-such-program"]))).await;
    assert!(ended.outcome.error().unwrap().contains("no such program"), "{ended:?}");
}

#[tokio::test]
async fn no_file_of_ours_is_open_in_it() {
    let mut bench = Bench::new();
    // One of our own, and those of other attempts: a pipe, a process descriptor, an output file.
    let secret = std::fs::File::create(bench.path("secret")).unwrap();
    bench.ready(shell("echo ready; sleep 1000")).await;
    let mut other = start(shell("for fd in /proc/self/fd/*; do readlink $fd; done"));
    other.attempt = 2;
    bench.processes.start(other);
    loop {
        if let daybook::exec::Report::Ended(ended) = bench.report().await {
            assert_eq!(ended.attempt, 2);
            break;
        }
    }
    let output = bench.outputs.read(crate::bench::JOB, 2, 0).await.unwrap();
    let output = String::from_utf8(output).unwrap();
    let folder = bench.folder.path().to_str().unwrap();
    assert!(!output.contains(folder) && !output.contains("pidfd") && !output.contains("eventpoll"), "{output}");
    let pipes: std::collections::BTreeSet<_> = output.lines().filter(|line| line.starts_with("pipe:")).collect();
    let inherited = inherited_pipes();
    assert_eq!(pipes.iter().filter(|pipe| !inherited.contains(**pipe)).count(), 1, "only its own output: {output}");
    drop(secret);
    bench.processes.stop_all(daybook::exec::Stop::Kill);
    bench.ended().await;
}

/// Pipes that whoever runs the tests lets every child of theirs inherit: not ours to close.
fn inherited_pipes() -> std::collections::BTreeSet<String> {
    let fds = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = fds.filter(|fd| {
        let info =
            std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.file_name().display())).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).map(str::trim).unwrap_or("0");
        i64::from_str_radix(flags, 8).unwrap() & 0o2_000_000 == 0
    });
    targets.filter_map(|fd| Some(std::fs::read_link(fd.path()).ok()?.to_str()?.to_owned())).collect()
}

#[tokio::test]
async fn a_broken_pipe_ends_a_writer() {
    // We ignore SIGPIPE, as every Rust program does. A job that inherited that would write for ever.
    let output = Bench::new().print(shell("yes | head -n 1; grep SigIgn /proc/self/status")).await;
    let (first, ignored) = output.split_once('\n').unwrap();
    assert_eq!(first, "y");
    let mask = u64::from_str_radix(ignored.trim_start_matches("SigIgn:").trim(), 16).unwrap();
    assert_eq!(mask & (1 << (13 - 1)), 0, "SIGPIPE is not ignored: {ignored}");
}
