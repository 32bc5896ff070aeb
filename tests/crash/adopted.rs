//! What became of attempts while no daemon lived, and run files that are not what they seem.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use daybook::exec::Identity;
use daybook::shim::{Marked, RunFile};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::daemon::{Place, touch, until};

/// A task that waits for the file `go`, and then does what is left.
fn waiting(then: &str, more: &str) -> Place {
    Place::new(&format!(
        "[task.wait]\nattempts = 1\n{more}\nshell = '''echo \"$DAYBOOK_ATTEMPT\" >> $DIR/begun\n\
         until test -e $DIR/go; do sleep 0.02; done\n{then}'''\n"
    ))
}

/// A job that has begun, whose daemon is killed.
fn left_alone(place: &Place) -> u64 {
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait"}));
    until("it has begun", || (place.read("begun") == "1\n").then_some(()));
    daemon.kill();
    job
}

/// The same, with the shim too and without anything of the job, so that its run file can be replaced.
fn left_dead(place: &Place) -> u64 {
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait"}));
    until("it has begun", || (place.read("begun") == "1\n").then_some(()));
    daemon.kill_with_shims();
    touch(&place.path("go"));
    until("its process has ended", || place.job_processes().is_empty().then_some(()));
    fs::remove_file(place.path("go")).unwrap();
    job
}

fn wait_over(place: &Place) {
    until("its shim has ended", || place.shims().is_empty().then_some(()));
}

#[track_caller]
fn check_over(place: &Place, job: u64, state: &str) -> Value {
    let daemon = place.start();
    let view = daemon.wait_state(job, state);
    assert_eq!((&view["attempts"], place.read("begun").as_str()), (&json!(1), "1\n"), "{view}");
    until("no run file is left", || fs::read_dir(place.state().join("runs")).unwrap().next().is_none().then_some(()));
    place.verify();
    assert!(!place.log().contains("holds what is not Daybook's"), "{}", place.log());
    view
}

#[test]
fn an_end_that_no_daemon_saw_is_kept_with_output_and_result() {
    let place = waiting("echo late; echo \"{\\\"n\\\": 1}\" > \"$DAYBOOK_RESULT\"", "");
    let job = left_alone(&place);
    touch(&place.path("go"));
    wait_over(&place);
    // Also over a daemon that dies before it has taken it in, or after.
    place.launch().kill();
    let view = check_over(&place, job, "completed");
    assert_eq!(view["result"], json!({"n": 1}));
    assert_eq!(place.start().send("GET", &format!("/v1/jobs/{job}/output"), "").text(), "late\n");
}

#[test]
fn a_failure_that_no_daemon_saw_is_one() {
    let place = waiting("exit 3", "");
    let job = left_alone(&place);
    touch(&place.path("go"));
    wait_over(&place);
    let view = check_over(&place, job, "discarded");
    assert!(view["error"].as_str().unwrap().contains("exit code 3"), "{view}");
}

#[test]
fn a_time_out_needs_no_daemon() {
    let place = waiting("", "timeout = \"1s\"\ngrace = \"1s\"");
    let job = left_alone(&place);
    wait_over(&place);
    assert!(place.job_processes().is_empty());
    let view = check_over(&place, job, "discarded");
    assert!(view["error"].as_str().unwrap().contains("timed out after 1s"), "{view}");
}

#[test]
fn a_job_whose_shim_is_killed_under_a_daemon_that_lives_runs_again_soon() {
    // The next sweep by the clock is an hour away.
    let place = waiting("", "");
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait"}));
    until("it has begun", || (place.read("begun") == "1\n").then_some(()));
    for shim in place.shims() {
        kill_process(shim, Signal::KILL).unwrap();
    }
    until("it runs again", || (place.read("begun") == "1\n2\n").then_some(()));
    touch(&place.path("go"));
    assert_eq!(daemon.wait_state(job, "completed")["attempts"], 2);
    let journal = daemon.send("GET", &format!("/v1/journal?job={job}"), "").text();
    assert!(journal.contains("looked after it was killed"), "{journal}");
}

#[test]
fn an_adopted_one_counts_for_concurrency_and_can_be_cancelled() {
    let place = waiting("", "");
    let job = left_alone(&place);
    let daemon = place.start();
    let next = daemon.add(json!({"task": "wait"}));
    assert!(daemon.why(next).contains("places of task `wait` are taken"), "{}", daemon.why(next));
    assert_eq!((daemon.state(job), daemon.state(next)), ("running".into(), "available".into()));
    daemon.post(&format!("/v1/jobs/{job}/cancel"), json!({"reason": "enough"}));
    let cancelled = daemon.wait_state(job, "cancelled");
    assert!(cancelled["error"].as_str().unwrap().contains("enough"), "{cancelled}");
    until("the next one has begun", || (place.read("begun") == "1\n1\n").then_some(()));
    touch(&place.path("go"));
    daemon.wait_state(next, "completed");
}

/// `leave` puts the run file into the state in which a killed daemon left it.
#[track_caller]
fn check_started_once(leave: impl FnOnce(&Path)) {
    let place = waiting("", "on_interrupt = \"fail\"");
    let job = left_dead(&place);
    leave(&place.state().join(format!("runs/{job}.1")));
    fs::remove_file(place.path("begun")).unwrap();
    let daemon = place.start();
    until("it has begun", || (place.read("begun") == "1\n").then_some(()));
    touch(&place.path("go"));
    assert_eq!(daemon.wait_state(job, "completed")["attempts"], 1);
    assert_eq!(place.read("begun"), "1\n");
}

#[test]
fn what_was_accepted_and_never_started_is_started_once() {
    check_started_once(|file| drop(RunFile::create(file).unwrap()));
}

#[test]
fn also_when_the_daemon_was_killed_while_it_made_the_run_file() {
    check_started_once(|file| drop(fs::File::create(file).unwrap()));
}

/// A process that is none of a job, and the identity of one that had its number before.
struct Foreign(Child, Identity);

impl Foreign {
    fn new() -> Foreign {
        let child = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let now = Identity::of(child.id()).unwrap();
        let before = Identity { start_time: now.start_time - 1, ..now };
        Foreign(child, before)
    }

    /// Makes a run file of the first attempt that names it.
    fn forge(&self, place: &Place, job: u64) -> RunFile {
        let path = place.state().join(format!("runs/{job}.1"));
        let run = RunFile::create(&path).unwrap();
        run.mark(&Marked { shim: self.1, cgroup: None, temporary: None }).unwrap();
        run.live(&self.1).unwrap();
        run
    }

    #[track_caller]
    fn check_untouched(&mut self) {
        assert_eq!(self.0.try_wait().unwrap(), None, "a foreign process was signalled");
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Whether somebody holds the lock of the forged file.
fn check_forged(is_locked: bool, reason: &str) {
    let place = waiting("", "");
    let job = left_dead(&place);
    let mut foreign = Foreign::new();
    let run = foreign.forge(&place, job);
    let held = is_locked.then_some(run);
    let daemon = place.start();
    until("it runs again", || (place.read("begun") == "1\n2\n").then_some(()));
    let journal = daemon.send("GET", &format!("/v1/journal?job={job}"), "").text();
    assert!(journal.contains(reason) && !journal.contains("attempt_adopted"), "{journal}");
    // Nor when somebody wants the job to end.
    daemon.post(&format!("/v1/jobs/{job}/cancel"), json!({}));
    daemon.wait_state(job, "cancelled");
    foreign.check_untouched();
    drop(held);
}

#[test]
fn a_number_that_somebody_else_has_now_is_not_signalled() {
    check_forged(false, "the process that looked after it was killed");
}

#[test]
fn a_number_that_somebody_else_has_now_is_not_adopted() {
    check_forged(true, "its run file cannot be trusted");
}
