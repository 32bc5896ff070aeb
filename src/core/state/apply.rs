//! What each event does to the state. Cannot fail: what an event says has happened.
//!
//! An event about something that is not there changes nothing; `decide` never makes one.

use std::sync::Arc;

use super::job::{Cold, Job, Rare};
use super::lock::{Holder, LockKey};
use super::task::{Schedule, Task};
use super::{Gap, Override, Running, State};
use crate::core::event::*;
use crate::core::id::{JobId, TaskId};
use crate::core::lifecycle::JobState;
use crate::core::time::Timestamp;
use crate::core::view::Progress;

impl State {
    /// Notes that a commit has been applied whole.
    pub fn committed(&mut self, seq: crate::core::id::Seq, at: Timestamp) {
        self.durable.scalars.seq = seq;
        self.durable.scalars.at = at;
    }

    /// Applies one event of a commit whose time is `at`.
    pub fn apply(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::JobAdded(added) => self.add(added, at),
            Event::JobDue(due) => self.change(due.job, |job| {
                job.state = JobState::Available;
                job.relative = false;
            }),
            Event::AttemptStarted(started) => self.start(started, at),
            Event::AttemptSpawned(spawned) => {
                self.change_running(spawned.job, |running| running.process = Some(spawned.process))
            }
            Event::AttemptAdopted(adopted) => self.adopt(adopted, at),
            Event::AttemptSettled(settled) => {
                self.change_running(settled.job, |running| running.settled = true);
                self.change(settled.job, |job| job.crashes = 0);
            }
            Event::JobProgressed(progressed) => self.change_running(progressed.job, |running| {
                running.progress = Progress {
                    current: progressed.current,
                    total: progressed.total,
                    message: progressed.message.clone(),
                }
            }),
            Event::OutputKept(kept) => self.change_running(kept.job, |running| running.output = kept.bytes),
            Event::JobCompleted(completed) => self.finish(completed.job),
            Event::JobDiscarded(discarded) => self.finish(discarded.job),
            Event::JobCancelled(cancelled) => self.finish(cancelled.job),
            Event::AttemptFailed(failed) => self.fail(failed),
            Event::StopRequested(stop) => {
                self.change_running(stop.job, |running| running.stopping = Some(stop.reason.clone()))
            }
            Event::JobInterrupted(interrupted) => self.interrupt(interrupted),
            Event::JobResumed(resumed) => self.make_available(resumed.job, at),
            Event::JobHeld(held) => self.change(held.job, |job| {
                let rare = job.rare_mut();
                rare.held = true;
                rare.error = Some(held.reason.clone());
            }),
            Event::JobRetried(retried) => self.retry(retried, at),
            Event::TaskDefined(defined) => self.define(defined, at),
            Event::TaskRemoved(removed) => self.change_task(removed.task, |task| {
                task.removed = true;
                task.schedules.iter_mut().for_each(|schedule| schedule.next = None);
            }),
            Event::TaskPaused(paused) => self.change_task(paused.task, |task| task.paused_at = Some(at)),
            Event::TaskUnpaused(resumed) => self.change_task(resumed.task, |task| {
                task.paused_at = None;
                task.resumed_at = Some(at);
            }),
            Event::OccurrenceDecided(decided) => {
                self.move_schedule(decided.task, decided.schedule, decided.instant, decided.next)
            }
            Event::OccurrencesPassed(passed) => {
                let last = passed.instants().last().unwrap_or(passed.first);
                self.move_schedule(passed.task, passed.schedule, last, passed.next)
            }
            Event::ScheduleMoved(moved) => self.move_schedule(moved.task, moved.schedule, moved.decided, moved.next),
            Event::DaemonStarted(started) => {
                let scalars = &mut self.durable.scalars;
                scalars.up_since = at;
                scalars.gap = Gap::Down;
                scalars.boot_id = started.boot_id.clone();
                scalars.stopped = false;
                scalars.sweeps.forget_unfinished();
            }
            Event::DaemonStopped(_) => self.durable.scalars.stopped = true,
            Event::ClockStepped(stepped) => self.step_clock(stepped.milliseconds, at),
            Event::ClockSuspended(_) => {
                self.durable.scalars.up_since = at;
                self.durable.scalars.gap = Gap::Suspended;
            }
            Event::SweepFound(found) => self.durable.scalars.sweeps.found(found),
            Event::SweepFinished(finished) => self.durable.scalars.sweeps.finished(finished, at),
            Event::ConfigChanged(_) => {}
            Event::BatchOpened(opened) => self.open_batch(opened.job, opened.task, true, at),
            Event::ItemsAdded(added) => self.add_items(added),
            Event::BatchLoaded(loaded) => self.change_batch(loaded.job, |batch| batch.loaded()),
            Event::BatchDropped(dropped) => self.drop_batch(dropped.job),
            Event::ItemsStarted(started) => self.start_items(started),
            Event::ItemsDone(done) => {
                self.note_headway(done.job, &done.items);
                self.end_items(done.job, &done.items, |batch| batch.done(&done.items))
            }
            Event::ItemFailed(failed) => {
                let item = std::iter::once(failed.item).collect();
                self.note_headway(failed.job, &item);
                self.end_items(failed.job, &item, |batch| batch.failed(failed))
            }
            Event::ItemsReturned(back) => self.end_items(back.job, &back.items, |batch| batch.give_back(&back.items)),
            Event::ItemsSkipped(skipped) => self.skip_items(skipped),
            Event::OverrideSet(set) => {
                let own = Override { params: set.params.clone(), since: at };
                self.durable.overrides.insert(set.key.clone(), own);
            }
            Event::OverrideCleared(cleared) => {
                self.durable.overrides.remove(&cleared.key);
            }
        }
    }

    fn add(&mut self, added: &JobAdded, at: Timestamp) {
        let is_batch = self.begin_batch(added, at);
        let lock = self.lock_of(added.job, added.task, &added.args);
        let rare = Rare { key: added.key.clone(), occurrence: added.occurrence, lock, ..Rare::default() };
        let job = Job {
            id: added.job,
            due: added.due,
            cold: Arc::new(Cold::new(at, added.args.clone(), rare)),
            task: added.task,
            attempts: 0,
            failures: 0,
            crashes: 0,
            state: if added.due > at { JobState::Scheduled } else { JobState::Available },
            priority: added.priority,
            relative: added.relative,
            is_batch,
        };
        let last = &mut self.durable.scalars.last_job;
        *last = (*last).max(added.job);
        self.insert(job);
    }

    fn insert(&mut self, job: Job) {
        let task = job.task;
        self.index.insert(&job);
        self.index.insert_key(&job);
        self.durable.jobs.insert(job);
        self.refresh(task);
    }

    /// Changes a live job and what orders it.
    pub(super) fn change(&mut self, id: JobId, change: impl FnOnce(&mut Job)) {
        let Some(job) = self.durable.jobs.get_mut(id) else { return };
        let (task, was) = (job.task, job.state);
        self.index.change(job, change);
        if was != job.state
            && (was == JobState::Running || job.state == JobState::Running)
            && let Some(lock) = job.cold.rare().lock.clone()
        {
            match was == JobState::Running {
                true => self.release(&lock, Holder::Job(id)),
                false => self.acquire(lock, Holder::Job(id)),
            }
        }
        self.refresh(task);
    }

    pub(super) fn refresh(&mut self, task: TaskId) {
        if let Some(task) = self.durable.tasks.get(task) {
            self.index.refresh(task);
        }
    }

    fn change_running(&mut self, id: JobId, change: impl FnOnce(&mut Running)) {
        let Some(running) = self.durable.running.get_mut(&id) else { return };
        self.index.remove_running(id, running);
        change(running);
        self.index.insert_running(id, running);
    }

    fn end_running(&mut self, id: JobId) -> Option<Running> {
        let running = self.durable.running.remove(&id)?;
        self.index.remove_running(id, &running);
        Some(running)
    }

    fn start(&mut self, started: &AttemptStarted, at: Timestamp) {
        self.change(started.job, |job| {
            job.state = JobState::Running;
            job.attempts = started.attempt;
        });
        let running = Running {
            attempt: started.attempt,
            started: at,
            process: None,
            settled: false,
            stopping: None,
            progress: Progress::default(),
            output: 0,
        };
        self.index.insert_running(started.job, &running);
        self.durable.running.insert(started.job, running);
        self.change_batch(started.job, |batch| batch.begin(at));
    }

    fn finish(&mut self, id: JobId) {
        self.end_running(id);
        if let Some(job) = self.durable.jobs.remove(id) {
            self.index.remove(&job);
            self.index.remove_key(&job);
            if let Some(lock) = &job.cold.rare().lock {
                self.release(lock, Holder::Job(id));
            }
            self.refresh(job.task);
        }
    }

    fn fail(&mut self, failed: &AttemptFailed) {
        let running = self.end_running(failed.job);
        self.change(failed.job, |job| {
            let first_due = job.due;
            let rare = job.rare_mut();
            rare.error = Some(failed.error.clone());
            rare.attempt_is_over(running);
            rare.first_due.get_or_insert(first_due);
            job.state = JobState::Retryable;
            job.failures = job.failures.saturating_add(1);
            job.crashes = 0;
            job.due = failed.retry_at;
            job.relative = true;
        });
    }

    fn adopt(&mut self, adopted: &AttemptAdopted, at: Timestamp) {
        if adopted.start {
            self.change_running(adopted.job, |running| {
                running.started = at;
                running.settled = false;
            });
        }
        if adopted.suspect {
            self.change(adopted.job, |job| job.crashes = job.crashes.saturating_add(1));
        }
    }

    fn interrupt(&mut self, interrupted: &JobInterrupted) {
        let running = self.end_running(interrupted.job);
        self.change(interrupted.job, |job| {
            job.state = JobState::Interrupted;
            job.crashes = if interrupted.suspect { job.crashes.saturating_add(1) } else { 0 };
            let rare = job.rare_mut();
            rare.error = Some(interrupted.reason.clone());
            rare.attempt_is_over(running);
        });
    }

    fn make_available(&mut self, id: JobId, at: Timestamp) {
        self.change(id, |job| {
            let first_due = job.due.min(at);
            let rare = job.rare_mut();
            rare.held = false;
            rare.first_due.get_or_insert(first_due);
            job.state = JobState::Available;
            job.due = at;
            job.relative = false;
        });
    }

    fn retry(&mut self, retried: &JobRetried, at: Timestamp) {
        if let Some(finished) = &retried.finished {
            let lock = self.lock_of(finished.view.id, finished.task, &finished.view.args);
            let is_batch = self.durable.batches.contains_key(&finished.view.id);
            self.insert(revived(finished, lock, is_batch));
        }
        self.change(retried.job, |job| {
            job.failures = 0;
            job.crashes = 0;
            job.rare_mut().first_due = Some(at);
        });
        self.make_available(retried.job, at);
    }

    fn define(&mut self, defined: &TaskDefined, at: Timestamp) {
        let last = &mut self.durable.scalars.last_task;
        *last = (*last).max(defined.task);
        self.index.names.insert(defined.name.clone(), defined.task);
        let old = self.durable.tasks.get(defined.task).cloned();
        let mut task = Task {
            id: defined.task,
            name: defined.name.clone(),
            policy: Arc::new(defined.policy.clone()),
            schedules: defined.next.iter().map(|next| Schedule { decided: at, next: *next }).collect(),
            removed: false,
            paused_at: old.as_ref().and_then(|old| old.paused_at),
            resumed_at: old.as_ref().and_then(|old| old.resumed_at),
        };
        if let Some(old) = &old {
            self.index.remove_schedules(old);
            keep_schedules(&mut task, old);
        }
        self.index.insert_schedules(&task);
        self.index.refresh(&task);
        self.durable.tasks.insert(Arc::new(task));
    }

    fn change_task(&mut self, id: TaskId, change: impl FnOnce(&mut Task)) {
        let Some(task) = self.durable.tasks.get_mut(id) else { return };
        self.index.remove_schedules(task);
        let task = Arc::make_mut(task);
        change(task);
        self.index.insert_schedules(task);
        self.index.refresh(task);
    }

    fn move_schedule(&mut self, task: TaskId, schedule: u16, decided: Timestamp, next: Option<Timestamp>) {
        let Some(task) = self.durable.tasks.get_mut(task) else { return };
        let task = Arc::make_mut(task);
        let Some(place) = task.schedules.get_mut(schedule as usize) else { return };
        if let Some(old) = place.next {
            self.index.schedules.remove(&(old, task.id, schedule));
        }
        *place = Schedule { decided, next };
        if let (Some(next), true) = (next, task.is_active()) {
            self.index.schedules.insert((next, task.id, schedule));
        }
    }

    /// Waits are lengths of time and not instants of the wall clock, so they move along with it.
    fn step_clock(&mut self, milliseconds: i64, at: Timestamp) {
        let scalars = &mut self.durable.scalars;
        if milliseconds > 0 {
            scalars.up_since = at;
            scalars.gap = Gap::Stepped;
        } else {
            scalars.up_since = scalars.up_since.min(at);
        }
        let waits = self.index.due.iter().map(|(_, id)| *id).chain(self.index.repairable.iter().copied());
        let waits: Vec<JobId> = waits.collect();
        for id in waits {
            if self.job(id).is_some_and(|job| job.relative) {
                self.change(id, |job| {
                    job.due = job.due.shifted(milliseconds);
                    shift_first_due(job, milliseconds);
                });
            }
        }
        // What is under way or about to be: nothing orders it by its due instant, but `give_up_after` counts from there.
        let due = |job: &&Job| matches!(job.state, JobState::Available | JobState::Running | JobState::Interrupted);
        let due: Vec<JobId> = self.durable.jobs.iter().filter(due).map(|job| job.id).collect();
        for id in due {
            if let Some(job) = self.durable.jobs.get_mut(id)
                && !shift_first_due(job, milliseconds)
            {
                job.due = job.due.shifted(milliseconds);
            }
        }
        let waiting: Vec<JobId> =
            self.batches().filter(|(_, batch)| !batch.later.is_empty()).map(|(id, _)| id).collect();
        for id in waiting {
            self.change_batch(id, |batch| batch.step_clock(milliseconds));
        }
        let resumed: Vec<TaskId> = self.tasks().filter(|task| task.resumed_at > Some(at)).map(|task| task.id).collect();
        for id in resumed {
            self.change_task(id, |task| task.resumed_at = Some(at));
        }
        let running: Vec<JobId> = self.durable.running.keys().copied().collect();
        for id in running {
            self.change_running(id, |running| running.started = running.started.shifted(milliseconds));
        }
    }
}

/// Moves the instant from which `give_up_after` counts, if it is noted; the answer says so.
fn shift_first_due(job: &mut Job, milliseconds: i64) -> bool {
    if job.cold.rare().first_due.is_none() {
        return false;
    }
    let first_due = &mut job.rare_mut().first_due;
    *first_due = first_due.map(|at| at.shifted(milliseconds));
    true
}

/// A schedule that reads as before goes on where it was.
fn keep_schedules(task: &mut Task, old: &Task) {
    if old.removed || !task.policy.same_calendar(&old.policy) {
        return;
    }
    for (number, text) in task.policy.schedules.iter().enumerate() {
        let before = old.policy.schedules.iter().position(|other| other == text);
        if let Some(schedule) = before.and_then(|before| old.schedules.get(before)) {
            task.schedules[number] = *schedule;
        }
    }
}

fn revived(finished: &Finished, lock: Option<LockKey>, is_batch: bool) -> Job {
    let view = &finished.view;
    let rare = Rare {
        key: view.key.clone(),
        // It runs as an added job: its occurrence has been decided.
        occurrence: None,
        error: view.error.clone(),
        started: view.started_at,
        progress: Some(Box::new(view.progress.clone())),
        output: view.output_bytes,
        first_due: None,
        held: false,
        lock,
    };
    Job {
        id: view.id,
        due: view.due_at,
        cold: Arc::new(Cold::new(view.created_at, view.args.clone(), rare)),
        task: finished.task,
        attempts: view.attempts,
        failures: 0,
        crashes: 0,
        state: JobState::Available,
        priority: view.priority,
        relative: false,
        is_batch,
    }
}
