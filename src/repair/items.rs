//! Every item under way has somebody who looks after it: else its batch would run for ever, and nobody else could
//! handle the thing that it is about.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Mend, Proposal};
use crate::core::command::{Command, ItemEnd, ItemOutcome};
use crate::core::id::JobId;
use crate::core::state::State;
use crate::exec::{any_strays, count_strays};

pub const VANISHED: &str = "vanished-items";

/// Handlings that one sweep looks at: of more than these the next one sees the rest.
const LOOKED_AT_MAX: usize = 65_536;

/// A handling of items that is under way: one item, or a chunk of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handling {
    pub job: JobId,
    /// Its number.
    pub run: u32,
    /// The attempt of the batch that goes on, if one does.
    pub attempt: Option<u32>,
    /// It is ahead of its turn, and so not a matter of that attempt.
    pub advance: bool,
    pub items: Vec<u32>,
}

/// The handlings that are under way.
pub fn under_way(state: &State) -> Vec<Handling> {
    let mut found: BTreeMap<(JobId, u32), Handling> = BTreeMap::new();
    for (job, batch) in state.batches() {
        let attempt = state.running(job).map(|running| running.attempt);
        for (item, flight) in &batch.flights {
            let (run, advance) = (flight.run, flight.advance);
            let new = || Handling { job, run, attempt, advance, items: Vec::new() };
            found.entry((job, run)).or_insert_with(new).items.push(*item);
        }
        if found.len() >= LOOKED_AT_MAX {
            break;
        }
    }
    found.into_values().collect()
}

/// Those whose end nobody will report: neither a run nor anybody else looks after them, and no process of them is left.
///
/// `under_way` is older than what is asked now. Whoever looks after a handling does so until its end is on disk; so one
/// that nobody looks after is over, or lost, and what is proposed does nothing to one that is over.
pub fn vanished(under_way: &[Handling], is_known: impl Fn(&Handling) -> bool, socket: &Path) -> Vec<Proposal> {
    let unknown: Vec<&Handling> = under_way.iter().filter(|it| !is_known(it)).collect();
    // All processes of the machine are looked at for each count: once is enough where there is none.
    let any = any_strays(socket, &unknown.iter().map(|it| (it.job, it.run)).collect::<Vec<_>>());
    unknown
        .into_iter()
        .map(|it| {
            let subject = format!("handling {} of batch {}", it.run, it.job);
            let processes = if any { count_strays(socket, it.job, it.run) } else { 0 };
            if processes > 0 {
                let explanation = format!("nobody looks after it, and {processes} processes of it run");
                return Proposal::new(VANISHED, subject, explanation, "none: it is not dead", Mend::None);
            }
            let explanation = format!("nobody looks after it and its {} items, and nothing of it runs", it.items.len());
            let end = |item: &u32| ItemEnd { item: *item, run: it.run, outcome: ItemOutcome::Returned };
            let ended = it.items.iter().map(end).collect();
            let mend = Mend::Run(Command::ReportItems { job: it.job, ended });
            Proposal::new(VANISHED, subject, explanation, "its items are to do again", mend)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command as Process;

    use super::*;

    fn handling(run: u32) -> Handling {
        Handling { job: JobId(7), run, attempt: Some(1), advance: false, items: vec![3, 4] }
    }

    #[test]
    fn what_nobody_looks_after_is_given_back_once_it_is_dead() {
        let socket = Path::new("/nowhere/vanished-items.sock");
        let (lost, known) = (handling(1), handling(2));
        let found = |is_known: u32| vanished(&[lost.clone(), known.clone()], |it| it.run == is_known, socket);
        let [proposal] = &found(2)[..] else { panic!("one is not known") };
        assert_eq!(&*proposal.finding.subject, "handling 1 of batch 7");
        let Mend::Run(Command::ReportItems { job: JobId(7), ended }) = &proposal.mend else { panic!("{proposal:?}") };
        let ended: Vec<_> = ended.iter().map(|end| (end.item, end.run, end.outcome.clone())).collect();
        assert_eq!(ended, [(3, 1, ItemOutcome::Returned), (4, 1, ItemOutcome::Returned)]);

        let mut process = Process::new("sleep");
        process
            .arg("60")
            .env("DAYBOOK_SOCKET", socket)
            .env("DAYBOOK_JOB", "7")
            .env("DAYBOOK_RUN", "1")
            .process_group(0);
        let mut process = process.spawn().unwrap();
        let alive = found(2);
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(matches!(&alive[..], [Proposal { mend: Mend::None, .. }]), "{alive:?}");
    }
}
