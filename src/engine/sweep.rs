//! One repair pass over the state, a slice at a time: whoever drives it gives commands their turn between two of them.
//! What a slice finds is decided against the state as of then.
//!
//! What it looks at stands in `core::repair`; who drives it, and what is looked at outside, in `daemon::sweep`.

use std::collections::VecDeque;
use std::time::Duration;

use super::machine::Machine;
use crate::core::command::{Answer, Command};
use crate::core::id::Seq;
use crate::core::limits;
use crate::core::rejection::Rejection;
use crate::core::repair::{self, Census, Door, Finding, Fix, Look, Outside, Place, Proposal, Report};
use crate::core::state::Durable;

/// Events that one slice makes, before commands get their turn.
const EVENTS_PER_SLICE: u32 = 1024;

/// A sweep under way.
pub struct Sweep {
    outside: Outside,
    /// Where the next slice is; none when all of the state has been looked at.
    place: Option<Place>,
    /// Found, and not yet dealt with.
    proposals: VecDeque<Proposal>,
    report: Report,
    /// Findings that nothing was done about.
    left: Vec<Finding>,
}

impl Sweep {
    /// `projections`: how far each is on disk.
    pub fn begin(machine: &mut Machine, door: Door, dry_run: bool, projections: Vec<(&'static str, Seq)>) -> Sweep {
        let late_after = if door == Door::Start { Duration::ZERO } else { limits::LATE_AFTER };
        let projected_by_now = machine.projected_by_now();
        let outside = Outside { schedules: Vec::new(), late_after, projections, projected_by_now };
        let report = Report { door, dry_run, ..Report::default() };
        Sweep { outside, place: Some(Place::FIRST), proposals: VecDeque::new(), report, left: Vec::new() }
    }

    pub fn is_dry(&self) -> bool {
        self.report.dry_run
    }

    /// Looks at all that must be decided before anything starts, as far as it fits into one commit.
    pub fn urgent(&mut self, machine: &mut Machine) {
        while self.place.is_some_and(Place::is_urgent) && machine.gathered_bytes() < limits::COMMIT_BYTES_MAX {
            self.step(machine, u32::MAX);
        }
    }

    /// Looks at the next few things, and mends them. `false`: there was nothing left to look at.
    pub fn slice(&mut self, machine: &mut Machine) -> bool {
        self.step(machine, EVENTS_PER_SLICE)
    }

    /// Takes findings of elsewhere, which the next slices deal with.
    pub fn take(&mut self, proposals: impl IntoIterator<Item = Proposal>) {
        self.proposals.extend(proposals);
    }

    /// The state as of now and what its index says, for what is looked at beside the engine.
    pub fn picture(&self, machine: &Machine) -> (Durable, Census) {
        (machine.state().picture(), Census::of(machine.state().index()))
    }

    fn step(&mut self, machine: &mut Machine, events_max: u32) -> bool {
        if self.proposals.is_empty() {
            let Some(place) = self.place else { return false };
            let now = machine.at();
            self.outside.schedules = machine.audit(&repair::tasks_at(machine.state(), place));
            let look = Look { state: machine.state(), now, outside: &self.outside };
            let (found, next) = repair::slice(&look, place);
            self.proposals.extend(found);
            self.place = next;
        }
        self.deal(machine, events_max);
        true
    }

    /// Deals with what was found, as far as it fits into the slice.
    fn deal(&mut self, machine: &mut Machine, events_max: u32) {
        let before = machine.gathered_events();
        let mut mended = Vec::new();
        let mut reindexed = false;
        while machine.gathered_bytes() < limits::COMMIT_BYTES_MAX
            && machine.gathered_events() - before < events_max
            && let Some(Proposal { finding, fix }) = self.proposals.pop_front()
        {
            match fix {
                Fix::None => self.leave(finding),
                Fix::Run(command) if self.report.dry_run => {
                    if machine.would(&command) {
                        self.list(finding);
                    }
                }
                // What changes nothing any more was mended, or came to an end, since it was found.
                Fix::Run(command) => {
                    let events = machine.gathered_events();
                    if machine.run(&command).is_ok() && machine.gathered_events() > events {
                        mended.push(finding);
                    }
                }
                Fix::Reindex if self.report.dry_run => self.list(finding),
                Fix::Reindex => {
                    if !std::mem::replace(&mut reindexed, true) {
                        machine.reindex();
                    }
                    mended.push(finding);
                }
            }
        }
        self.mended(machine, mended);
    }

    /// Notes what has been mended, by this pass or outside of the state.
    pub fn mended(&mut self, machine: &mut Machine, findings: Vec<Finding>) {
        if findings.is_empty() {
            return;
        }
        self.report.fixed += findings.len() as u32;
        findings.iter().for_each(|finding| self.list(finding.clone()));
        let _: Result<Answer, Rejection> = machine.run(&Command::NoteFound { findings });
    }

    /// Notes what nothing can be done about.
    pub fn leave(&mut self, finding: Finding) {
        self.list(finding.clone());
        if self.left.len() < limits::FINDINGS_KEPT_MAX {
            self.left.push(finding);
        }
    }

    /// Notes what would be done.
    pub fn list(&mut self, finding: Finding) {
        self.report.found += 1;
        if self.report.findings.len() < limits::FINDINGS_LISTED_MAX {
            self.report.findings.push(finding);
        }
    }

    /// Ends it: with one small event, unless it is a dry run.
    pub fn finish(mut self, machine: &mut Machine) -> Report {
        self.report.at = machine.at();
        let Report { door, found, fixed, dry_run, .. } = self.report;
        if !dry_run {
            let finish = Command::FinishSweep { door, found, fixed, left: self.left };
            let _: Result<Answer, Rejection> = machine.run(&finish);
        }
        self.report
    }

    /// All that is left to look at, at once: for simulations, where nobody waits.
    pub fn rest(mut self, machine: &mut Machine) -> Report {
        while machine.gathered_bytes() < limits::COMMIT_BYTES_MAX && self.slice(machine) {}
        let (picture, census) = self.picture(machine);
        self.take(repair::at_leisure(&picture, &census));
        while machine.gathered_bytes() < limits::COMMIT_BYTES_MAX && self.slice(machine) {}
        self.finish(machine)
    }
}
