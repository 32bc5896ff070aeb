//! How the daemon is: gathered from a picture of the state, counters and what is on disk. The engine is only asked for
//! the picture and some ends of its ordered sets, so that a look costs it the same whatever there is.

use std::collections::BTreeMap;

use super::app::Daemon;
use super::service::{blocking, failed};
use crate::clock::{Clock, SystemClock};
use crate::control::Refusal;
use crate::control::service::Coming;
use crate::control::status::*;
use crate::core::id::{JobId, TaskId};
use crate::core::lifecycle::JobState;
use crate::core::limits;
use crate::core::projection;
use crate::core::repair;
use crate::core::state::job::Job;
use crate::core::state::{Durable, State};
use crate::core::time::Timestamp;
use crate::core::view::JobView;
use crate::engine::archive::Archive;
use crate::engine::machine::Machine;

/// Interrupted jobs that are looked at one by one; of more, some are only counted.
const LOOKED_AT_MAX: usize = 1000;
/// Removed tasks of which the engine is asked whether they have jobs: a millisecond.
const REMOVED_MAX: usize = 10_000;
/// Bytes left on the disk of the state folder below which it is a problem.
const FREE_MIN: u64 = 64 * 1024 * 1024;

/// What only the engine knows.
struct Seen {
    picture: Durable,
    draining: bool,
    execution: bool,
    jobs: JobCounts,
    coming: Vec<Coming>,
    interrupted: Vec<JobId>,
}

fn look(machine: &Machine) -> Seen {
    let state = machine.state();
    let index = state.index();
    let name = |task: &TaskId| state.task(*task).map(|task| task.name.clone());
    let coming = index.schedules.iter().take(SHOWN_MAX);
    Seen {
        picture: state.picture(),
        draining: machine.is_draining(),
        execution: machine.execution(),
        jobs: JobCounts {
            scheduled: index.in_state(JobState::Scheduled),
            available: index.in_state(JobState::Available),
            running: index.in_state(JobState::Running),
            retryable: index.in_state(JobState::Retryable),
            interrupted: index.in_state(JobState::Interrupted),
            orphaned: 0,
        },
        coming: coming.filter_map(|(at, task, _)| Some(Coming { task: name(task)?, at: *at })).collect(),
        interrupted: index.interrupted.iter().rev().take(LOOKED_AT_MAX).copied().collect(),
    }
}

/// The live jobs of a task that is no longer in the config.
struct Orphans {
    task: Box<str>,
    live: u64,
    /// Those that do not run to their end.
    waiting: u64,
}

impl Daemon {
    pub(super) async fn status_now(&self) -> Result<Status, Refusal> {
        let (config, started_at) = (self.config(), self.started_at);
        let seen = self.engine().act(move |machine, _| look(machine)).await?;
        let (mut seen, removed) = blocking(move || Ok(with_removed(seen))).await?;
        let orphans = match removed.is_empty() {
            true => Vec::new(),
            false => self.engine().read(move |state| orphans(state, removed)).await?,
        };
        seen.jobs.orphaned = orphans.iter().map(|one| one.live).sum();
        let (archive, upkeep, state_dir) = (self.archive.clone(), self.upkeep(), config.state_dir.clone());
        let now = SystemClock.now().wall;
        let gathered = move || {
            let free = rustix::fs::statvfs(&state_dir).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
            let journal = upkeep.generations().iter().map(|generation| generation.bytes).sum();
            let disk = Disk { journal, history: archive.bytes(), free };
            Ok((
                Lists::gather(&seen, &orphans, &archive, now),
                seen.jobs,
                (seen.draining, seen.execution),
                seen.coming,
                disk,
            ))
        };
        let (lists, jobs, (draining, execution), coming, disk) = blocking(gathered).await?;
        let mut problems: Vec<Box<str>> = self.left_over().into_iter().map(Into::into).collect();
        problems.extend(lists.left);
        if let Some(free) = disk.free.filter(|free| *free < FREE_MIN) {
            let free = bytesize::ByteSize(free);
            problems.push(format!("the disk of the state folder is almost full: {free} are left").into());
        }
        let degrading = lists.waiting.iter().filter(|one| one.kind.degrades());
        problems.extend(degrading.map(|one| one.sentence().into()));
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            health: match (draining, !problems.is_empty()) {
                (true, _) => Health::Stopping,
                (false, true) => Health::Degraded,
                (false, false) => Health::Healthy,
            },
            state: if draining { "stopping" } else { "running" }.into(),
            now,
            started_at,
            uptime: now.since(started_at),
            execution,
            drained: config.execution && !execution,
            advancing: self.attempts().advancing(),
            seq: lists.seq,
            jobs,
            tasks: lists.tasks,
            running: lists.running,
            waiting: lists.waiting,
            waiting_jobs: lists.waiting_jobs,
            missed: lists.missed,
            next: coming.first().cloned(),
            coming,
            last_sweep: lists.last_sweep,
            problems,
            state_dir: config.state_dir.to_string_lossy().into(),
            disk,
        })
    }
}

/// The tasks that are no longer in the config; there may be as many as there are tasks.
fn with_removed(seen: Seen) -> (Seen, Vec<(TaskId, Box<str>)>) {
    let removed = seen.picture.tasks.values().filter(|task| task.removed).take(REMOVED_MAX);
    let removed = removed.map(|task| (task.id, task.name.clone())).collect();
    (seen, removed)
}

fn orphans(state: &State, removed: Vec<(TaskId, Box<str>)>) -> Vec<Orphans> {
    let of_task = |(id, task): (TaskId, Box<str>)| {
        let queue = state.index().queues.get(&id)?;
        let live = u64::from(queue.live);
        Some(Orphans { task, live, waiting: live.saturating_sub(queue.running.len() as u64) })
    };
    removed.into_iter().filter_map(of_task).collect()
}

/// What is gathered beside the engine.
struct Lists {
    seq: crate::core::id::Seq,
    tasks: TaskCounts,
    running: Vec<JobView>,
    waiting: Vec<Waiting>,
    waiting_jobs: u64,
    missed: Vec<Missed>,
    last_sweep: Option<LastSweep>,
    /// What sweeps could not mend, a sentence each.
    left: Vec<Box<str>>,
}

impl Lists {
    fn gather(seen: &Seen, orphans: &[Orphans], archive: &Archive, now: Timestamp) -> Lists {
        let picture = &seen.picture;
        let tasks = picture.tasks.values().filter(|task| !task.removed);
        let tasks = tasks.fold(TaskCounts::default(), |counts, task| TaskCounts {
            defined: counts.defined + 1,
            paused: counts.paused + u64::from(task.paused_at.is_some()),
        });
        let mut running: Vec<_> = picture.running.iter().collect();
        running.sort_by_key(|(_, running)| running.started);
        let running = running.into_iter().take(SHOWN_MAX).filter_map(|(id, _)| picture.jobs.get(*id));
        let mut waiting = interrupted(picture, &seen.interrupted);
        waiting.extend(orphans.iter().filter(|one| one.waiting > 0).map(orphaned));
        waiting.extend(discarded(picture, archive, now));
        // What is only counted: more than are looked at.
        let unseen = seen.jobs.interrupted.saturating_sub(seen.interrupted.len() as u64);
        let waiting_jobs = waiting.iter().map(|one| one.jobs).sum::<u64>() + unseen;
        waiting.sort_by_key(|one| one.kind);
        waiting.truncate(SHOWN_MAX);
        let missed = archive.read_recent(|recent| recent.lost(now)).into_iter().take(SHOWN_MAX);
        let missed = missed.map(|(task, lost)| Missed {
            task,
            missed: lost.missed,
            skipped: lost.skipped,
            last: lost.last,
            reason: lost.reason,
        });
        let sweeps = &picture.scalars.sweeps;
        let left = sweeps.left.iter().filter(|finding| !is_told_otherwise(&finding.invariant)).take(SHOWN_MAX);
        Lists {
            seq: picture.scalars.seq,
            tasks,
            running: running.filter_map(|job| projection::live(picture, job)).collect(),
            waiting,
            waiting_jobs,
            missed: missed.collect(),
            last_sweep: sweeps.last.as_ref().map(LastSweep::of),
            left: left.map(|it| format!("{}: {} ({})", it.subject, it.explanation, it.action).into()).collect(),
        }
    }
}

/// Whether `status` tells of what breaks this invariant in words of its own, or nobody can do anything about it.
fn is_told_otherwise(invariant: &str) -> bool {
    [repair::ORPHANED, crate::repair::outputs::LOST].contains(&invariant)
}

/// Adds a job to those of its task and kind, newest first, so that the first one stays the one shown.
fn count(
    found: &mut BTreeMap<(WaitingKind, Box<str>), Waiting>,
    kind: WaitingKind,
    task: &str,
    id: JobId,
    reason: &str,
) {
    let one = found.entry((kind, task.into())).or_insert_with(|| Waiting {
        kind,
        task: task.into(),
        jobs: 0,
        job: Some(id),
        reason: reason.into(),
        commands: Vec::new(),
    });
    one.jobs += 1;
    one.commands = match (one.jobs, kind) {
        (1, WaitingKind::Discarded) => vec![format!("daybook retry {id}").into()],
        (1, _) => vec![format!("daybook retry {id}").into(), format!("daybook cancel {id}").into()],
        (_, WaitingKind::Discarded) => vec![format!("daybook jobs --state discarded --task {task}").into()],
        (..) => vec![format!("daybook jobs --state interrupted --task {task}").into()],
    };
}

fn interrupted(picture: &Durable, newest: &[JobId]) -> Vec<Waiting> {
    let mut found = BTreeMap::new();
    for job in newest.iter().filter_map(|id| picture.jobs.get(*id)) {
        let Some(task) = picture.tasks.get(job.task) else { continue };
        let reason = job.cold.rare().error.as_deref().unwrap_or("interrupted");
        count(&mut found, kind(job), &task.name, job.id, reason);
    }
    found.into_values().collect()
}

fn kind(job: &Job) -> WaitingKind {
    match (job.cold.rare().held, job.crashes >= limits::CRASHES_MAX) {
        (true, true) => WaitingKind::Quarantined,
        (true, false) => WaitingKind::Held,
        (false, _) => WaitingKind::Interrupted,
    }
}

fn orphaned(Orphans { task, waiting, .. }: &Orphans) -> Waiting {
    Waiting {
        kind: WaitingKind::Orphaned,
        task: task.clone(),
        jobs: *waiting,
        job: None,
        reason: "is no longer in the config, and jobs of it wait for its return".into(),
        commands: vec![format!("daybook jobs --orphaned --task {task}").into()],
    }
}

/// Jobs given up of late, but not those that live again.
fn discarded(picture: &Durable, archive: &Archive, now: Timestamp) -> Vec<Waiting> {
    let mut found = BTreeMap::new();
    for (id, one) in archive.read_recent(|recent| recent.discarded(now)) {
        if picture.jobs.get(id).is_none() {
            count(&mut found, WaitingKind::Discarded, &one.task, id, &one.error);
        }
    }
    found.into_values().collect()
}

/// Counts what went wrong before this start, beside the daemon's work.
pub(super) fn look_back(archive: &std::sync::Arc<Archive>, until: crate::core::id::Seq) {
    archive.watch();
    let archive = archive.clone();
    let look = move || {
        if let Err(error) = archive.look_back(until, SystemClock.now().wall) {
            tracing::warn!(%error, "could not read what went wrong before this start, status counts only what does since");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("look-back".into()).spawn(look).map_err(failed) {
        tracing::warn!(?error, "could not look back, status counts only what goes wrong from now on");
    }
}
