//! The end of the machine: everybody gets SIGTERM, in any order.

use daybook::exec::{Exit, Outcome};
use daybook::shim::Look;
use rustix::process::{Pid, Signal};

use crate::bench::{Bench, command, shell, until};

#[test]
fn a_job_that_gets_it_before_its_shim_is_interrupted() {
    let bench = Bench::new();
    let both = "my $main = $$; fork or kill(TERM => $main), kill(TERM => getppid), exit; sleep 1000";
    let both = both.replace("getppid", "$shim");
    let ended = bench.run(command(&["perl", "-e", &format!("my $shim = getppid; {both}")]));
    assert_eq!(ended.outcome, Outcome::Interrupted, "{ended:?}");
}

#[test]
fn both_at_one_instant_are_an_interruption() {
    let bench = Bench::new();
    let mut shim = bench.start(&bench.order(shell("echo ready; exec sleep 1000")));
    shim.printed("ready");
    shim.signal(Signal::STOP);
    let Look::Alive(Some(_)) = shim.look() else { panic!("{:?}", shim.look()) };
    let children = format!("/proc/{0}/task/{0}/children", shim.pid());
    let job: i32 = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(Pid::from_raw(job).unwrap(), Signal::TERM).unwrap();
    let stat = format!("/proc/{job}/stat");
    until("dead", || std::fs::read_to_string(&stat).unwrap().contains(") Z ").then_some(()));
    shim.signal(Signal::TERM);
    shim.signal(Signal::CONT);
    assert_eq!(shim.ended().outcome, Outcome::Interrupted);
}

#[test]
fn a_job_that_ends_itself_so_has_failed() {
    let ended = Bench::new().run(shell("kill -TERM $$"));
    assert_eq!(ended.outcome, Outcome::Failed { exit: Exit::Signal { number: 15, core_dumped: false } });
}
