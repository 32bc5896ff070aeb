//! Processes that a killed daemon and its killed shims have left running are ended before their job runs again: no two
//! copies at once.

use serde_json::{Value, json};

use crate::daemon::{Daemon, Place, touch, until};

/// What kills the daemon, the parent of the process that the shim was forked from, and then the shim, for a shell of the
/// attempt. In this order: who has lost its shim is ended by a daemon that lives.
const KILL_BOTH: &str =
    r#"{ parent() { sed "s/.*) . \([0-9]*\) .*/\1/" /proc/$1/stat; }; kill -9 $(parent $(parent $PPID)) $PPID; }"#;

/// A job of two processes, both deaf to SIGTERM, that notes whether one of an earlier attempt still runs. `$1` is what it does
/// once it has begun. (A zombie has no command line.)
fn deaf_tree(then: &str) -> Place {
    let place = Place::new(&format!(
        "[task.tree]\nshell = '''\n\
         trap \"\" TERM\n\
         runs() {{ test -n \"$(tr -d \"\\0\" < /proc/$1/cmdline 2>/dev/null)\"; }}\n\
         for pid in $(cat $DIR/pids); do runs $pid && echo \"$pid still runs\" >> $DIR/both; done\n\
         (until test -e $DIR/go; do sleep 0.02; done) &\n\
         echo $$ $! >> $DIR/pids\n\
         echo \"$DAYBOOK_ATTEMPT\" >> $DIR/begun\n\
         {then}\n\
         wait\n'''\n"
    ));
    touch(&place.path("pids"));
    place
}

fn wait_begun(place: &Place, attempts: usize) {
    until("the attempt has begun", || (place.read("begun").lines().count() == attempts).then_some(()));
}

#[track_caller]
fn ends_well(place: &Place, daemon: &Daemon, job: u64) {
    touch(&place.path("go"));
    daemon.wait_state(job, "completed");
    assert_eq!(place.read("both"), "", "two attempts ran at once");
}

#[test]
fn all_processes_of_the_job_are_ended_first() {
    let place = deaf_tree("");
    let daemon = place.start();
    let job = daemon.add(json!({"task": "tree"}));
    wait_begun(&place, 1);
    until("its process is on record", || {
        let journal = daemon.send("GET", &format!("/v1/journal?job={job}"), "").text();
        journal.contains("attempt_spawned").then_some(())
    });
    daemon.kill_with_shims();
    let daemon = place.start();
    wait_begun(&place, 2);
    ends_well(&place, &daemon, job);
}

#[test]
fn also_when_the_daemon_died_before_it_had_the_process_on_record() {
    let place = deaf_tree(&format!("test \"$DAYBOOK_ATTEMPT\" -gt 2 || {KILL_BOTH}"));
    let mut daemon = place.start();
    let job = daemon.add(json!({"task": "tree"}));
    for attempt in 1..=2 {
        daemon.wait_exit();
        wait_begun(&place, attempt);
        daemon = place.launch();
    }
    daemon.wait_ready();
    wait_begun(&place, 3);
    ends_well(&place, &daemon, job);
}

#[test]
fn also_when_others_were_just_being_started() {
    // Twelve at once, of which one kills the daemon with its first act; the others are at any stage by then.
    let place = Place::new(&format!(
        "[task.burst]\nconcurrency = 12\nshell = '''\n\
         test \"$DAYBOOK_ATTEMPT $DAYBOOK_ARGS\" != \"1 7\" || {KILL_BOTH}\n\
         runs() {{ test -n \"$(tr -d \"\\0\" < /proc/$1/cmdline 2>/dev/null)\"; }}\n\
         for pid in $(cat $DIR/pid.$DAYBOOK_JOB 2>/dev/null); do runs $pid && echo $pid >> $DIR/both; done\n\
         echo $$ >> $DIR/pid.$DAYBOOK_JOB\n\
         echo \"$DAYBOOK_JOB $DAYBOOK_ATTEMPT\" >> $DIR/begun\n\
         until test -e $DIR/go; do sleep 0.02; done\n'''\n",
    ));
    let live = "state=scheduled,available,running,retryable,interrupted";
    for _ in 0..4 {
        let mut daemon = place.start();
        let jobs: Vec<_> = (0..12).map(|number| json!({"task": "burst", "args": number})).collect();
        // Its answer may be lost.
        let _: Result<_, _> = daemon.client().send("POST", "/v1/jobs", "application/json", &json!(jobs).to_string());
        daemon.wait_exit();
        let daemon = place.start();
        let begun = |job: &Value| place.read("begun").contains(&format!("{} {}\n", job["id"], job["attempts"]));
        until("all run", || daemon.jobs(live).iter().all(begun).then_some(()));
        touch(&place.path("go"));
        until("all are done", || daemon.jobs(live).is_empty().then_some(()));
        assert_eq!(place.read("both"), "", "two attempts ran at once");
        std::fs::remove_file(place.path("go")).unwrap();
        daemon.stop();
    }
}

#[test]
fn also_when_the_main_process_is_gone_and_others_of_its_group_are_not() {
    let place = deaf_tree(&format!("test \"$DAYBOOK_ATTEMPT\" -gt 1 || {{ {KILL_BOTH}; kill -9 $$; }}"));
    let mut daemon = place.start();
    let job = daemon.add(json!({"task": "tree"}));
    daemon.wait_exit();
    let mut daemon = place.start();
    wait_begun(&place, 2);
    assert!(daemon.is_up());
    ends_well(&place, &daemon, job);
}

#[test]
fn a_job_that_is_held_has_no_processes_either() {
    let place = Place::new(
        "[task.wait]\non_interrupt = \"hold\"\n\
         shell = 'echo $TMPDIR > $DIR/temporary; echo $$ > $DIR/begun; until test -e $DIR/go; do sleep 0.02; done'\n",
    );
    let daemon = place.start();
    let job = daemon.add(json!({"task": "wait"}));
    wait_begun(&place, 1);
    let temporary = place.read("temporary");
    assert!(std::path::Path::new(temporary.trim()).is_dir(), "{temporary}");
    daemon.kill_with_shims();
    let daemon = place.start();
    daemon.wait_state(job, "interrupted");
    assert_eq!(place.job_processes(), []);
    assert!(!std::path::Path::new(temporary.trim()).exists(), "nor temporary files");
}
