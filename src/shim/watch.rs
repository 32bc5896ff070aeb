//! The time from the start of the job's main process until nothing of the attempt is left.
//!
//! ```text
//! the main process runs ──exits by itself───────┬─▶ settle ─▶ stragglers ─▶ Succeeded | Failed
//!   │ time-out | signal                         │
//! TERM to all ─ grace ─ KILL to all ──exits─────┴─▶ settle ─▶ stragglers ─▶ TimedOut | Cancelled | Interrupted
//! ```

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use rustix::process::Signal;

use super::output::Output;
use super::run_file::Stragglers;
use super::signals::Signals;
use super::tree::{self, Tree};
use crate::core::limits::DURATION_MAX;
use crate::exec::{Exit, Outcome, Spec};

/// What outlives the main process is left in peace until the output was quiet for so long: a filter that the job
/// prints through ends by itself.
const QUIET: Duration = Duration::from_millis(150);
/// And no longer than this, if it prints and prints.
const LINGER_MAX: Duration = Duration::from_secs(1);
/// The longest that it then gets to act on SIGTERM; less if the grace is less.
const STRAGGLER_GRACE_MAX: Duration = Duration::from_secs(2);
/// How long to wait for all to be gone after SIGKILL. Who is still there sits in a system call that cannot be
/// interrupted, or belongs to another user.
const KILLED_WAIT: Duration = Duration::from_secs(2);
/// Between two passes of killing, when the last one has found nobody new.
const PASS_EVERY_MIN: Duration = Duration::from_millis(1);
const PASS_EVERY_MAX: Duration = Duration::from_millis(50);
/// At a shutdown everybody gets SIGTERM, in any order: ours may come so long after the job's.
const SHUTDOWN_SKEW: Duration = Duration::from_millis(50);
/// Stragglers that are named.
const NAMES_MAX: usize = 8;

/// One attempt whose main process has been made.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    spec: &'a Spec,
    signals: &'a Signals,
    tree: &'a mut Tree,
    output: Output,
    /// Of the main process, once it has ended.
    status: Option<ExitStatus>,
    ending: Option<Ending>,
}

/// That we have begun to end the job, and why.
#[derive(Clone, Copy, Debug)]
struct Ending {
    timed_out: bool,
    kill_at: Instant,
    killed: bool,
}

impl<'a> Watch<'a> {
    pub fn new(spec: &'a Spec, signals: &'a Signals, tree: &'a mut Tree, output: Output) -> Watch<'a> {
        Watch { spec, signals, tree, output, status: None, ending: None }
    }

    /// Waits for the end of it all.
    pub fn run(mut self) -> (Outcome, Stragglers, Output) {
        // A signal may have come while it was being made.
        self.status = self.tree.reap();
        let status = self.watch_main();
        let interrupted = self.ending.is_none() && self.is_ended_by_shutdown(status);
        self.settle();
        let stragglers = self.end_stragglers();
        (self.outcome(status, interrupted), stragglers, self.output)
    }

    /// Waits for the main process, and ends it if need be.
    fn watch_main(&mut self) -> ExitStatus {
        let deadline = self.spec.timeout.map(far);
        let mut pass_every = PASS_EVERY_MIN;
        loop {
            // A process that has ended by itself was not ended by us, even if both come at once.
            if let Some(status) = self.status {
                return status;
            }
            let now = Instant::now();
            let is_late = deadline.is_some_and(|deadline| now >= deadline);
            if self.ending.is_none() && (is_late || self.signals.any()) {
                self.tree.terminate();
                let timed_out = !self.signals.any();
                self.ending = Some(Ending { timed_out, kill_at: far(self.spec.grace), killed: false });
            }
            let alarm = match &mut self.ending {
                None => deadline,
                Some(ending) if ending.killed || now >= ending.kill_at || self.signals.is_kill() => {
                    ending.killed = true;
                    self.tree.kill();
                    // Again and again, as what is forked at the same instant may escape once.
                    pass_every = (pass_every * 2).min(PASS_EVERY_MAX);
                    Some(now + pass_every)
                }
                Some(ending) => Some(ending.kill_at),
            };
            self.turn(alarm);
        }
    }

    /// Whether the main process has died of a SIGTERM that is meant for all processes of this machine.
    fn is_ended_by_shutdown(&mut self, status: ExitStatus) -> bool {
        let term = Signal::TERM.as_raw();
        if status.signal() != Some(term) && status.code() != Some(128 + term) {
            return false;
        }
        let until = Instant::now() + SHUTDOWN_SKEW;
        while !self.signals.is_shutdown() && Instant::now() < until {
            self.turn(Some(until));
        }
        self.signals.is_shutdown()
    }

    /// Lets what ends by itself do so.
    fn settle(&mut self) {
        let end = Instant::now() + LINGER_MAX;
        let mut quiet_at = Instant::now() + QUIET;
        while !self.tree.is_empty() && !self.is_killed() {
            let until = end.min(quiet_at);
            if Instant::now() >= until || (self.leaves_background() && self.output.pipe().is_none()) {
                return;
            }
            if self.turn(Some(until)) > 0 {
                quiet_at = Instant::now() + QUIET;
            }
        }
    }

    /// Ends what is left, or leaves it if the task says so and nobody has asked for an end.
    fn end_stragglers(&mut self) -> Stragglers {
        let living = self.tree.living();
        let names = living.iter().take(NAMES_MAX).filter_map(|&pid| tree::name(pid)).collect();
        let count = number(living.len());
        if self.leaves_background() {
            return Stragglers { count, names, left: count };
        }
        if !self.is_killed() && !self.tree.is_empty() {
            let kill_at = match self.ending {
                // The rest of the grace. Who was forked after the first SIGTERM gets one now.
                Some(ending) => ending.kill_at,
                None => far(self.spec.grace.min(STRAGGLER_GRACE_MAX)),
            };
            self.tree.terminate();
            while !self.tree.is_empty() && !self.signals.is_kill() && Instant::now() < kill_at {
                self.turn(Some(kill_at));
            }
        }
        let left = self.sweep();
        Stragglers { count: count.max(left), names, left }
    }

    /// Kills until nobody is left; the answer is how many are, all the same.
    fn sweep(&mut self) -> u32 {
        let end = Instant::now() + KILLED_WAIT;
        let (mut pass_every, mut found) = (Duration::ZERO, 0);
        while !self.tree.is_empty() && Instant::now() < end {
            let count = self.tree.kill();
            // As long as more and others come up there is no time to lose.
            pass_every =
                if count > found { Duration::ZERO } else { (pass_every * 2).clamp(PASS_EVERY_MIN, PASS_EVERY_MAX) };
            found = count;
            self.turn(Some(Instant::now() + pass_every));
        }
        number(self.tree.living().len())
    }

    /// Waits for whatever comes first: a signal, output, the end of a process, or an instant. Answers how many bytes
    /// of output came.
    fn turn(&mut self, until: Option<Instant>) -> usize {
        let wait = until.map(|until| until.saturating_duration_since(Instant::now()));
        let (is_told, pipe) = self.signals.wait(self.output.pipe(), wait);
        if is_told {
            self.status = self.tree.reap().or(self.status);
        }
        if pipe.contains(PollFlags::POLLIN) {
            return self.output.read();
        }
        if !pipe.is_empty() {
            // Most jobs print nothing, and nothing is made ready for what they print.
            self.output.close();
        }
        0
    }

    fn leaves_background(&self) -> bool {
        self.spec.leave_background && self.ending.is_none() && !self.signals.any()
    }

    fn is_killed(&self) -> bool {
        self.signals.is_kill() || self.ending.is_some_and(|ending| ending.killed)
    }

    fn outcome(&self, status: ExitStatus, interrupted: bool) -> Outcome {
        match (self.ending, Exit::from(Ok(status))) {
            (Some(Ending { timed_out: true, killed, .. }), _) => {
                Outcome::TimedOut { after: self.spec.timeout.unwrap_or_default(), killed }
            }
            (Some(_), _) => asked(self.signals),
            (None, _) if interrupted => Outcome::Interrupted,
            (None, Exit::Code(exit_code)) if self.spec.is_success(exit_code) => Outcome::Succeeded { exit_code },
            (None, exit) => Outcome::Failed { exit },
        }
    }
}

/// The outcome of an attempt that was asked to end.
pub(super) fn asked(signals: &Signals) -> Outcome {
    if signals.is_cancelled() { Outcome::Cancelled } else { Outcome::Interrupted }
}

/// The instant in `duration` from now, however long that is.
fn far(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + DURATION_MAX)
}

fn number(count: usize) -> u32 {
    count.try_into().unwrap_or(u32::MAX)
}
