//! All that the outside must do because of an event. Released after the flush, dropped on replay.

use super::command::ItemOrder;
use super::event::{Event, ItemsStarted, Occurrence};
use super::id::JobId;
use super::json::Json;
use super::state::State;

/// An order to the outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    StartAttempt(StartAttempt),
    StopAttempt {
        job: JobId,
        attempt: u32,
    },
    /// An item is handled ahead of its turn.
    AdvanceItem(AdvanceItem),
}

/// An attempt to start.
#[derive(Clone, Debug, PartialEq)]
pub struct StartAttempt {
    pub job: JobId,
    pub attempt: u32,
    pub task: Box<str>,
    pub args: Json,
    pub occurrence: Option<Occurrence>,
    /// It has items, and no other handler will do.
    pub is_batch: bool,
}

/// An item to be handled now.
#[derive(Clone, Debug, PartialEq)]
pub struct AdvanceItem {
    pub job: JobId,
    pub task: Box<str>,
    /// Those of the batch.
    pub args: Json,
    /// The number of the handling.
    pub run: u32,
    pub item: ItemOrder,
}

/// The effect of `event`, which has just been applied to `state`.
pub fn of(state: &State, event: &Event) -> Option<Effect> {
    match event {
        Event::AttemptStarted(started) => start(state, started.job, started.attempt),
        Event::AttemptAdopted(adopted) if adopted.start => start(state, adopted.job, adopted.attempt),
        // Whether the earlier daemon came to stop it, nobody knows; to ask twice does no harm.
        Event::AttemptAdopted(adopted) => state.running(adopted.job)?.stopping.as_ref().and(stop(state, adopted.job)),
        Event::StopRequested(requested) => stop(state, requested.job),
        Event::ItemsStarted(started) if started.advance => advance(state, started),
        Event::JobAdded(_)
        | Event::JobDue(_)
        | Event::AttemptSpawned(_)
        | Event::AttemptSettled(_)
        | Event::JobProgressed(_)
        | Event::JobCompleted(_)
        | Event::AttemptFailed(_)
        | Event::JobDiscarded(_)
        | Event::JobCancelled(_)
        | Event::JobInterrupted(_)
        | Event::JobResumed(_)
        | Event::JobHeld(_)
        | Event::JobRetried(_)
        | Event::OutputKept(_)
        | Event::TaskDefined(_)
        | Event::TaskRemoved(_)
        | Event::TaskPaused(_)
        | Event::TaskUnpaused(_)
        | Event::OccurrenceDecided(_)
        | Event::OccurrencesPassed(_)
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
        // Those of a run are told to it by the answer.
        | Event::ItemsStarted(_)
        | Event::ItemsDone(_)
        | Event::ItemFailed(_)
        | Event::ItemsReturned(_)
        | Event::ItemsSkipped(_)
        | Event::OverrideSet(_)
        | Event::OverrideCleared(_) => None,
    }
}

fn start(state: &State, id: JobId, attempt: u32) -> Option<Effect> {
    let job = state.job(id)?;
    Some(Effect::StartAttempt(StartAttempt {
        job: id,
        attempt,
        task: state.task(job.task)?.name.clone(),
        args: job.cold.args.clone(),
        occurrence: job.cold.rare().occurrence,
        is_batch: job.is_batch,
    }))
}

fn advance(state: &State, started: &ItemsStarted) -> Option<Effect> {
    let job = state.job(started.job)?;
    let item = state.item_order(started.job, started.items.first()?)?;
    Some(Effect::AdvanceItem(AdvanceItem {
        job: job.id,
        task: state.task(job.task)?.name.clone(),
        args: job.cold.args.clone(),
        run: started.first_run,
        item,
    }))
}

fn stop(state: &State, job: JobId) -> Option<Effect> {
    state.running(job).map(|running| Effect::StopAttempt { job, attempt: running.attempt })
}
