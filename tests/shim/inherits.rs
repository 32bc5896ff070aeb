//! What a job gets from the shim: nothing but what was ordered.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::bench::{Bench, SHIM, command, job, shell};

#[test]
fn three_descriptors_and_the_ordered_variables() {
    let bench = Bench::new();
    // Started with more: what the daemon itself was started with is none of the job's business.
    let mut daemon = Command::new("sh");
    daemon.args(["-c", "exec 7</ 9</; NOTIFY_SOCKET=/x exec \"$0\" shim 2>/dev/null", SHIM]);
    let order = bench.order(command(&["sh", "-c", "cat /proc/$$/environ | tr '\\0' '\\n'; exec ls -l /proc/self/fd"]));
    bench.start_as(&order, daemon).ended();
    let output = bench.output();
    let (environment, descriptors) = output.split_once("total 0\n").unwrap();
    assert_eq!(environment, "DAYBOOK_JOB=1\nPATH=/usr/local/bin:/usr/bin:/bin\n");
    let open: Vec<&str> = descriptors.lines().filter(|line| !line.contains("/proc/")).collect();
    assert_eq!(open.len(), 3, "{output}");
    assert!(open[0].ends_with("0 -> /dev/null") && open[1].contains("pipe:") && open[2].contains("pipe:"), "{output}");
}

#[test]
fn no_signal_is_blocked_or_ignored() {
    let bench = Bench::new();
    let mut daemon = Command::new("perl");
    daemon.args([&job("blocked_signals.pl"), SHIM, "shim"]).stderr(Stdio::null());
    let order = bench.order(command(&["grep", "-E", "^Sig(Blk|Ign)|^ShdPnd|^SigPnd", "/proc/self/status"]));
    bench.start_as(&order, daemon).ended();
    let none = "0".repeat(16);
    let expected = format!("SigPnd:\t{none}\nShdPnd:\t{none}\nSigBlk:\t{none}\nSigIgn:\t{none}\n");
    // 32 and 33 are the C library's own, and it ignores them in all that it spawns.
    assert_eq!(bench.output().replace("SigIgn:\t0000000180000000", &format!("SigIgn:\t{none}")), expected);
}

#[test]
fn a_broken_pipe_ends_who_writes_to_it() {
    let printed = Bench::new().print(command(&["sh", &job("yes_head.sh")]));
    assert!(["y\n141\n", "141\ny\n"].contains(&&*printed), "{printed}");
}

#[test]
fn the_mask_the_limit_and_the_preference_of_any_process() {
    let bench = Bench::new();
    let text = "umask; ulimit -Sn; cat /proc/self/oom_score_adj";
    let mut daemon = Command::new("sh");
    let text_of_daemon = "umask 077; ulimit -Sn 4096; echo -100 >/proc/self/oom_score_adj; exec \"$0\" shim";
    daemon.args(["-c", text_of_daemon, SHIM]).stderr(Stdio::null());
    bench.start_as(&bench.order(shell(text)), daemon).ended();
    assert_eq!(bench.output(), "0022\n1024\n0\n");
    let mut spec = shell("umask");
    spec.umask = Some(0o027);
    assert_eq!(bench.print(spec), "0027\n");
}

#[test]
fn a_folder_for_temporary_files_that_goes_with_it() {
    let bench = Bench::new();
    let folder = bench.path("temporary");
    let text = "ls -A $TMPDIR; stat -c %a $TMPDIR; mkdir $TMPDIR/a; ln -s / $TMPDIR/a/b";
    let mut order = bench.order(shell(text));
    order.environment.insert("TMPDIR".into(), folder.clone().into());
    order.temporary = Some(folder.clone());
    // What an attempt of the same number has left behind before a crash.
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("stale"), "").unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ended = bench.start(&order).ended();
    assert_eq!((ended.outcome.error(), ended.notes), (None, Vec::new()));
    assert_eq!(bench.output(), "700\n");
    assert!(!folder.exists());
}
