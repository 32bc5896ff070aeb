//! What a job prints is kept, in order, bounded, and can be read while it grows.

use daybook::exec::{Outcome, OutputSize, Spec, Stop};

use crate::bench::{Bench, JOB, command, shell, soon};

#[tokio::test]
async fn both_streams_in_the_order_of_writing() {
    let output = Bench::new().print(shell("echo 1; echo 2 >&2; echo 3; echo 4 >&2")).await;
    assert_eq!(output, "1\n2\n3\n4\n");
}

#[tokio::test]
async fn silence_makes_no_file() {
    let mut bench = Bench::new();
    let ended = bench.run(command(&["true"])).await;
    assert_eq!(ended.output, OutputSize::default());
    assert!(!bench.outputs.path(JOB, 1).exists());
    assert_eq!(bench.output().await, "");
}

#[tokio::test]
async fn the_first_bytes_are_kept_and_the_rest_is_counted() {
    let mut bench = Bench::new();
    let job = "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last";
    let ended = bench.run(Spec { output_max: 1_000_000, ..shell(job) }).await;
    assert_eq!(ended.outcome, Outcome::Succeeded { exit_code: 0 });
    assert_eq!(ended.output, OutputSize { kept: 1_000_000, dropped: 4_000_006 });
    let output = bench.output().await;
    let (kept, line) = output.split_at(1_000_000);
    assert!(kept.bytes().all(|byte| byte == b'x'));
    assert_eq!(line, "\n[daybook: 4000006 more bytes dropped: at most 1000000 are kept]\n");
}

#[tokio::test]
async fn exactly_as_much_as_is_kept_drops_nothing() {
    let mut bench = Bench::new();
    let ended = bench.run(Spec { output_max: 6, ..shell("echo 12345") }).await;
    assert_eq!(ended.output, OutputSize { kept: 6, dropped: 0 });
    assert_eq!(bench.output().await, "12345\n");
    let ended = bench.run(Spec { output_max: 0, ..shell("echo 12345") }).await;
    assert_eq!(ended.output, OutputSize { kept: 0, dropped: 6 });
    assert_eq!(bench.output().await, "[daybook: 6 more bytes dropped: at most 0 are kept]\n");
}

#[tokio::test]
async fn a_follower_sees_each_line_when_it_comes_and_the_end() {
    let mut bench = Bench::new();
    let (one, two) = (bench.path("one"), bench.path("two"));
    let job = format!("mkfifo {one} {two}; echo ready; read line <{one}; echo got $line; read line <{two}; echo bye");
    let (_, mut follow) = bench.ready(shell(&job)).await;
    let tell = |fifo, line| soon(tokio::task::spawn_blocking(move || std::fs::write(fifo, line).unwrap()));
    tell(one, "one\n").await.unwrap();
    assert_eq!(soon(follow.next()).await.unwrap().as_deref(), Some(&b"got one\n"[..]));
    tell(two, "two\n").await.unwrap();
    assert_eq!(soon(follow.next()).await.unwrap().as_deref(), Some(&b"bye\n"[..]));
    assert_eq!(soon(follow.next()).await.unwrap(), None);
    assert_eq!(follow.offset(), bench.output().await.len() as u64);
    bench.ended().await;
}

#[tokio::test]
async fn a_follower_of_a_silent_attempt_waits_for_its_end() {
    let mut bench = Bench::new();
    // Nothing has been spawned yet, and still there is something to follow.
    bench.processes.start(crate::bench::start(shell("sleep 1000")));
    let mut follow = bench.outputs.follow(JOB, 1, 0);
    let daybook::exec::Report::Spawned { .. } = bench.report().await else { panic!("not spawned") };
    assert!(tokio::time::timeout(std::time::Duration::ZERO, follow.next()).await.is_err(), "it is not over");
    bench.processes.stop(JOB, 1, Stop::Kill);
    assert_eq!(soon(follow.next()).await.unwrap(), None);
    bench.ended().await;
    assert_eq!(soon(bench.outputs.follow(JOB, 77, 0).next()).await.unwrap(), None, "there never was such an attempt");
}

#[tokio::test]
async fn a_large_output_arrives_whole_at_a_follower_and_from_any_offset() {
    let mut bench = Bench::new();
    bench.processes.start(crate::bench::start(shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")));
    let output = bench.output().await;
    bench.ended().await;
    let expected: String = (0..20_000).map(|i| format!("line {i}\n")).collect();
    assert!(output == expected, "{} bytes of {}", output.len(), expected.len());
    let end = bench.outputs.read(JOB, 1, expected.len() as u64 - 5).await.unwrap();
    assert_eq!(end, b"9999\n");
    assert_eq!(bench.outputs.read(JOB, 1, u64::MAX).await.unwrap(), b"");
}

#[tokio::test]
async fn what_cannot_be_written_is_counted_and_the_job_goes_on() {
    let mut bench = Bench::new();
    let path = bench.outputs.path(JOB, 1);
    let job = format!("mkdir {}; head -c 300000 /dev/zero; exit 0", path.display());
    let ended = bench.run(shell(&job)).await;
    assert_eq!(ended.outcome, Outcome::Succeeded { exit_code: 0 });
    assert_eq!(ended.output, OutputSize { kept: 0, dropped: 300_000 });
    assert!(ended.notes[0].starts_with("output was dropped: "), "{ended:?}");
}

#[tokio::test]
async fn an_attempt_of_the_same_number_starts_afresh() {
    let mut bench = Bench::new();
    assert_eq!(bench.print(shell("echo a long line")).await, "a long line\n");
    assert_eq!(bench.print(shell("echo b")).await, "b\n");
    bench.run(shell("true")).await;
    assert_eq!(bench.output().await, "");
}
