//! Limits that only a cgroup keeps: a job that is to have them does not run without.

use daybook::exec::Outcome;

use crate::bench::{Bench, shell};

#[test]
fn a_limit_that_cannot_be_set_keeps_the_job_from_starting() {
    let bench = Bench::new();
    let mut spec = shell(": > ran");
    spec.cwd = Some(bench.folder.path().to_owned());
    spec.memory_max = Some(1 << 30);
    let without = bench.order(spec.clone());
    let mut nowhere = bench.order(spec);
    nowhere.cgroup = Some(bench.path("cgroup"));
    for (order, reason) in [(without, "there is no cgroup"), (nowhere, "it is not below a cgroup")] {
        let ended = bench.start(&order).ended();
        let Outcome::NotStarted { error } = &ended.outcome else { panic!("{ended:?}") };
        assert!(error.starts_with("cannot start: its limits") && error.contains(reason), "{error}");
        assert!(!bench.path("ran").exists());
    }
}

#[test]
fn without_limits_it_runs_where_no_cgroup_can_be_made_and_a_note_says_so() {
    let bench = Bench::new();
    let mut order = bench.order(shell("true"));
    order.cgroup = Some(bench.path("cgroup"));
    let ended = bench.start(&order).ended();
    assert_eq!(ended.outcome, Outcome::Succeeded { exit_code: 0 });
    assert!(ended.notes.len() == 1 && ended.notes[0].starts_with("it ran without a cgroup: "), "{ended:?}");
}
