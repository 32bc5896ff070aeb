//! Processes that outlive the main process.

use std::path::PathBuf;
use std::time::Duration;

use daybook::exec::{Outcome, Spec, Stop};

use crate::bench::{Bench, JOB, is_running, shell, soon};

fn pid(output: &str) -> u32 {
    output.lines().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn holding_the_output_open_delays_nothing_and_it_is_ended() {
    let mut bench = Bench::new();
    let ended = bench.run(shell("sleep 1000 & echo $!")).await;
    assert_eq!(ended.outcome, Outcome::Succeeded { exit_code: 0 });
    assert_eq!(ended.stragglers.count, 1);
    assert!(!is_running(pid(&bench.output().await)));
}

#[tokio::test]
async fn without_the_output_it_is_found_too() {
    let mut bench = Bench::new();
    let ended = bench.run(shell("sleep 1000 >/dev/null 2>&1 & echo $!")).await;
    assert_eq!((ended.outcome, ended.stragglers.count), (Outcome::Succeeded { exit_code: 0 }, 1));
    assert!(!is_running(pid(&bench.output().await)));
}

#[tokio::test]
async fn ignoring_term_it_is_killed() {
    let mut bench = Bench::new();
    let spec = Spec { grace: Duration::from_millis(1), ..shell("(trap '' TERM; sleep 1000) & echo $!") };
    let ended = bench.run(spec).await;
    assert_eq!(ended.outcome, Outcome::Succeeded { exit_code: 0 });
    assert_eq!(ended.notes, ["1 process outlived it and had to be ended (sleep)"]);
    assert!(!is_running(pid(&bench.output().await)));
}

#[tokio::test]
async fn printing_for_ever_it_delays_nothing_either() {
    let mut bench = Bench::new();
    let ended = bench.run(Spec { output_max: 1000, ..shell("yes & echo started") }).await;
    assert_eq!(ended.outcome, Outcome::Succeeded { exit_code: 0 });
    assert_eq!((ended.output.kept, ended.stragglers.count), (1000, 1));
}

#[tokio::test]
async fn left_if_the_task_says_so_and_it_can_go_on_printing() {
    let mut bench = Bench::new();
    let (go, done) = (bench.path("go"), bench.path("done"));
    let job = format!(
        "mkfifo {go} {done}; (read line <{go}; i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890; \
         i=$((i+1)); done; echo well >{done}) & echo $!"
    );
    let ended = bench.run(Spec { leave_background: true, ..shell(&job) }).await;
    assert_eq!((&ended.outcome, ended.stragglers.count), (&Outcome::Succeeded { exit_code: 0 }, 1));
    assert!(is_running(pid(&bench.output().await)));
    // It prints more than a pipe holds: it would block if nobody read, and die if nobody held the other end.
    let talk = tokio::task::spawn_blocking(move || {
        std::fs::write(go, "go\n").unwrap();
        std::fs::read_to_string(done).unwrap()
    });
    assert_eq!(soon(talk).await.unwrap(), "well\n");
    assert_eq!(bench.output().await.lines().count(), 1, "the output of the attempt was complete at its end");
}

#[tokio::test]
async fn cancelled_it_is_ended_even_if_the_task_would_leave_it() {
    let mut bench = Bench::new();
    let (_, _) = bench.ready(Spec { leave_background: true, ..shell("sleep 1000 & echo $! ready; sleep 1000") }).await;
    bench.processes.stop(JOB, 1, Stop::Cancel);
    assert_eq!(bench.ended().await.outcome, Outcome::Cancelled);
    let output = bench.output().await;
    assert!(!is_running(output.split(' ').next().unwrap().parse().unwrap()));
}

/// The cgroup of version 2 that this process is in, with a folder for those of attempts.
fn cgroups() -> Option<PathBuf> {
    let made = daybook::exec::cgroups::site().and_then(|site| {
        let folder = site.folder.join(format!("daybook-test-exec-{}", std::process::id()));
        std::fs::create_dir(&folder).map(|()| folder).map_err(|error| error.to_string())
    });
    made.inspect_err(|why| println!("skipped: no cgroup of version 2 can be made here: {why}")).ok()
}

#[tokio::test]
async fn the_cgroup_it_is_left_in_is_removed_once_it_has_ended() {
    let Some(folder) = cgroups() else { return };
    let shim = env!("CARGO_BIN_EXE_daybook").into();
    let mut bench = Bench::with(shim, Some(folder.clone()));
    let others = || std::fs::read_dir(&folder).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
    bench.run(shell("true")).await;
    assert_eq!(others(), 0, "nothing was left, and so no cgroup");
    bench.run(Spec { leave_background: true, ..shell("sleep 1000 >/dev/null 2>&1 & echo $!") }).await;
    bench.processes.clear_cgroups();
    assert_eq!(others(), 1, "somebody is in there");
    let process = rustix::process::Pid::from_raw(pid(&bench.output().await) as i32).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    let gone = async {
        while others() > 0 {
            bench.processes.clear_cgroups();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(gone).await;
    std::fs::remove_dir(folder).unwrap();
}
