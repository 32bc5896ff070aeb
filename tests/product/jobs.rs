//! Jobs: what is shown of them in each state, their output, their place in the queue.

use serde_json::{Value, json};

use crate::daemon::{Place, touch, until};
use crate::said;

#[test]
fn a_completed_job_has_no_error_whatever_came_before() {
    let place = Place::new(
        "[task.second]\nshell = \"test $DAYBOOK_ATTEMPT = 2\"\nbackoff = \"1ms\"\n[task.ok]\ncommand = [\"true\"]",
    );
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "second" }));
    let view = daemon.wait_state(job, "completed");
    assert_eq!((&view["attempts"], &view["error"]), (&json!(2), &Value::Null));

    let job = daemon.add(json!({ "task": "ok", "in": 1000 }));
    daemon.post(&format!("/v1/jobs/{job}/cancel"), json!({}));
    assert!(daemon.job(job)["error"].as_str().unwrap().starts_with("cancelled by user"));
    daemon.post(&format!("/v1/jobs/{job}/retry"), json!({}));
    assert_eq!(daemon.wait_state(job, "completed")["error"], Value::Null);
    daemon.stop();
    place.verify();
}

#[test]
fn the_progress_of_a_finished_job_is_refused_as_what_it_is() {
    let place = Place::new("[task.ok]\ncommand = [\"true\"]");
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "ok" }));
    daemon.wait_state(job, "completed");
    let progress = |job: u64| daemon.send("POST", &format!("/v1/jobs/{job}/progress"), r#"{"current":1,"total":2}"#);
    let answer = progress(job);
    assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("not_running")), "{}", answer.text());
    let answer = progress(job + 1);
    assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("not_found")), "{}", answer.text());
}

#[test]
fn the_output_of_an_attempt_that_printed_nothing_is_empty() {
    let config = "[task.first]\nshell = \"test $DAYBOOK_ATTEMPT = 2 || { echo one; exit 1; }\"\nbackoff = \"1ms\"\n\
                  [task.late]\ncommand = [\"true\"]\n[task.waits]\n\
                  shell = \"until test -e $DIR/go; do sleep 0.01; done; echo went\"";
    let place = Place::new(config);
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "first" })).to_string();
    daemon.wait_state(1, "completed");
    assert_eq!(said(&place.cli(["output", &job])), "", "the last attempt's, which has none");
    assert_eq!(said(&place.cli(["output", &job, "--attempt", "1"])), "one\n");
    for (attempt, code) in [("2", 0), ("3", 1)] {
        assert_eq!(place.cli(["output", &job, "--attempt", attempt]).status.code(), Some(code), "{attempt}");
    }

    let job = daemon.add(json!({ "task": "late", "in": 1000 }));
    let answer = daemon.send("GET", &format!("/v1/jobs/{job}/output"), "");
    assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("no_output")), "no attempt yet");

    let job = daemon.add(json!({ "task": "waits" }));
    daemon.wait_state(job, "running");
    let number = job.to_string();
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| said(&place.cli(["output", "-f", &number])));
        touch(&place.path("go"));
        assert_eq!(follower.join().unwrap(), "went\n");
    });
}

#[test]
fn many_jobs_in_one_call_find_the_queue_as_if_they_came_one_by_one() {
    let place = Place::new("[task.one]\nshell = \"exec sleep 1000\"\nqueue_size = 2");
    let daemon = place.start();
    let answers = daemon.post("/v1/jobs", json!([{"task":"one"}, {"task":"one"}, {"task":"one"}, {"task":"one"}]));
    let codes: Vec<_> = answers.as_array().unwrap().iter().map(|answer| answer["code"].as_str()).collect();
    assert_eq!(codes, [None, None, None, Some("queue_full")], "the first one runs, two wait");
}

#[test]
fn numbers_that_readers_of_json_cannot_hold_are_text() {
    let place = Place::new("[task.ok]\ncommand = [\"sleep\", \"2\"]");
    let daemon = place.start();
    daemon.add(json!({ "task": "ok" }));
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    until("the attempt is spawned", || {
        let journal = said(&place.cli(["journal", "--json"]));
        let mut events = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let spawned = events.find(|event| event["event"] == "attempt_spawned")?;
        assert_eq!(spawned["process"]["boot_id"], boot_id.trim());
        Some(())
    });
}

#[test]
fn a_result_that_is_too_large_is_told_and_the_job_completed_all_the_same() {
    let place = Place::new(
        "[task.large]\nshell = \"head -c 70000 /dev/zero | tr '\\\\0' 1 >$DAYBOOK_RESULT\"\n\
         [task.fails]\nshell = \"mkfifo $DAYBOOK_RESULT; exit 3\"\nattempts = 1",
    );
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "large" }));
    let view = daemon.wait_state(job, "completed");
    let note = "the result is dropped: it is larger than 65536 bytes";
    assert_eq!((&view["result"], &view["error"]), (&Value::Null, &json!(note)));
    let shown = said(&place.cli(["show", &job.to_string()]));
    assert!(shown.contains(&format!("note        {note}")), "{shown}");
    let job = daemon.add(json!({ "task": "fails" }));
    let error = daemon.wait_state(job, "discarded")["error"].as_str().unwrap().to_owned();
    assert!(error.contains("exit code 3; the result is dropped"), "{error}");
}
