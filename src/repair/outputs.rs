//! Every output belongs to an attempt that has begun, and is there for as long as it is kept; and no result lies about that
//! its attempt did not live to hand over.
//!
//! A job that has left the history keeps its output for as long as outputs are kept: an output is without a job only
//! when its number was never given, or its attempt never begun. Names that are not the daemon's are not looked at.

use std::collections::BTreeMap;

use super::{Mend, Proposal};
use crate::core::id::JobId;
use crate::core::state::State;
use crate::core::time::Timestamp;
use crate::core::view::JobView;
use crate::exec::{OutputFile, Outputs};

pub const WITHOUT_JOB: &str = "outputs-without-a-job";
pub const LOST: &str = "lost-outputs";
pub const RESULTS: &str = "abandoned-results";

/// An attempt that is over and has left an output.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    pub job: JobId,
    pub attempt: u32,
    pub bytes: u64,
    pub began: Timestamp,
}

impl Left {
    /// The last attempt of a job that does not run, if it has printed anything.
    pub fn of(job: &JobView) -> Option<Left> {
        let (JobView { id, attempts: attempt, output_bytes: bytes, .. }, began) = (job, job.started_at?);
        (*bytes > 0).then_some(Left { job: *id, attempt: *attempt, bytes: *bytes, began })
    }
}

/// Outputs that somebody else than pruning has deleted. The file of an attempt that goes on cannot be made again, as
/// what it had is not there: either way it is only told.
pub fn lost(outputs: &Outputs, left: &[Left]) -> Vec<Proposal> {
    let gone: Vec<&Left> = left.iter().filter(|it| outputs.size(it.job, it.attempt) == 0).collect();
    // Asked for after the look, so that it has whatever went before it.
    let horizon = outputs.horizon();
    let told = |job, attempt, explanation: String| {
        Proposal::new(LOST, format!("attempt {attempt} of job {job}"), explanation, "none: it is gone", Mend::None)
    };
    let over = gone
        .into_iter()
        .filter(|it| !horizon.may_lack(it.job, it.began))
        .map(|it| told(it.job, it.attempt, format!("it has left {} bytes, and its file is gone", it.bytes)));
    let live = outputs.lost_live();
    over.chain(
        live.into_iter()
            .map(|(job, attempt)| told(job, attempt, "its file was deleted while it is written".to_owned())),
    )
    .collect()
}

/// What the state knows of some jobs.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The last number that was given.
    pub last: JobId,
    /// How many attempts those that live have begun.
    pub attempts: BTreeMap<JobId, u32>,
}

impl Known {
    pub fn of(state: &State, jobs: impl Iterator<Item = JobId>) -> Known {
        let attempts = jobs.filter_map(|id| state.job(id).map(|job| (id, job.attempts))).collect();
        Known { last: state.scalars().last_job, attempts }
    }

    /// Why there is no such attempt; `None` if there is one, or was.
    fn lacks(&self, job: JobId, attempt: u32) -> Option<String> {
        match self.attempts.get(&job) {
            _ if job > self.last => Some(format!("the last job is {}", self.last)),
            Some(attempts) if attempt > *attempts => Some(format!("the job has begun {attempts} attempts")),
            Some(_) | None => None,
        }
    }
}

/// `files`: those of attempts that do not run, seen before `known` was asked for.
pub fn without_job(outputs: &Outputs, files: &[OutputFile], known: &Known) -> Vec<Proposal> {
    let strays = files.iter().filter_map(|file| known.lacks(file.job, file.attempt).map(|why| (file, why)));
    strays
        .map(|(file, why)| {
            let (outputs, file) = (outputs.clone(), file.clone());
            let explanation = format!("it is said to be of attempt {} of job {}, and {why}", file.attempt, file.job);
            Proposal::act(WITHOUT_JOB, outputs.shown(&file), explanation, "removes it", move || {
                outputs.discard(&file).map_err(|error| error.to_string())
            })
        })
        .collect()
}

/// Results of attempts that are over.
pub fn abandoned_results(outputs: &Outputs, files: &[OutputFile], known: &Known) -> Vec<Proposal> {
    let abandoned = files.iter().filter(|file| !file.is_output && known.lacks(file.job, file.attempt).is_none());
    abandoned
        .map(|file| {
            let (outputs, file) = (outputs.clone(), file.clone());
            let explanation = format!("attempt {} of job {} was over before it was read", file.attempt, file.job);
            Proposal::act(RESULTS, outputs.shown(&file), explanation, "removes it", move || {
                outputs.discard(&file).map_err(|error| error.to_string())
            })
        })
        .collect()
}
