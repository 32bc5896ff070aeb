//! What a start makes of the attempts that were under way: those that live on under their shims are taken over, those
//! that were never started are started, and what is left of the others is ended, so that no job runs twice at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::sweep::AtStart;
use crate::config::{Config, Handler};
use crate::core::command::{Found, ItemOrder};
use crate::core::id::JobId;
use crate::core::limits::FIRST_RUN;
use crate::core::repair::Finding;
use crate::core::state::{Running, State};
use crate::exec::{self, Earlier, Leftover, What, end_strays};
use crate::repair::leftovers;

/// How long what nobody looks after may take to end, before it is killed.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// What has ended attempts, or may have, beside what their run files say.
#[derive(Clone, Copy)]
enum Failure {
    /// It went down, and no process of theirs is there any more.
    Machine,
    /// What was not synced is not to be trusted.
    Disk,
}

impl Failure {
    fn reason(self) -> &'static str {
        match self {
            Failure::Machine => "the machine went down",
            Failure::Disk => "the disk of the state folder has failed",
        }
    }
}

/// What there is of the attempts that were under way.
#[derive(Default)]
pub struct Survey {
    /// For the core.
    pub found: BTreeMap<JobId, Found>,
    /// To be adopted once the executor is there.
    pub kept: Vec<Earlier>,
    /// The same for handlings of items of batches, with the items of each.
    pub kept_items: Vec<(Earlier, Vec<ItemOrder>)>,
    /// Run files that say nothing any more.
    pub stale: Vec<(JobId, u32)>,
    /// What was mended, and what could not be.
    pub report: AtStart,
}

/// Looks at the run files below `runs`, and ends what nobody looks after. `is_intact`: the file system has kept what
/// was not synced; else run files that say nothing of a start prove nothing.
pub async fn survey(state: &State, config: &Config, runs: &Path, boot_id: &str, is_intact: bool) -> Survey {
    let mut survey = Survey::default();
    let folder = runs.to_owned();
    let looked = tokio::task::spawn_blocking(move || exec::earlier(&folder)).await;
    let mut earlier: BTreeMap<(JobId, u32), What> = match looked {
        Ok(Ok(earlier)) => earlier.into_iter().map(|it| ((it.job, it.attempt), it.what)).collect(),
        Ok(Err(error)) => {
            tracing::error!(%error, "cannot look for attempts of an earlier daemon");
            BTreeMap::new()
        }
        Err(_) => BTreeMap::new(),
    };
    let failure = match (*state.scalars().boot_id == *boot_id, is_intact) {
        (false, _) => Some(Failure::Machine),
        (true, false) => Some(Failure::Disk),
        (true, true) => None,
    };
    let mut unknown = Vec::new();
    for (job, running) in &state.durable().running {
        let key = (*job, running.attempt);
        match earlier.remove(&key) {
            Some(what) => survey.take(&config.socket, key, what, failure).await,
            None => unknown.push((*job, running)),
        }
    }
    survey.take_unknown(unknown, state, config, failure).await;
    for ((job, attempt), what) in earlier {
        let batch = state.batch(job).filter(|_| attempt >= FIRST_RUN);
        let items: Vec<u32> = batch.into_iter().flat_map(|batch| batch.in_run(attempt)).collect();
        if !items.is_empty() && matches!(what, What::Alive(_) | What::Ended) {
            let items = items.into_iter().filter_map(|place| state.item_order(job, place)).collect();
            survey.kept_items.push((Earlier { job, attempt, what }, items));
            continue;
        }
        survey.end_foreign(&config.socket, job, attempt, what).await;
    }
    survey
}

impl Survey {
    /// An attempt that was under way, and has a run file.
    async fn take(&mut self, socket: &Path, (job, attempt): (JobId, u32), what: What, failure: Option<Failure>) {
        let found = match what {
            What::Alive(_) | What::Ended => {
                self.kept.push(Earlier { job, attempt, what });
                Found::Kept
            }
            What::NeverStarted => match failure {
                None => Found::Unstarted,
                // Its file was not synced, so what it does not say may have been all the same.
                Some(failure) => {
                    for (_, leftover) in strays(socket, vec![(job, attempt)], Some(failure)).await {
                        self.end(job, leftover);
                    }
                    Found::Lost { reason: failure.reason().into() }
                }
            },
            What::Lost(marked, main) => {
                let reason = failure.map_or("the process that looked after it was killed", Failure::reason);
                self.end(job, exec::end_lost(socket, &marked, main, job, attempt).await);
                Found::Lost { reason: reason.into() }
            }
            What::Forged => Found::Lost { reason: "its run file cannot be trusted".into() },
        };
        if !matches!(found, Found::Kept) {
            self.stale.push((job, attempt));
        }
        self.found.insert(job, found);
    }

    /// Attempts without a run file: those of workers, which ended with their daemon, and those that were never begun.
    async fn take_unknown(
        &mut self,
        unknown: Vec<(JobId, &Running)>,
        state: &State,
        config: &Config,
        failure: Option<Failure>,
    ) {
        // A batch runs inside of the daemon; the calls for its items have run files.
        let unknown: Vec<_> =
            unknown.into_iter().filter(|(job, _)| state.job(*job).is_some_and(|job| !job.is_batch)).collect();
        let keys = unknown.iter().map(|(job, running)| (*job, running.attempt)).collect();
        let strays: BTreeMap<JobId, Leftover> = strays(&config.socket, keys, failure).await.into_iter().collect();
        for (job, running) in unknown {
            let stray = strays.get(&job);
            let is_process = state.job(job).and_then(|job| state.task(job.task)).is_some_and(|task| {
                let task = config.tasks.get(&*task.name);
                task.is_some_and(|task| matches!(task.handler, Handler::Process(_)))
            });
            if is_process && failure.is_none() && running.process.is_none() && stray.is_none() {
                self.found.insert(job, Found::Unstarted);
            }
            if let Some(leftover) = stray {
                self.end(job, leftover.clone());
            }
        }
    }

    /// A run file of an attempt that is over, or that this state does not know: as after a backup was brought back.
    async fn end_foreign(&mut self, socket: &Path, job: JobId, attempt: u32, what: What) {
        match what {
            What::Alive(alive) => {
                tracing::warn!(job = job.0, attempt, "an attempt runs that this state does not know, it is ended");
                let explanation = format!("attempt {attempt} runs, and this state does not know of it");
                let finding = Finding::new(leftovers::PROCESSES, format!("job {job}"), explanation, "asked it to end");
                self.report.mended.push(finding);
                alive.end();
            }
            What::Lost(marked, main) => {
                self.end(job, exec::end_lost(socket, &marked, main, job, attempt).await);
                self.stale.push((job, attempt));
            }
            What::Ended | What::NeverStarted | What::Forged => self.stale.push((job, attempt)),
        }
    }

    /// Notes what became of processes that nobody looked after.
    fn end(&mut self, job: JobId, leftover: Leftover) {
        let finding = |processes: u32, action: &str| {
            let explanation = match processes {
                1 => "a process of its attempt ran on with nobody to look after it".to_owned(),
                more => format!("{more} processes of its attempt ran on with nobody to look after them"),
            };
            Finding::new(leftovers::PROCESSES, format!("job {job}"), explanation, action)
        };
        match leftover {
            Leftover::Gone => {}
            Leftover::Ended { processes } => self.report.mended.push(finding(processes, "ended them")),
            Leftover::Left { processes } => {
                tracing::error!(job = job.0, processes, "processes of a job cannot be ended");
                self.report.left.push(finding(processes, "none: they cannot be ended"));
            }
        }
    }
}

/// Ends processes of attempts that nothing but their environment tells of, where there can be any.
async fn strays(socket: &Path, attempts: Vec<(JobId, u32)>, failure: Option<Failure>) -> Vec<(JobId, Leftover)> {
    match failure {
        Some(Failure::Machine) => Vec::new(),
        Some(Failure::Disk) | None => end_strays(socket, attempts, LEFTOVER_GRACE).await,
    }
}
