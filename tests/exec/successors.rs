//! A shim whose attempt has ended by itself is given the next one, which sees nothing of the one before; one whose attempt
//! ended otherwise is not. A job's parent is its shim.

use std::collections::BTreeSet;
use std::time::Duration;

use daybook::core::id::JobId;
use daybook::exec::{Exit, Outcome, Report, Spec, Start, Stop};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Bench, JOB, command, is_running, shell, soon, start};

/// The shim of a job that does nothing else than to tell it.
async fn shim(bench: &mut Bench) -> u32 {
    bench.print(shell("echo $PPID")).await.trim().parse().unwrap()
}

/// Waits until a process has gone.
async fn gone(pid: u32) {
    soon(async {
        while is_running(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

fn tell(pid: u32, signal: Signal) {
    // It may have gone by itself, if this test was kept waiting.
    let _: Result<(), _> = kill_process(Pid::from_raw(pid as i32).unwrap(), signal);
}

/// Does something between two attempts until both have the same shim: one that waited for too long is another.
async fn have_the_same(bench: &mut Bench, between: impl AsyncFn(&mut Bench, u32)) {
    soon(async {
        loop {
            let before = shim(bench).await;
            between(bench, before).await;
            if shim(bench).await == before {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_attempt_after_one_that_ended_by_itself_has_its_shim() {
    let mut bench = Bench::new();
    have_the_same(&mut bench, async |_, _| {}).await;
    have_the_same(&mut bench, async |bench, _| {
        let failed = bench.run(shell("exit 3")).await;
        assert_eq!(failed.outcome, Outcome::Failed { exit: Exit::Code(3) });
    })
    .await;
    have_the_same(&mut bench, async |bench, _| {
        let crashed = bench.run(shell("kill -SEGV $$")).await;
        assert!(matches!(crashed.outcome, Outcome::Failed { exit: Exit::Signal { .. } }), "{crashed:?}");
    })
    .await;
    // What means nothing to a shim changes nothing.
    have_the_same(&mut bench, async |_, shim| tell(shim, Signal::HUP)).await;
}

#[tokio::test]
async fn it_sees_nothing_of_the_one_before() {
    let mut bench = Bench::new();
    let look = "env | grep -vE '^(DAYBOOK_RESULT|TMPDIR)='; umask; pwd; ulimit -Sn; ls -1 /proc/self/fd | wc -l; \
                readlink /proc/self/fd/0; grep -E '^Sig(Blk|Ign)' /proc/self/status; nice; cat /proc/self/oom_score_adj; \
                ls -1A \"$TMPDIR\"; cat \"$DAYBOOK_RESULT\"";
    let before = bench.run(shell(look)).await;
    let before = (before.result, before.output, bench.output().await);
    let odd = Spec {
        cwd: Some("/usr".into()),
        env: [("SECRET".to_owned(), "1".to_owned())].into(),
        umask: Some(0o77),
        stdin: daybook::shim::Stdin::Args,
        timeout: Some(Duration::from_secs(1000)),
        output_max: 3,
        success_exit_codes: [7].into(),
        ..shell(
            "cat; echo much; echo of it; echo '{\"a\":1}' > \"$DAYBOOK_RESULT\"; touch \"$TMPDIR/left\"; \
             trap '' HUP TERM USR1; ulimit -Sn 50; exit 7",
        )
    };
    let ended = bench.run(odd).await;
    assert_eq!(ended.outcome, Outcome::Succeeded { exit_code: 7 });
    assert_eq!(ended.result.as_deref(), Some("{\"a\":1}"));
    assert_eq!(ended.output.kept, 3);
    let after = bench.run(shell(look)).await;
    assert_eq!((after.result, after.output, bench.output().await), before);
}

#[tokio::test]
async fn an_attempt_after_any_other_end_has_a_new_shim() {
    let mut bench = Bench::new();
    let mut last = shim(&mut bench).await;
    let timed_out = Spec { timeout: Some(Duration::from_millis(50)), ..shell("exec sleep 1000") };
    let leaves_one = shell("sleep 1000 & exit 0");
    let not_there = command(&["no-such-program"]);
    for spec in [timed_out, leaves_one, not_there] {
        let what = format!("{:?}", spec.program);
        bench.run(spec).await;
        let next = shim(&mut bench).await;
        assert!(next != last && !is_running(last), "{what}: {last}, {next}");
        last = next;
    }
    bench.processes.start(start(shell("exec sleep 1000")));
    let Report::Spawned { identity, .. } = bench.report().await else { panic!("not spawned") };
    bench.processes.stop(JOB, 1, Stop::Cancel);
    assert_eq!(bench.ended().await.outcome, Outcome::Cancelled);
    assert!(!identity.is_alive() && shim(&mut bench).await != identity.pid);
}

#[tokio::test]
async fn no_task_has_that_of_another() {
    let mut bench = Bench::new();
    let first = shim(&mut bench).await;
    bench.processes.start(Start { task: "other".into(), ..start(shell("echo $PPID")) });
    bench.ended().await;
    assert_ne!(bench.output().await.trim(), first.to_string());
}

#[tokio::test]
async fn one_that_is_killed_or_told_to_end_while_it_waits_is_replaced() {
    for signal in [Signal::KILL, Signal::TERM, Signal::USR1, Signal::USR2] {
        let mut bench = Bench::new();
        let first = shim(&mut bench).await;
        tell(first, signal);
        gone(first).await;
        assert_ne!(shim(&mut bench).await, first);
    }
}

#[tokio::test]
async fn an_order_on_its_way_to_one_that_is_killed_is_given_to_another() {
    for signal in [Signal::KILL, Signal::TERM] {
        let mut bench = Bench::new();
        let first = shim(&mut bench).await;
        tell(first, Signal::STOP);
        let runs = bench.path("runs.log");
        bench.processes.start(start(shell(&format!("echo $PPID >> {runs}"))));
        // The order has been sent, or will not be: its run file is locked, and nothing begins.
        tokio::time::sleep(Duration::from_millis(50)).await;
        tell(first, signal);
        tell(first, Signal::CONT);
        assert_eq!(bench.ended().await.outcome, Outcome::Succeeded { exit_code: 0 });
        let runs = std::fs::read_to_string(runs).unwrap();
        assert_eq!(runs.lines().filter(|shim| **shim != first.to_string()).count(), 1, "{first}: {runs}");
    }
}

#[tokio::test]
async fn what_a_job_tells_its_shim_at_its_end_no_other_hears() {
    let mut bench = Bench::new();
    for _ in 0..50 {
        for signal in ["TERM", "USR1", "USR2"] {
            bench.run(shell(&format!("kill -{signal} $PPID; exit 0"))).await;
            assert_eq!(bench.run(shell("true")).await.outcome, Outcome::Succeeded { exit_code: 0 });
        }
    }
}

#[tokio::test]
async fn one_that_is_given_nothing_ends_and_without_its_daemon_at_once() {
    let mut bench = Bench::new();
    let first = shim(&mut bench).await;
    gone(first).await;
    let next = shim(&mut bench).await;
    assert_ne!(next, first);
    drop(bench);
    gone(next).await;
}

#[tokio::test]
async fn each_has_one_attempt_at_a_time() {
    const AT_ONCE: u64 = 24;
    let mut bench = Bench::new();
    for round in 0..3 {
        let (all, go) = (bench.path(&format!("all{round}")), bench.path(&format!("go{round}")));
        let spec = shell(&format!("echo $PPID >> {all}; until test -e {go}; do sleep 0.01; done"));
        for number in 0..AT_ONCE {
            bench.processes.start(Start { job: JobId(number + 1), ..start(spec.clone()) });
        }
        let told = || std::fs::read_to_string(&all).unwrap_or_default();
        soon(async {
            while told().lines().count() < AT_ONCE as usize {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let shims: BTreeSet<String> = told().lines().map(str::to_owned).collect();
        assert_eq!(shims.len(), AT_ONCE as usize, "{shims:?}");
        std::fs::write(&go, "").unwrap();
        for _ in 0..AT_ONCE {
            while !matches!(bench.report().await, Report::Ended(_)) {}
        }
        soon(bench.processes.wait_idle()).await;
    }
}
