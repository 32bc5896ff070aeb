//! What goes to the history because of an event: finished jobs and decided occurrences.
//!
//! Asked of the state as it is just before the event is applied. A replay of the journal gives
//! the same rows, so what was not written before a crash is written after it.

use super::codec;
use super::event::Event;
use super::id::JobId;
use super::json::Json;
use super::lifecycle::JobState;
use super::state::job::Job;
use super::state::{Durable, State};
use super::time::Timestamp;
use super::view::{JobView, OccurrenceView, Outcome, Progress};

/// One row for the history.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    Job(Box<JobView>),
    Occurrence(OccurrenceView),
}

/// The number of the stored form of both kinds of row.
const FORM: u8 = 1;
/// What a row mostly takes at most.
const ROW_BYTES: usize = 96;

/// Appends the rows of `event`, about to be applied to `state` by a commit whose time is `at`.
pub fn rows(state: &State, event: &Event, at: Timestamp, rows: &mut Vec<Row>) {
    let finished = |id: JobId, end: JobState, result: Option<&Json>, error: Option<&str>| {
        let mut view = live(state.durable(), state.job(id)?)?;
        view.state = end;
        view.result = result.cloned();
        // What an earlier attempt died of is no error of a job that completed.
        view.error = error.map(Into::into);
        view.finished_at = Some(at);
        view.orphaned = false;
        Some(Row::Job(Box::new(view)))
    };
    match event {
        Event::JobCompleted(done) => {
            rows.extend(finished(done.job, JobState::Completed, done.result.as_ref(), done.note.as_deref()))
        }
        Event::JobDiscarded(gone) => rows.extend(finished(gone.job, JobState::Discarded, None, Some(&gone.error))),
        Event::JobCancelled(gone) => rows.extend(finished(gone.job, JobState::Cancelled, None, Some(&gone.reason))),
        Event::OccurrenceDecided(one) => {
            if let Some(task) = state.task(one.task) {
                rows.push(row(&task.name, one.schedule, one.instant, one.outcome, &one.reason, one.job));
            }
        }
        Event::OccurrencesPassed(many) => {
            if let Some(task) = state.task(many.task) {
                let passed = many.instants();
                rows.extend(passed.map(|at| row(&task.name, many.schedule, at, many.outcome, &many.reason, None)));
            }
        }
        Event::JobAdded(_)
        | Event::JobDue(_)
        | Event::AttemptStarted(_)
        | Event::AttemptSpawned(_)
        | Event::AttemptAdopted(_)
        | Event::AttemptSettled(_)
        | Event::JobProgressed(_)
        | Event::AttemptFailed(_)
        | Event::StopRequested(_)
        | Event::JobInterrupted(_)
        | Event::JobResumed(_)
        | Event::JobHeld(_)
        | Event::JobRetried(_)
        | Event::OutputKept(_)
        | Event::TaskDefined(_)
        | Event::TaskRemoved(_)
        | Event::TaskPaused(_)
        | Event::TaskUnpaused(_)
        | Event::ScheduleMoved(_)
        | Event::DaemonStarted(_)
        | Event::DaemonStopped(_)
        | Event::ClockStepped(_)
        | Event::ClockSuspended(_)
        | Event::SweepFound(_)
        | Event::SweepFinished(_)
        | Event::ConfigChanged(_)
        | Event::BatchOpened(_)
        | Event::ItemsAdded(_)
        | Event::BatchLoaded(_)
        | Event::BatchDropped(_)
        | Event::ItemsStarted(_)
        | Event::ItemsDone(_)
        | Event::ItemFailed(_)
        | Event::ItemsReturned(_)
        | Event::ItemsSkipped(_)
        | Event::OverrideSet(_)
        | Event::OverrideCleared(_) => {}
    }
}

fn row(task: &str, schedule: u16, at: Timestamp, outcome: Outcome, reason: &str, job: Option<JobId>) -> Row {
    Row::Occurrence(OccurrenceView { task: task.into(), schedule, at, outcome, reason: reason.into(), job })
}

/// A live job as others see it; `None` only if its task is unknown, which no event brings about.
pub fn live(state: &Durable, job: &Job) -> Option<JobView> {
    let task = state.tasks.get(job.task)?;
    let running = state.running.get(&job.id);
    let rare = job.cold.rare();
    let items = state.batches.get(&job.id).filter(|_| job.is_batch).map(|batch| Progress {
        current: u64::from(batch.counts.finished()),
        total: u64::from(batch.counts.total()),
        message: "".into(),
    });
    let told = || running.map(|running| &running.progress).or(rare.progress.as_deref()).cloned().unwrap_or_default();
    Some(JobView {
        id: job.id,
        task: task.name.clone(),
        state: job.state,
        attempts: job.attempts,
        priority: job.priority,
        key: rare.key.clone(),
        args: job.cold.args.clone(),
        progress: items.unwrap_or_else(told),
        result: None,
        error: rare.error.clone(),
        output_bytes: running.map_or(rare.output, |running| running.output),
        scheduled_at: rare.occurrence.map(|occurrence| occurrence.at),
        created_at: job.cold.created,
        due_at: job.due,
        started_at: running.map(|running| running.started).or(rare.started),
        finished_at: None,
        orphaned: task.removed,
    })
}

impl Row {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ROW_BYTES);
        bytes.push(FORM);
        match self {
            Row::Job(job) => codec::put(job, &mut bytes),
            Row::Occurrence(occurrence) => codec::put(occurrence, &mut bytes),
        }
        .expect("a row is within the bounds of its parts, and memory takes it");
        bytes
    }
}

/// Reads a stored job.
pub fn decode_job(bytes: &[u8]) -> Result<JobView, codec::CodecError> {
    codec::take(&mut form(bytes)?).map_err(Into::into)
}

/// Reads the number of a stored job, which comes first, and nothing else of it.
pub fn job_id(bytes: &[u8]) -> Result<JobId, codec::CodecError> {
    codec::take(&mut form(bytes)?).map_err(Into::into)
}

/// Reads a stored occurrence.
pub fn decode_occurrence(bytes: &[u8]) -> Result<OccurrenceView, codec::CodecError> {
    codec::take(&mut form(bytes)?).map_err(Into::into)
}

fn form(bytes: &[u8]) -> Result<&[u8], codec::CodecError> {
    match bytes.split_first() {
        Some((&FORM, rest)) => Ok(rest),
        Some((other, _)) => Err(codec::CodecError::Unknown { number: u16::from(*other) }),
        None => Err(codec::CodecError::Unknown { number: 0 }),
    }
}
