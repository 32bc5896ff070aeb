//! What stands in the run file after each kind of end.

use daybook::exec::{Exit, Outcome};
use daybook::shim::{Look, RunFile};
use rustix::process::{Pid, Signal};
use std::os::fd::AsFd;

use crate::bench::{Bench, SHIM, command, is_running, shell, until};

#[test]
fn how_the_main_process_ended() {
    let bench = Bench::new();
    let outcome = |spec| bench.run(spec).outcome;
    assert_eq!(outcome(shell("exit 0")), Outcome::Succeeded { exit_code: 0 });
    assert_eq!(outcome(shell("exit 3")), Outcome::Failed { exit: Exit::Code(3) });
    let mut spec = shell("exit 3");
    spec.success_exit_codes = vec![3];
    assert_eq!(outcome(spec), Outcome::Succeeded { exit_code: 3 });
    let killed = Outcome::Failed { exit: Exit::Signal { number: 9, core_dumped: false } };
    assert_eq!(outcome(shell("kill -9 $$")), killed);
}

#[test]
fn a_program_that_cannot_be_run_is_told_in_a_sentence() {
    let bench = Bench::new();
    let Outcome::NotStarted { error } = bench.run(command(&["no-such-program-here"])).outcome else { panic!() };
    assert!(error.starts_with("cannot start `no-such-program-here`: no such program"), "{error}");
}

#[test]
fn a_reason_of_any_length_has_room() {
    let bench = Bench::new();
    let name = "\u{1}".repeat(100_000);
    let Outcome::NotStarted { error } = bench.run(command(&[&name])).outcome else { panic!() };
    assert!(error.len() > 100, "{error}");
}

#[test]
fn a_shim_that_is_killed_leaves_a_mark_and_a_free_lock() {
    let bench = Bench::new();
    let mut shim = bench.start(&bench.order(shell("echo ready; exec sleep 1000")));
    shim.printed("ready");
    let Look::Alive(Some(marked)) = shim.look() else { panic!("{:?}", shim.look()) };
    assert_eq!(marked.shim.pid, shim.child.id());
    shim.child.kill().unwrap();
    shim.child.wait().unwrap();
    let process = until("lost", || if let Look::Lost(_, process) = shim.look() { process } else { None });
    assert!(process.is_alive(), "the job does not hold the lock");
    rustix::process::kill_process(Pid::from_raw(process.pid as i32).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn an_end_is_noted_when_the_daemon_is_gone() {
    let bench = Bench::new();
    // The shell is the daemon, and gone as soon as it has started the shim.
    let mut daemon = std::process::Command::new("sh");
    daemon.args(["-c", "exec 3<&0; \"$0\" shim <&3 3<&- 2>/dev/null & exit", SHIM]);
    let go = bench.path("go");
    let order = bench.order(shell(&format!("until [ -e {} ]; do sleep 0.01; done; exit 7", go.display())));
    let mut shim = bench.start_as(&order, daemon);
    shim.child.wait().unwrap();
    assert!(matches!(shim.look(), Look::Alive(_)), "{:?}", shim.look());
    std::fs::write(go, "").unwrap();
    let ended = until("ended", || if let Look::Ended(ended) = shim.look() { Some(ended) } else { None });
    assert_eq!(ended.outcome, Outcome::Failed { exit: Exit::Code(7) });
}

#[test]
fn an_order_that_cannot_be_read_is_an_end() {
    let bench = Bench::new();
    let path = bench.path("run");
    let run = RunFile::create(&path).unwrap();
    std::fs::write(bench.path("order"), "no order").unwrap();
    let mut shim = std::process::Command::new(SHIM);
    shim.arg("shim")
        .stdin(std::fs::File::open(bench.path("order")).unwrap())
        .stdout(run.as_fd().try_clone_to_owned().unwrap());
    drop(run);
    assert!(shim.status().unwrap().success());
    drop(shim);
    let ended =
        until("ended", || if let Some(Look::Ended(end)) = RunFile::look(&path).unwrap() { Some(end) } else { None });
    assert!(matches!(ended.outcome, Outcome::NotStarted { .. }), "{ended:?}");
}

#[test]
fn somebody_who_types_it_is_told_who_starts_it() {
    let output = std::process::Command::new(SHIM).arg("shim").stdin(std::process::Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the daemon starts it"), "{output:?}");
}

/// A record that says something about a process which is not the attempt's.
#[test]
fn a_forged_record_of_a_living_process_is_not_one_that_lives() {
    let bench = Bench::new();
    let mut shim = bench.start(&bench.order(shell("echo ready; exec sleep 1000")));
    shim.printed("ready");
    let copy = bench.path("copy");
    std::fs::copy(bench.path("run"), &copy).unwrap();
    // Its shim lives, and holds the lock of another file: that decides, not the number.
    until("lost", || matches!(RunFile::look(&copy).unwrap(), Some(Look::Lost(..))).then_some(()));
    assert!(is_running(shim.child.id()));
    shim.signal(Signal::USR2);
    assert_eq!(shim.ended().outcome, Outcome::Interrupted);
}
