//! How an attempt is ended: by its time-out, and by those who ask for it.

use std::time::Duration;

use daybook::exec::Outcome;
use rustix::process::Signal;

use crate::bench::{Bench, shell};

const STAYS: &str = "echo ready; exec sleep 1000";
const IGNORES: &str = "trap '' TERM; echo ready; while :; do sleep 0.1; done";

#[track_caller]
fn asked(text: &str, grace: Duration, signals: &[Signal]) -> Outcome {
    let bench = Bench::new();
    let mut spec = shell(text);
    spec.grace = grace;
    let mut shim = bench.start(&bench.order(spec));
    shim.printed("ready");
    signals.iter().for_each(|&signal| shim.signal(signal));
    shim.ended().outcome
}

#[test]
fn each_signal_has_its_outcome() {
    let long = Duration::from_secs(1000);
    assert_eq!(asked(STAYS, long, &[Signal::USR1]), Outcome::Cancelled);
    assert_eq!(asked(STAYS, long, &[Signal::TERM]), Outcome::Interrupted);
    assert_eq!(asked(IGNORES, long, &[Signal::USR2]), Outcome::Interrupted);
    assert_eq!(asked(IGNORES, long, &[Signal::TERM, Signal::USR1, Signal::USR2]), Outcome::Cancelled, "wishes add up");
    assert_eq!(asked(IGNORES, Duration::from_millis(100), &[Signal::USR1]), Outcome::Cancelled);
}

#[test]
fn signals_that_are_not_meant_for_it_do_nothing() {
    let signals = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::PIPE, Signal::ALARM, Signal::USR1];
    assert_eq!(asked(STAYS, Duration::from_secs(1000), &signals), Outcome::Cancelled);
}

#[test]
fn a_time_out_ends_it_with_grace_and_without() {
    let after = Duration::from_millis(300);
    for (text, killed) in [(STAYS, false), (IGNORES, true)] {
        let bench = Bench::new();
        let mut spec = shell(text);
        spec.timeout = Some(after);
        spec.grace = if killed { Duration::from_millis(100) } else { Duration::from_secs(1000) };
        assert_eq!(bench.run(spec).outcome, Outcome::TimedOut { after, killed });
    }
}

#[test]
fn sigterm_is_given_once() {
    let bench = Bench::new();
    // Both, the one in the group and the one outside, count what they get until the other is gone too.
    let counts = "perl -e '$|=1; my $n=0; $SIG{TERM}=sub{$n++}; print \"ready\\n\"; select(undef,undef,undef,0.05) \
                  until $n; select(undef,undef,undef,0.3) for 1..3; print \"got $n\\n\"'";
    let mut spec = shell(&format!("trap '' TERM; setsid {counts} & {counts}; wait"));
    spec.grace = Duration::from_secs(1000);
    let mut shim = bench.start(&bench.order(spec));
    shim.printed("ready\nready");
    shim.signal(Signal::USR1);
    assert_eq!(shim.ended().outcome, Outcome::Cancelled);
    assert_eq!(bench.output().matches("got 1\n").count(), 2, "{}", bench.output());
}
