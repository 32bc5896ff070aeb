//! What must hold: after a crash, and when all has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use daybook::core::codec;
use daybook::core::event::{AttemptFailed, Event, JobDiscarded, JobResumed};
use daybook::core::id::{JobId, Seq};
use daybook::core::lifecycle::JobState;
use daybook::core::limits;
use daybook::core::policy::{Dst, OnInterrupt};
use daybook::core::projection::{self, Row};
use daybook::core::repair::Report;
use daybook::core::schedule::{Rule, Schedule, Zone};
use daybook::core::state::{Durable, State};
use daybook::core::time::Timestamp;
use daybook::engine::machine::Sealed;

use crate::clients::{STEADY, STEADY_SCHEDULE};
use crate::laws::{self, Course};
use crate::world::Told;

/// What the world knows to be on disk, and what it was told.
#[derive(Clone, Default)]
pub struct Model {
    commits: Vec<Arc<Stored>>,
    /// The state as of the last commit.
    durable: Durable,
    /// Attempts that were ordered. None is ordered twice.
    started: BTreeSet<(JobId, u32)>,
    added: BTreeSet<JobId>,
    keys: BTreeMap<Box<str>, JobId>,
    /// Jobs whose cancel was acknowledged.
    cancelled: BTreeSet<JobId>,
}

struct Stored {
    seq: Seq,
    at: Timestamp,
    payload: Vec<u8>,
    rows: Vec<Row>,
}

impl Model {
    /// A commit is on disk.
    pub fn take(&mut self, sealed: &Sealed, picture: Durable) {
        let Sealed { seq, at, payload, release, .. } = sealed;
        let rows = release.rows.clone();
        self.commits.push(Arc::new(Stored { seq: *seq, at: *at, payload: payload.clone(), rows }));
        self.durable = picture;
    }

    pub fn start(&mut self, job: JobId, attempt: u32) {
        assert!(self.started.insert((job, attempt)), "attempt {job}.{attempt} is ordered twice");
    }

    /// Whether a client was told that it is there.
    pub fn was_added(&self, job: JobId) -> bool {
        self.added.contains(&job)
    }

    pub fn hear(&mut self, told: Told) {
        match told {
            Told::Added { job, created, key } => {
                if created {
                    assert!(self.added.insert(job), "job {job} was created twice");
                }
                if let Some(key) = key {
                    let first = *self.keys.entry(key.clone()).or_insert(job);
                    assert_eq!(first, job, "key `{key}` has two jobs");
                }
            }
            Told::Cancelled(job) => drop(self.cancelled.insert(job)),
            Told::Opened { .. } | Told::Other(_) => {}
        }
    }

    fn rows(&self) -> Vec<(Seq, Row)> {
        self.commits.iter().flat_map(|commit| commit.rows.iter().map(|row| (commit.seq, row.clone()))).collect()
    }
}

/// After a crash: the state is that of the last commit on disk, and so are the projections.
pub fn recovered(model: &Model, state: &State, rows: Vec<(Seq, Row)>) {
    assert_eq!(state.durable(), &model.durable, "the state is not that of the last commit");
    assert_eq!(rows, model.rows(), "the projections are not those of the commits");
    let live = |job: &JobId| state.job(*job).is_some();
    let over: BTreeSet<JobId> = rows.iter().filter_map(|(_, row)| job_of(row)).collect();
    let lost: Vec<_> = model.added.iter().filter(|job| !live(job) && !over.contains(job)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    for (key, job) in &model.keys {
        let held = state.job_with_key(key).map(|job| job.id);
        assert!(held == Some(*job) || over.contains(job), "key `{key}` of job {job} is lost");
    }
}

fn job_of(row: &Row) -> Option<JobId> {
    match row {
        Row::Job(job) => Some(job.id),
        Row::Occurrence(_) => None,
    }
}

/// A sweep mends what a crash leaves; what it could not mend, or what must never be broken, is a bug.
pub fn healthy(report: &Report) {
    let expected = [
        "interrupted-jobs",
        "held-jobs",
        "undecided-occurrences",
        "past-timers",
        "orphaned-jobs",
        "failed-batches",
        "projections-behind",
    ];
    let strange: Vec<_> = report.findings.iter().filter(|it| !expected.contains(&&*it.invariant)).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

/// After the first commit of a new daemon: what ran goes on by its task's policy, what waits waits as before.
pub fn booted(before: &Durable, state: &State, now: Timestamp) {
    for (id, running) in &before.running {
        let old = before.jobs.get(*id).unwrap();
        let task = state.task(old.task).unwrap();
        let Some(job) = state.job(*id) else {
            let failed = task.policy.on_interrupt == OnInterrupt::Fail && !task.removed;
            // A newer occurrence of a task whose overlap policy is `replace` may have come in its place.
            let replaced = old.cold.rare().occurrence.is_some();
            assert!(running.stopping.is_some() || failed || replaced, "job {id} ran, and is gone");
            continue;
        };
        assert!(running.stopping.is_none(), "job {id} was to be cancelled");
        let held = job.crashes >= limits::CRASHES_MAX || task.policy.on_interrupt == OnInterrupt::Hold;
        match job.state {
            JobState::Interrupted if task.removed => assert!(!job.cold.rare().held, "job {id} waits for its task"),
            JobState::Interrupted => assert!(held && job.cold.rare().held, "job {id} stays interrupted"),
            JobState::Available => {
                assert!(!held && !task.removed && task.policy.on_interrupt == OnInterrupt::Retry, "job {id} goes on")
            }
            other => panic!("job {id} is {other} before anything was started"),
        }
    }
    if now < before.scalars.at {
        return; // the clock was set back meanwhile, and waits move along with it
    }
    for old in before.jobs.iter().filter(|job| matches!(job.state, JobState::Retryable | JobState::Scheduled)) {
        match state.job(old.id) {
            Some(job) if job.state == old.state => assert_eq!(job.due, old.due, "job {} has another due time", old.id),
            Some(job) => assert!(old.due <= now && job.state == JobState::Available, "job {} came too soon", old.id),
            None => assert!(old.cold.rare().occurrence.is_some(), "job {} waited, and is gone", old.id),
        }
    }
}

/// When all has come to rest. `once`: the clock was never set back, so no instant can have come twice.
pub fn at_the_end(model: &Model, rows: Vec<(Seq, Row)>, once: bool) {
    let mut state = State::default();
    let mut replayed = Vec::new();
    let mut steady = None;
    let (mut course, mut jobs) = (Course::default(), BTreeSet::new());
    let (mut cancelled, mut ever_cancelled) = (BTreeSet::new(), BTreeSet::new());
    let (mut keys, mut started, mut revived) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::<JobId, u32>::new());
    for (commit, seq) in model.commits.iter().zip(1..) {
        assert_eq!(commit.seq, Seq(seq), "a commit is missing");
        for event in codec::events(&commit.payload).unwrap() {
            course.before(&state, &event);
            match &event {
                Event::JobAdded(added) => {
                    let opened = state.batch(added.job).is_some_and(|batch| batch.given && !batch.loaded);
                    let next = added.job.0 == state.scalars().last_job.0 + 1;
                    assert!(opened != next && state.job(added.job).is_none(), "numbers are given in order: {added:?}");
                    jobs.insert(added.job);
                    if let Some(key) = &added.key {
                        assert!(keys.insert(key.clone()), "key `{key}` was given to two jobs");
                    }
                }
                Event::AttemptStarted(start) => {
                    assert!(started.insert((start.job, start.attempt)), "{start:?} comes twice");
                }
                Event::JobRetried(retried) => {
                    *revived.entry(retried.job).or_default() += u32::from(retried.finished.is_some());
                    cancelled.remove(&retried.job);
                }
                Event::StopRequested(asked) => {
                    cancelled.insert(asked.job);
                    ever_cancelled.insert(asked.job);
                }
                Event::JobCancelled(asked) => drop(ever_cancelled.insert(asked.job)),
                Event::JobResumed(JobResumed { job })
                | Event::AttemptFailed(AttemptFailed { job, .. })
                | Event::JobDiscarded(JobDiscarded { job, .. }) => {
                    assert!(!cancelled.contains(job), "job {job} was cancelled, and then there is {event:?}");
                }
                Event::TaskDefined(defined) if *defined.name == *STEADY && defined.policy.schedules.is_empty() => {
                    steady = state.task(defined.task).map(|task| task.schedules[0].decided);
                }
                _ => {}
            }
            let mut of_event = Vec::new();
            projection::rows(&state, &event, commit.at, &mut of_event);
            replayed.extend(of_event.into_iter().map(|row| (commit.seq, row)));
            state.apply(&event, commit.at);
        }
        state.committed(commit.seq, commit.at);
        course.after(&state);
    }
    assert_eq!(state.durable(), &model.durable, "a replay comes to another state");
    assert_eq!(rows, replayed, "the projections are not those of a replay");
    assert!(model.started.is_subset(&started), "an attempt was ordered that the journal knows nothing of");
    assert!(state.jobs().is_empty());
    let mut ends = BTreeMap::<JobId, Vec<JobState>>::new();
    let mut occurrences = BTreeSet::new();
    for (_, row) in &rows {
        match row {
            Row::Job(job) => ends.entry(job.id).or_default().push(job.state),
            Row::Occurrence(row) => {
                let fresh = occurrences.insert((row.task.clone(), row.schedule, row.at));
                // What is read under a number may be another expression after a reload; the steady one stays.
                assert!(fresh || !once || *row.task != *STEADY, "an occurrence has two rows: {row:?}");
            }
        }
    }
    laws::at_the_end(&state, &ends);
    for job in jobs {
        let ended = ends.get(&job).map_or(0, Vec::len) as u32;
        assert_eq!(ended, 1 + revived.get(&job).copied().unwrap_or(0), "job {job} has {ended} ends");
    }
    let forgotten: Vec<_> = model.cancelled.difference(&ever_cancelled).collect();
    assert!(forgotten.is_empty(), "cancels were acknowledged of which the journal knows nothing: {forgotten:?}");
    if once {
        let decided = steady.expect("the steady schedule is taken away at the end");
        every_instant(
            model.commits[0].at,
            decided,
            occurrences.iter().filter(|row| *row.0 == *STEADY && row.1 == 0).map(|row| row.2),
        );
    }
}

/// The rows of the steady schedule are its instants, from the first commit to the last decision: all, and no other.
fn every_instant(first: Timestamp, decided: Timestamp, found: impl Iterator<Item = Timestamp>) {
    let rule = Rule::parse(STEADY_SCHEDULE).unwrap();
    let schedule = Schedule { rule, zone: Zone::get("UTC").unwrap(), dst: Dst::Vixie, anchor: first };
    let expected: BTreeSet<_> = schedule.after(first).take_while(|at| *at <= decided).collect();
    let found: BTreeSet<_> = found.collect();
    let without: Vec<_> = expected.difference(&found).collect();
    assert!(without.is_empty(), "instants up to {decided} without a row: {without:?}");
    let invented: Vec<_> = found.difference(&expected).collect();
    assert!(invented.is_empty(), "rows for what is no instant up to {decided}: {invented:?}");
}
