//! Every attempt under way has its running job, and every running job its attempt: no place of a task's `concurrency`
//! is taken by nobody.

use super::{Fix, Look, Proposal};
use crate::core::command::Command;
use crate::core::id::JobId;
use crate::core::lifecycle::JobState;
use crate::core::state::Running;
use crate::core::state::job::Job;

pub const WITHOUT_JOB: &str = "attempts-without-a-job";
pub const WITHOUT_ATTEMPT: &str = "jobs-without-an-attempt";

pub fn without_job(look: &Look<'_>, id: JobId, running: &Running) -> Option<Proposal> {
    let explanation = match look.state.job(id) {
        Some(job) if job.state == JobState::Running && job.attempts == running.attempt => return None,
        Some(job) => format!("the job is {} with attempt {}, not running with this one", job.state, job.attempts),
        None => "there is no such job".to_owned(),
    };
    let subject = format!("attempt {} of job {id}", running.attempt);
    let fix = Fix::Run(Command::ReleaseAttempt { job: id });
    Some(Proposal::new(WITHOUT_JOB, subject, explanation, "releases its place", fix))
}

pub fn without_attempt(look: &Look<'_>, job: &Job) -> Option<Proposal> {
    if job.state != JobState::Running || look.state.running(job.id).is_some() {
        return None;
    }
    let explanation = format!("it is running with attempt {}, of which nothing is known", job.attempts);
    let fix = Fix::Run(Command::ReleaseAttempt { job: job.id });
    Some(Proposal::new(WITHOUT_ATTEMPT, format!("job {}", job.id), explanation, "interrupts it", fix))
}
