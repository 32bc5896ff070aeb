//! What follows from a command: events, or a rejection and no events.
//!
//! `decide` reads the state and changes nothing; the engine applies the events before it decides
//! the next command. A file for each kind of thing that commands are about.

mod attempt;
mod batch;
mod daemon;
mod item;
mod job;
mod occurrence;
mod sweep;
mod task;

pub use attempt::{after_interrupt, next_start};
pub use batch::is_repair_due;

use super::command::{Answer, Command};
use super::event::Event;
use super::rejection::Rejection;
use super::state::State;
use super::time::Timestamp;

/// Decides `command` at the instant `now`: appends what happens to `events` and says what the
/// asker is told. A rejection appends nothing.
pub fn decide(state: &State, command: &Command, now: Timestamp, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    match command {
        Command::AddJob(add) => job::add(state, add, now, events),
        Command::CancelJob { job, reason } => job::cancel(state, *job, reason, events),
        Command::RetryJob { job, finished } => job::retry(state, *job, finished.as_deref(), events),
        Command::ReportProgress { job, attempt, progress } => {
            attempt::progress(state, *job, *attempt, progress, events)
        }
        Command::ReportSpawned { job, attempt, process } => attempt::spawned(state, *job, *attempt, process, events),
        Command::ReportOutput { job, attempt, bytes } => attempt::output(state, *job, *attempt, *bytes, events),
        Command::ReportEnded { job, attempt, ending } => attempt::ended(state, *job, *attempt, ending, now, events),
        Command::Tick => attempt::tick(state, now, events),
        Command::DecideOccurrences(due) => occurrence::decide(state, due, now, events),
        Command::LapseOccurrences(due) => occurrence::lapse(state, due, now, events),
        Command::DefineTasks { tasks } => task::define(state, tasks, events),
        Command::PauseTask { task } => task::pause(state, task, events),
        Command::ResumeTask { task } => task::resume(state, task, events),
        Command::StartDaemon { version, pid, boot_id, found, items } => {
            daemon::start(state, (version, *pid, boot_id), found, items, events)
        }
        Command::StopDaemon => daemon::stop(events),
        Command::NoteStep { milliseconds, moved } => daemon::step(*milliseconds, moved, events),
        Command::NoteSuspend { duration } => daemon::suspend(*duration, events),
        Command::ResolveInterrupted { job } => attempt::resolve_interrupted(state, *job, events),
        Command::NoteReload { changes } => daemon::note_reload(changes, events),
        Command::ReleaseAttempt { job } => sweep::release(state, *job, events),
        Command::CancelTwin { job, first } => sweep::cancel_twin(state, *job, *first, events),
        Command::NoteFound { findings } => sweep::note_found(findings, events),
        Command::FinishSweep { door, found, fixed, left } => {
            sweep::finish(state, *door, (*found, *fixed), left, events)
        }
        Command::OpenBatch(add) => batch::open(state, add, now, events),
        Command::AddItems { job, attempt, items } => batch::add_items(state, *job, *attempt, items, events),
        Command::LoadBatch { job, attempt, add } => batch::load(state, *job, *attempt, add.as_ref(), now, events),
        Command::DropBatch { job, reason } => batch::drop_unloaded(state, *job, reason, events),
        Command::RepairBatch { job } => batch::repair(state, *job, now, events),
        Command::NextItems { job, attempt, want, chunk } => {
            item::next(state, *job, *attempt, (*want, *chunk), now, events)
        }
        Command::ReportItems { job, ended } => item::ended(state, *job, ended, now, events),
        Command::AdvanceItem { job, item } => item::advance(state, *job, item, events),
        Command::RemoveItem { key } => item::remove(state, key, events),
        Command::OverrideItem { key, params } => item::set_override(state, key, params, events),
        Command::RestoreItem { key } => item::restore(state, key, events),
    }
}
