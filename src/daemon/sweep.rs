//! The one routine of repair, whichever of its doors it is asked at: start, timer, SIGHUP, command line, socket.
//!
//! Two sweeps never run at once: who asks while one runs is told what that one finds. A dry run and a real one do not
//! stand in for each other; the second then waits for the first. A sweep goes on when its asker has gone.
//!
//! It looks at attempts first, as what it finds there is for the state to decide; then at the state, in slices, each an
//! act of the engine like any other; then at a picture of the state, and at files, beside the engine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::executor::Attempts;
use super::passes::Passes;
use super::retention::Retention;
use crate::clock::{Clock, SystemClock};
use crate::core::lifecycle::JobState;
use crate::core::projection;
use crate::core::repair::{Door, Finding, Fix, Proposal, Report, at_leisure};
use crate::core::state::job::Job;
use crate::engine::run::Executor;
use crate::engine::{Gone, Handle, Sweep};
use crate::exec::OutputFile;
use crate::repair::{Mend, attempts, folder, items, outputs, retention};

/// Jobs that ended last, whose outputs should be there. All of the history would take too long.
const FINISHED_LOOKED_AT: usize = 1000;

/// What all doors lead to.
pub struct Sweeper {
    engine: Handle,
    executor: Arc<dyn Executor>,
    attempts: Arc<Attempts>,
    kept: Arc<Retention>,
    state_dir: PathBuf,
    passes: Arc<Passes>,
}

/// What a start has found and mended before the engine ran.
#[derive(Debug, Default)]
pub struct AtStart {
    pub mended: Vec<Finding>,
    pub left: Vec<Finding>,
}

/// Does what blocks on a thread for that; a panic in there goes on here.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

impl Sweeper {
    pub fn new(engine: Handle, executor: Arc<dyn Executor>, attempts: Arc<Attempts>) -> Arc<Sweeper> {
        Arc::new(Sweeper {
            engine,
            executor,
            kept: attempts.retention.clone(),
            state_dir: attempts.config().state_dir.clone(),
            attempts,
            passes: Passes::new(),
        })
    }

    /// Sweeps, or joins the sweep of the same kind that runs already.
    pub async fn sweep(self: &Arc<Self>, door: Door, dry_run: bool) -> Result<Report, Gone> {
        let this = self.clone();
        let (running, joined) = self.passes.begin(dry_run, async move { this.pass(door, dry_run).await });
        let report = running.await?;
        Ok(Report { joined, ..(*report).clone() })
    }

    /// Sweeps, and joins none that has begun before: it may have looked already at what has changed since, as the config.
    pub async fn sweep_anew(self: &Arc<Self>, door: Door) -> Result<Report, Gone> {
        self.wait().await;
        self.sweep(door, false).await
    }

    /// Goes on with the sweep that the start of the daemon has begun.
    pub async fn start(self: &Arc<Self>, sweep: Sweep, found: AtStart) -> Result<(), Gone> {
        let this = self.clone();
        let pass = async move {
            let sweep = this.note(sweep, found.mended, found.left).await?;
            this.rest(sweep).await
        };
        self.passes.begin(false, pass).0.await.map(drop)
    }

    /// Waits for the end of the real sweep that runs, if one does.
    pub async fn wait(&self) {
        if let Some(running) = self.passes.real() {
            // Whoever has asked for it is told how it ended.
            let _: Result<Arc<Report>, Gone> = running.await;
        }
    }

    /// How long it is until the next one is due, `every` so often.
    pub fn due_in(&self, every: Duration) -> Duration {
        self.passes.due_in(every)
    }

    async fn pass(&self, door: Door, dry_run: bool) -> Result<Report, Gone> {
        let projections = self.kept.archive.progress();
        let sweep = self.engine.act(move |machine, _| Sweep::begin(machine, door, dry_run, projections)).await?;
        let sweep = self.attempts(sweep).await?;
        let sweep = self.items(sweep).await?;
        self.rest(sweep).await
    }

    async fn rest(&self, sweep: Sweep) -> Result<Report, Gone> {
        let sweep = self.slices(sweep).await?;
        let sweep = self.picture(sweep).await?;
        let sweep = self.folder(sweep).await?;
        let sweep = self.files(sweep).await?;
        let sweep = self.lost(sweep).await?;
        self.engine.act(move |machine, _| sweep.finish(machine)).await
    }

    async fn attempts(&self, sweep: Sweep) -> Result<Sweep, Gone> {
        let under_way = self.engine.read(attempts::under_way).await?;
        let (executor, socket) = (self.executor.clone(), self.attempts.config().socket.clone());
        let look = move || {
            let mut proposals = attempts::vanished(&under_way, &*executor, &socket);
            proposals.extend(attempts::overdue(&under_way, &executor));
            proposals
        };
        let proposals = blocking(look).await;
        self.mend(sweep, proposals).await
    }

    /// After the attempts: what those that have vanished leave behind is then found, too.
    async fn items(&self, sweep: Sweep) -> Result<Sweep, Gone> {
        let under_way = self.engine.read(items::under_way).await?;
        let (attempts, socket) = (self.attempts.clone(), self.attempts.config().socket.clone());
        let look = move || items::vanished(&under_way, |handling| attempts.looks_after(handling), &socket);
        let proposals = blocking(look).await;
        self.mend(sweep, proposals).await
    }

    /// All of the state, with turns for others between two slices.
    async fn slices(&self, mut sweep: Sweep) -> Result<Sweep, Gone> {
        loop {
            let (next, more) = self
                .engine
                .act(move |machine, _| {
                    let more = sweep.slice(machine);
                    (sweep, more)
                })
                .await?;
            if !more {
                return Ok(next);
            }
            sweep = next;
        }
    }

    async fn picture(&self, sweep: Sweep) -> Result<Sweep, Gone> {
        let look = move |machine: &mut crate::engine::machine::Machine, _: &dyn crate::engine::machine::Lookup| {
            let (picture, census) = sweep.picture(machine);
            (sweep, picture, census)
        };
        let (mut sweep, picture, census) = self.engine.act(look).await?;
        // The picture is dropped there as well: that takes milliseconds.
        sweep.take(blocking(move || at_leisure(&picture, &census)).await);
        self.slices(sweep).await
    }

    /// The state folder, and what the projections keep.
    async fn folder(&self, sweep: Sweep) -> Result<Sweep, Gone> {
        let state_dir = self.state_dir.clone();
        let sweep = self.mend(sweep, blocking(move || folder::find(&state_dir)).await).await?;
        let (kept, age) = (self.kept.clone(), self.attempts.config().history_keep.age);
        let overdue = move || retention::rows(&kept.archive.oldest(age), age, SystemClock.now().wall);
        self.retain(sweep, overdue).await
    }

    /// The outputs that are not there: of jobs that wait for another attempt or a person, and of those that ended last.
    async fn lost(&self, sweep: Sweep) -> Result<Sweep, Gone> {
        let picture = self.engine.picture().await?;
        let (archive, outputs) = (self.kept.archive.clone(), self.kept.outputs.clone());
        let look = move || {
            let waits = |job: &&Job| job.state != JobState::Running && job.cold.rare().output > 0;
            let live = picture.jobs.iter().filter(waits).filter_map(|job| projection::live(&picture, job));
            let finished = archive.jobs(None).take(FINISHED_LOOKED_AT).flatten().filter_map(|ended| ended.view());
            let left: Vec<_> = live.chain(finished).filter_map(|job| outputs::Left::of(&job)).collect();
            outputs::lost(&outputs, &left)
        };
        let found = blocking(look).await;
        self.mend(sweep, found).await
    }

    /// The outputs, a folder of a thousand jobs at a time.
    async fn files(&self, mut sweep: Sweep) -> Result<Sweep, Gone> {
        let outputs = self.kept.outputs.clone();
        let mut folders = blocking(move || outputs.folders().unwrap_or_default()).await;
        folders.sort_unstable();
        for folder in folders {
            let outputs = self.kept.outputs.clone();
            let age = self.attempts.config().outputs_keep.age;
            let list = move || outputs.idle_files(folder).unwrap_or_default();
            let files = blocking(list.clone()).await;
            if files.is_empty() {
                continue;
            }
            sweep = self.strays(sweep, files).await?;
            sweep = self
                .retain(sweep, move || retention::outputs(&list(), age, SystemTime::now()).into_iter().collect())
                .await?;
        }
        Ok(sweep)
    }

    async fn strays(&self, sweep: Sweep, files: Vec<OutputFile>) -> Result<Sweep, Gone> {
        let jobs: Vec<_> = files.iter().map(|file| file.job).collect();
        // Asked after the files were seen: a job is there before any file of it.
        let known = self.engine.read(move |state| outputs::Known::of(state, jobs.into_iter())).await?;
        let outputs = &self.kept.outputs;
        let mut proposals = outputs::without_job(outputs, &files, &known);
        proposals.extend(outputs::abandoned_results(outputs, &files, &known));
        self.mend(sweep, proposals).await
    }

    /// Has what is no longer kept dropped, if that is overdue, and looks whether it is gone then.
    async fn retain(
        &self,
        mut sweep: Sweep,
        overdue: impl Fn() -> Vec<Finding> + Clone + Send + 'static,
    ) -> Result<Sweep, Gone> {
        let found = blocking(overdue.clone()).await;
        if found.is_empty() {
            return Ok(sweep);
        }
        if sweep.is_dry() {
            found.into_iter().for_each(|finding| sweep.list(finding));
            return Ok(sweep);
        }
        let (kept, config) = (self.kept.clone(), self.attempts.config());
        let still = blocking(move || {
            kept.retain(&config);
            overdue()
        });
        let still = still.await;
        let is_left = |finding: &Finding| still.iter().any(|other| other.subject == finding.subject);
        let (left, mended) = found.into_iter().partition(is_left);
        self.note(sweep, mended, left).await
    }

    /// Mends what was found outside of the state, unless it is a dry run.
    async fn mend(&self, mut sweep: Sweep, proposals: Vec<crate::repair::Proposal>) -> Result<Sweep, Gone> {
        let (mut acts, mut left, mut commands) = (Vec::new(), Vec::new(), Vec::new());
        for crate::repair::Proposal { finding, mend } in proposals {
            match mend {
                Mend::None => left.push(finding),
                Mend::Run(command) => commands.push(Proposal { finding, fix: Fix::Run(command) }),
                Mend::Do(_) if sweep.is_dry() => sweep.list(finding),
                Mend::Do(act) => acts.push((finding, act)),
            }
        }
        sweep.take(commands);
        let work = move || {
            let mut mended = Vec::new();
            for (mut finding, act) in acts {
                match act() {
                    Ok(()) => mended.push(finding),
                    Err(error) => {
                        finding.action = format!("none: {error}").into();
                        left.push(finding);
                    }
                }
            }
            (mended, left)
        };
        let (mended, left) = blocking(work).await;
        self.note(sweep, mended, left).await
    }

    async fn note(&self, mut sweep: Sweep, mended: Vec<Finding>, left: Vec<Finding>) -> Result<Sweep, Gone> {
        left.into_iter().for_each(|finding| sweep.leave(finding));
        if mended.is_empty() {
            return Ok(sweep);
        }
        let note = move |machine: &mut crate::engine::machine::Machine, _: &dyn crate::engine::machine::Lookup| {
            sweep.mended(machine, mended);
            sweep
        };
        self.engine.act(note).await
    }
}
