//! The index counts what there is: running and waiting jobs of a task, jobs of a state, keys, timers. With the entry of
//! every job at its place ([`super::index`]), right numbers mean that there are no other entries.
//!
//! Counted on a picture of the state, and compared with what the index said in the same instant.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fix, Proposal};
use crate::core::id::TaskId;
use crate::core::lifecycle::JobState;
use crate::core::state::Durable;
use crate::core::state::index::Index;
use crate::core::state::queue::Counts;

pub const NAME: &str = "counters";

/// What an index says, or what is true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    states: [u64; JobState::ALL.len()],
    /// Jobs that wait for an instant, or for a sweep.
    due: usize,
    interrupted: usize,
    keys: usize,
    queues: BTreeMap<TaskId, Counts>,
}

impl Census {
    /// What the index says.
    pub fn of(index: &Index) -> Census {
        Census {
            states: JobState::ALL.map(|state| index.in_state(state)),
            due: index.due.len() + index.repairable.len(),
            interrupted: index.interrupted.len(),
            keys: index.keys_len(),
            queues: index.queues.iter().map(|(task, queue)| (*task, queue.counts())).collect(),
        }
    }

    /// What is true.
    fn taken(state: &Durable) -> Census {
        let mut census = Census::default();
        for job in state.jobs.iter() {
            let rare = job.cold.rare();
            census.states[job.state as usize] += 1;
            census.due += usize::from(matches!(job.state, JobState::Scheduled | JobState::Retryable));
            census.interrupted += usize::from(job.state == JobState::Interrupted);
            census.keys += usize::from(rare.key.is_some());
            census.queues.entry(job.task).or_default().add(job);
        }
        census
    }
}

pub fn find(picture: &Durable, said: &Census) -> Vec<Proposal> {
    let taken = Census::taken(picture);
    if taken == *said {
        return Vec::new();
    }
    let mut proposals = Vec::new();
    let mut differ = |subject: String, said: String, taken: String| {
        let explanation = format!("the index says {said}, and there are {taken}");
        proposals.push(Proposal::new(NAME, subject, explanation, "builds the index anew", Fix::Reindex));
    };
    for state in JobState::ALL {
        let (said, taken) = (said.states[state as usize], taken.states[state as usize]);
        if said != taken {
            differ(format!("{state} jobs"), said.to_string(), taken.to_string());
        }
    }
    let sets = [
        ("timers", said.due, taken.due),
        ("interrupted jobs in line", said.interrupted, taken.interrupted),
        ("keys", said.keys, taken.keys),
    ];
    for (what, said, taken) in sets.into_iter().filter(|(_, said, taken)| said != taken) {
        differ(what.to_owned(), said.to_string(), taken.to_string());
    }
    let tasks: BTreeSet<_> = said.queues.keys().chain(taken.queues.keys()).collect();
    for task in tasks {
        let (said, taken) = (said.queues.get(task), taken.queues.get(task));
        if said != taken {
            let name = picture.tasks.get(*task).map_or("?", |task| &task.name);
            let shown = |counts: Option<&Counts>| counts.map_or("none".to_owned(), Counts::to_string);
            differ(format!("jobs of task {name}"), shown(said), shown(taken));
        }
    }
    proposals
}
