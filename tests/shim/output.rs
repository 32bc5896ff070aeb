//! What is kept of what a job prints.

use daybook::exec::{Outcome, OutputSize};

use crate::bench::{Bench, command, shell, until};

#[test]
fn five_megabytes_into_a_bound_of_one() {
    let bench = Bench::new();
    let ended = bench.run(shell("head -c 5000000 /dev/zero | tr '\\0' x"));
    assert_eq!(ended.outcome, Outcome::Succeeded { exit_code: 0 });
    assert_eq!(ended.output, OutputSize { kept: 1 << 20, dropped: 5_000_000 - (1 << 20) });
    let output = bench.output();
    assert!(output.ends_with("x\n[daybook: 3951424 more bytes dropped: at most 1048576 are kept]\n"));
}

#[test]
fn both_streams_are_one_and_silence_is_no_file() {
    let bench = Bench::new();
    assert_eq!(bench.run(shell("true")).output, OutputSize::default());
    assert!(!bench.path("output").exists());
    assert_eq!(bench.print(shell("echo one; echo two >&2; echo three")), "one\ntwo\nthree\n");
    let mode = std::os::unix::fs::PermissionsExt::mode(&bench.path("output").metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o640, "whatever the umask of the job");
}

#[test]
fn a_filter_in_the_background_ends_by_itself() {
    let bench = Bench::new();
    let ended = bench.run(command(&["bash", "-c", "exec > >(sleep 0.05; exec cat); echo late"]));
    assert_eq!(ended.outcome, Outcome::Succeeded { exit_code: 0 });
    assert_eq!(ended.stragglers.count, 0, "{ended:?}");
    assert_eq!(bench.output(), "late\n");
}

#[test]
fn what_is_left_on_purpose_can_go_on_printing() {
    let bench = Bench::new();
    let (go, done) = (bench.path("go"), bench.path("done"));
    let text = "(until [ -e $GO ]; do sleep 0.01; done; echo; echo late && : > $DONE) & exit 0";
    let mut order = bench.order(shell(text));
    order.spec.leave_background = true;
    order.environment.insert("GO".into(), go.clone().into());
    order.environment.insert("DONE".into(), done.clone().into());
    let ended = bench.start(&order).ended();
    assert_eq!(ended.outcome, Outcome::Succeeded { exit_code: 0 });
    assert!(ended.stragglers.count >= 1 && ended.stragglers.left == ended.stragglers.count, "{ended:?}");
    std::fs::write(go, "").unwrap();
    until("done", || done.exists().then_some(()));
    assert_eq!(bench.output(), "");
}
