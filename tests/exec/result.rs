//! What a job writes into `DAYBOOK_RESULT` is handed over with its end.

use daybook::core::limits::RESULT_BYTES_MAX;
use daybook::exec::{Exit, Outcome};

use crate::bench::{Bench, JOB, shell};

#[tokio::test]
async fn json_and_text_and_nothing() {
    let mut bench = Bench::new();
    let json = bench.run(shell("echo '{\"rows\": 3}' >$DAYBOOK_RESULT")).await;
    assert_eq!(json.result.as_deref(), Some("{\"rows\": 3}"));
    let text = bench.run(shell("echo all well >$DAYBOOK_RESULT")).await;
    assert_eq!(text.result.as_deref(), Some("\"all well\""));
    let empty = bench.run(shell(": >$DAYBOOK_RESULT")).await;
    assert_eq!((empty.result, empty.notes), (None, vec![]));
    // A daemon that is killed before it has the end on disk leaves it to the next one.
    let files = || std::fs::read_dir(bench.outputs.path(JOB, 1).parent().unwrap()).unwrap().count();
    assert_eq!(files(), 1, "it is there until nobody needs it");
    bench.processes.forget(JOB, 1);
    assert_eq!(files(), 0, "result files do not stay");
}

#[tokio::test]
async fn a_failure_may_have_one_too() {
    let ended = Bench::new().run(shell("echo 7 >$DAYBOOK_RESULT; exit 1")).await;
    assert_eq!((ended.outcome, ended.result.as_deref()), (Outcome::Failed { exit: Exit::Code(1) }, Some("7")));
}

#[tokio::test]
async fn too_large_it_is_dropped_with_a_note_and_the_success_stays() {
    let job = format!("head -c {} /dev/zero | tr '\\0' 1 >$DAYBOOK_RESULT", RESULT_BYTES_MAX + 1);
    let ended = Bench::new().run(shell(&job)).await;
    assert_eq!((ended.outcome, ended.result), (Outcome::Succeeded { exit_code: 0 }, None));
    assert_eq!(ended.notes, [format!("the result is dropped: it is larger than {RESULT_BYTES_MAX} bytes")]);
}

#[tokio::test]
async fn a_fifo_in_its_place_blocks_nobody() {
    let ended = Bench::new().run(shell("mkfifo $DAYBOOK_RESULT")).await;
    assert_eq!((ended.outcome, ended.result), (Outcome::Succeeded { exit_code: 0 }, None));
    assert_eq!(ended.notes.len(), 1);
}

#[tokio::test]
async fn a_folder_in_its_place_is_no_result_and_does_not_stay() {
    let mut bench = Bench::new();
    let ended = bench.run(shell("mkdir -p $DAYBOOK_RESULT/a; echo 1 >$DAYBOOK_RESULT/a/b")).await;
    assert_eq!((ended.outcome, ended.result), (Outcome::Succeeded { exit_code: 0 }, None));
    assert_eq!(ended.notes, ["the result is dropped: it is not a regular file"]);
    let result = bench.outputs.path(JOB, 1).with_extension("result");
    assert!(result.is_dir());
    bench.processes.forget(JOB, 1);
    assert!(!result.exists());
}

#[tokio::test]
async fn one_that_an_earlier_life_left_is_not_taken() {
    let mut bench = Bench::new();
    let stale = bench.outputs.path(JOB, 1).with_extension("result");
    std::fs::create_dir_all(stale.parent().unwrap()).unwrap();
    std::fs::write(&stale, "stale").unwrap();
    assert_eq!(bench.run(shell("true")).await.result, None);
}
