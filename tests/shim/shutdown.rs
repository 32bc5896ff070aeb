//! The end of the machine: everybody gets SIGTERM, in any order.

use daybook::exec::{Exit, Outcome};

use crate::bench::{Bench, shell};

#[test]
fn a_job_that_gets_it_before_its_shim_is_interrupted() {
    let bench = Bench::new();
    let ended = bench.run(shell("kill -TERM $$ & (sleep 0.01; kill -TERM $PPID) & wait"));
    // The shell is ended by the first, its shim told by the second.
    assert_eq!(ended.outcome, Outcome::Interrupted, "{ended:?}");
}

#[test]
fn a_job_that_ends_itself_so_has_failed() {
    let ended = Bench::new().run(shell("kill -TERM $$"));
    assert_eq!(ended.outcome, Outcome::Failed { exit: Exit::Signal { number: 15, core_dumped: false } });
}
