//! What an event is about: its job, its task.

use super::event::Event;
use super::id::{JobId, TaskId};

impl Event {
    /// The job that it is about.
    pub fn job(&self) -> Option<JobId> {
        match self {
            Event::JobAdded(it) => Some(it.job),
            Event::JobDue(it) => Some(it.job),
            Event::AttemptStarted(it) => Some(it.job),
            Event::AttemptSpawned(it) => Some(it.job),
            Event::AttemptAdopted(it) => Some(it.job),
            Event::AttemptSettled(it) => Some(it.job),
            Event::JobProgressed(it) => Some(it.job),
            Event::JobCompleted(it) => Some(it.job),
            Event::AttemptFailed(it) => Some(it.job),
            Event::JobDiscarded(it) => Some(it.job),
            Event::StopRequested(it) => Some(it.job),
            Event::JobCancelled(it) => Some(it.job),
            Event::JobInterrupted(it) => Some(it.job),
            Event::JobResumed(it) => Some(it.job),
            Event::JobHeld(it) => Some(it.job),
            Event::JobRetried(it) => Some(it.job),
            Event::OutputKept(it) => Some(it.job),
            Event::OccurrenceDecided(it) => it.job,
            Event::BatchOpened(it) => Some(it.job),
            Event::ItemsAdded(it) => Some(it.job),
            Event::BatchLoaded(it) => Some(it.job),
            Event::BatchDropped(it) => Some(it.job),
            Event::ItemsStarted(it) => Some(it.job),
            Event::ItemsDone(it) => Some(it.job),
            Event::ItemFailed(it) => Some(it.job),
            Event::ItemsReturned(it) => Some(it.job),
            Event::ItemsSkipped(it) => Some(it.job),
            Event::TaskDefined(_)
            | Event::TaskRemoved(_)
            | Event::TaskPaused(_)
            | Event::TaskUnpaused(_)
            | Event::OccurrencesPassed(_)
            | Event::ScheduleMoved(_)
            | Event::DaemonStarted(_)
            | Event::DaemonStopped(_)
            | Event::ClockStepped(_)
            | Event::ClockSuspended(_)
            | Event::SweepFound(_)
            | Event::SweepFinished(_)
            | Event::ConfigChanged(_)
            | Event::OverrideSet(_)
            | Event::OverrideCleared(_) => None,
        }
    }

    /// The task that it names.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Event::JobAdded(it) => Some(it.task),
            Event::TaskDefined(it) => Some(it.task),
            Event::TaskRemoved(it) => Some(it.task),
            Event::TaskPaused(it) => Some(it.task),
            Event::TaskUnpaused(it) => Some(it.task),
            Event::OccurrenceDecided(it) => Some(it.task),
            Event::BatchOpened(it) => Some(it.task),
            Event::OccurrencesPassed(it) => Some(it.task),
            Event::ScheduleMoved(it) => Some(it.task),
            Event::JobDue(_)
            | Event::AttemptStarted(_)
            | Event::AttemptSpawned(_)
            | Event::AttemptAdopted(_)
            | Event::AttemptSettled(_)
            | Event::JobProgressed(_)
            | Event::JobCompleted(_)
            | Event::AttemptFailed(_)
            | Event::JobDiscarded(_)
            | Event::StopRequested(_)
            | Event::JobCancelled(_)
            | Event::JobInterrupted(_)
            | Event::JobResumed(_)
            | Event::JobHeld(_)
            | Event::JobRetried(_)
            | Event::OutputKept(_)
            | Event::DaemonStarted(_)
            | Event::DaemonStopped(_)
            | Event::ClockStepped(_)
            | Event::ClockSuspended(_)
            | Event::SweepFound(_)
            | Event::SweepFinished(_)
            | Event::ConfigChanged(_)
            | Event::ItemsAdded(_)
            | Event::BatchLoaded(_)
            | Event::BatchDropped(_)
            | Event::ItemsStarted(_)
            | Event::ItemsDone(_)
            | Event::ItemFailed(_)
            | Event::ItemsReturned(_)
            | Event::ItemsSkipped(_)
            | Event::OverrideSet(_)
            | Event::OverrideCleared(_) => None,
        }
    }
}
