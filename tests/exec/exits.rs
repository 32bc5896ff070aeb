//! How a process ends by itself is what is reported.

use daybook::exec::{Exit, Outcome, Report};

use crate::bench::{Bench, JOB, command, shell, start};

#[tokio::test]
async fn zero_is_success() {
    let mut bench = Bench::new();
    let ended = bench.run(command(&["true"])).await;
    assert_eq!(ended.outcome, Outcome::Succeeded { exit_code: 0 });
    assert_eq!((ended.job, ended.attempt, ended.result, ended.stragglers.count), (JOB, 1, None, 0));
    assert!(ended.notes.is_empty());
}

#[tokio::test]
async fn another_code_is_a_failure_with_that_code() {
    let outcome = Bench::new().run(shell("exit 3")).await.outcome;
    assert_eq!(outcome, Outcome::Failed { exit: Exit::Code(3) });
    assert_eq!(outcome.error().as_deref(), Some("exit code 3"));
}

#[tokio::test]
async fn success_exit_codes_decide() {
    let mut spec = shell("exit 24");
    spec.success_exit_codes = vec![0, 24];
    assert_eq!(Bench::new().run(spec).await.outcome, Outcome::Succeeded { exit_code: 24 });
    let mut spec = shell("exit 0");
    spec.success_exit_codes = vec![24];
    assert_eq!(Bench::new().run(spec).await.outcome, Outcome::Failed { exit: Exit::Code(0) });
}

#[tokio::test]
async fn a_signal_is_named() {
    let outcome = Bench::new().run(shell("kill -KILL $$")).await.outcome;
    assert_eq!(outcome.error().as_deref(), Some("killed by signal 9 (SIGKILL)"));
    let Outcome::Failed { exit } = outcome else { panic!("{outcome:?}") };
    assert_eq!((exit.code(), exit.signal()), (None, Some(9)));
}

#[tokio::test]
async fn a_signal_from_outside_in_a_shell_is_explained() {
    let outcome = Bench::new().run(shell("sh -c 'kill -TERM $$'; exit $?")).await.outcome;
    assert_eq!(outcome.error().as_deref(), Some("exit code 143 (128 + 15, SIGTERM)"));
}

#[tokio::test]
async fn many_at_once_are_each_reported_once_and_in_order() {
    const JOBS: u64 = 64;
    let mut bench = Bench::new();
    for job in 1..=JOBS {
        let mut start = start(shell("echo $DAYBOOK_JOB; exit $((DAYBOOK_JOB % 3))"));
        start.job.0 = job;
        bench.processes.start(start);
    }
    let (mut spawned, mut ended) = (vec![0_u32; JOBS as usize + 1], vec![0_u32; JOBS as usize + 1]);
    while ended.iter().sum::<u32>() < JOBS as u32 {
        match bench.report().await {
            Report::Spawned { job, identity, .. } => {
                assert_eq!(ended[job.0 as usize], 0, "job {job} ended before it was spawned");
                assert_ne!(identity.start_time, 0);
                spawned[job.0 as usize] += 1;
            }
            Report::Lost { job, .. } => panic!("what looks after job {job} has panicked"),
            Report::Ended(end) => {
                let expected = (end.job.0 % 3) as i32;
                match end.outcome {
                    Outcome::Succeeded { .. } => assert_eq!(expected, 0),
                    outcome => assert_eq!(outcome, Outcome::Failed { exit: Exit::Code(expected) }),
                }
                assert_eq!(end.output.kept as usize, format!("{}\n", end.job).len());
                ended[end.job.0 as usize] += 1;
            }
        }
    }
    assert!(ended[1..].iter().all(|&count| count == 1), "{ended:?}");
    // One that is over before its shim could be looked at is not reported before.
    assert!(spawned.iter().all(|&count| count <= 1), "{spawned:?}");
    bench.processes.wait_idle().await;
    assert_eq!(bench.processes.count(), 0);
    assert!(bench.reports.try_recv().is_err(), "nothing more is reported");
}

#[tokio::test]
async fn starting_what_runs_does_nothing() {
    let mut bench = Bench::new();
    let (_, _) = bench.ready(shell("echo ready; sleep 1000")).await;
    bench.processes.start(start(shell("exit 3")));
    assert_eq!(bench.processes.count(), 1);
    bench.processes.stop(JOB, 1, daybook::exec::Stop::Kill);
    assert_eq!(bench.ended().await.outcome, Outcome::Interrupted);
}
