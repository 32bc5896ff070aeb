//! No occurrence has two live jobs: each instant of a schedule is decided once.
//!
//! Found on a picture of the state. The job that came later goes, if nothing of it has begun.

use super::{Census, Fix, Proposal};
use crate::core::command::Command;
use crate::core::id::{JobId, TaskId};
use crate::core::state::Durable;
use crate::core::time::Timestamp;

pub const NAME: &str = "occurrences-decided-twice";

pub fn find(picture: &Durable, _said: &Census) -> Vec<Proposal> {
    let occurring = picture.jobs.iter().filter_map(|job| {
        let occurrence = job.cold.rare().occurrence?;
        Some((job.task, occurrence.schedule, occurrence.at, job.id))
    });
    let mut occurring: Vec<(TaskId, u16, Timestamp, JobId)> = occurring.collect();
    occurring.sort_unstable();
    let twins =
        occurring.windows(2).filter(|pair| (pair[0].0, pair[0].1, pair[0].2) == (pair[1].0, pair[1].1, pair[1].2));
    twins
        .filter_map(|pair| {
            let (task, schedule, at, first) = pair[0];
            let job = picture.jobs.get(pair[1].3)?;
            let task = picture.tasks.get(task)?;
            let explanation = format!(
                "it is for {at} of schedule {schedule} of task {}, which job {first} is for already",
                task.name
            );
            let (action, fix) = match job.attempts {
                0 => ("cancels it", Fix::Run(Command::CancelTwin { job: job.id, first })),
                _ => ("none: it has begun", Fix::None),
            };
            Some(Proposal::new(NAME, format!("job {}", job.id), explanation, action, fix))
        })
        .collect()
}
