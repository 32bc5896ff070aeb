//! Timeout, cancel and shutdown: SIGTERM to the group, grace, SIGKILL.

use std::time::Duration;

use daybook::core::id::JobId;
use daybook::exec::{Outcome, Report, Spec, Stop};

use crate::bench::{Bench, JOB, is_running, shell, soon, start};

/// Longer than any test takes.
const NEVER: Duration = Duration::from_secs(3600);
/// As short as can be, for what ignores SIGTERM anyway.
const AT_ONCE: Duration = Duration::from_millis(1);

fn with_grace(text: &str, grace: Duration) -> Spec {
    Spec { grace, ..shell(text) }
}

#[tokio::test]
async fn cancel_ends_with_term_and_says_cancelled_whatever_the_exit_code() {
    let mut bench = Bench::new();
    let job = "trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 1000 & wait; done";
    let (identity, _) = bench.ready(with_grace(job, NEVER)).await;
    assert!(identity.is_alive());
    bench.processes.stop(JOB, 1, Stop::Cancel);
    assert_eq!(bench.ended().await.outcome, Outcome::Cancelled);
    assert!(!identity.is_alive());
    assert_eq!(bench.output().await, "ready\ntold\n");
}

#[tokio::test]
async fn what_ignores_term_is_killed_after_the_grace() {
    let mut bench = Bench::new();
    let (identity, _) = bench.ready(with_grace("trap '' TERM; echo ready; sleep 1000; sleep 1000", AT_ONCE)).await;
    bench.processes.stop(JOB, 1, Stop::Cancel);
    assert_eq!(bench.ended().await.outcome, Outcome::Cancelled);
    assert!(!identity.is_alive());
}

#[tokio::test]
async fn a_timeout_takes_the_whole_group() {
    let mut bench = Bench::new();
    // Three generations; the last one ignores SIGTERM. It prints its own number, then blocks.
    let job = "sh -c \"sh -c 'trap \\\"\\\" TERM; echo \\$\\$; sleep 1000; sleep 1000' & wait\" & wait";
    let spec = Spec { timeout: Some(Duration::from_millis(300)), ..with_grace(job, AT_ONCE) };
    let ended = bench.run(spec).await;
    let Outcome::TimedOut { after, .. } = ended.outcome else { panic!("{ended:?}") };
    assert_eq!(after, Duration::from_millis(300));
    // On a machine so slow that it had no time to print there is nothing to check.
    let output = bench.output().await;
    for pid in output.lines().map(|line| line.parse().unwrap()) {
        assert!(!is_running(pid), "process {pid} has outlived the timeout");
    }
}

#[tokio::test]
async fn a_timeout_is_one_even_if_the_process_then_succeeds() {
    let mut bench = Bench::new();
    let job = "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done";
    let spec = Spec { timeout: Some(Duration::from_millis(200)), ..with_grace(job, NEVER) };
    let outcome = bench.run(spec).await.outcome;
    assert_eq!(outcome, Outcome::TimedOut { after: Duration::from_millis(200), killed: false });
    assert_eq!(outcome.error().as_deref(), Some("timed out after 200ms"));
}

#[tokio::test]
async fn a_timeout_as_long_as_can_be_is_no_trouble() {
    let spec = Spec { timeout: Some(Duration::MAX), grace: Duration::MAX, ..shell("true") };
    assert_eq!(Bench::new().run(spec).await.outcome, Outcome::Succeeded { exit_code: 0 });
}

#[tokio::test]
async fn shutdown_interrupts_and_kill_does_not_wait() {
    let mut bench = Bench::new();
    bench.ready(with_grace("trap 'echo told' TERM; echo ready; while :; do sleep 1000 & wait; done", NEVER)).await;
    bench.processes.stop_all(Stop::Shutdown);
    let mut follow = bench.outputs.follow(JOB, 1, "ready\n".len() as u64);
    assert_eq!(soon(follow.next()).await.unwrap().as_deref(), Some(&b"told\n"[..]));
    assert_eq!(bench.processes.count(), 1, "it takes its time");
    bench.processes.stop_all(Stop::Kill);
    assert_eq!(bench.ended().await.outcome, Outcome::Interrupted);
}

#[tokio::test]
async fn a_cancel_during_shutdown_is_a_cancel() {
    let mut bench = Bench::new();
    bench.ready(with_grace("trap '' TERM; echo ready; sleep 1000; sleep 1000", NEVER)).await;
    for why in [Stop::Shutdown, Stop::Cancel, Stop::Kill] {
        bench.processes.stop(JOB, 1, why);
    }
    assert_eq!(bench.ended().await.outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn stopped_before_it_is_spawned_it_never_runs() {
    // On this runtime of one thread, nothing is spawned before the test waits for something.
    let mut bench = Bench::new();
    let witness = bench.path("witness");
    bench.processes.start(start(shell(&format!("touch {witness}"))));
    bench.processes.stop(JOB, 1, Stop::Cancel);
    let Report::Ended(ended) = bench.report().await else { panic!("it was spawned") };
    assert_eq!(ended.outcome, Outcome::Cancelled);
    assert!(!std::path::Path::new(&witness).exists());
}

#[tokio::test]
async fn stopping_what_is_not_there_is_harmless() {
    let mut bench = Bench::new();
    bench.processes.stop(JobId(1), 1, Stop::Cancel);
    bench.run(shell("true")).await;
    bench.processes.stop(JOB, 1, Stop::Kill);
    assert!(bench.reports.try_recv().is_err());
    assert_eq!(bench.run(shell("true")).await.outcome, Outcome::Succeeded { exit_code: 0 }, "and not remembered");
}
