//! One attempt from start to end, seen from the daemon: start its shim, pass wishes on to it, read how it ended.
//!
//! ```text
//! asked to stop before ────────────────────────────────▶ Cancelled | Interrupted
//! launch ──fails───────────────────────────────────────▶ NotStarted
//!   │
//! wait for the shim ◀── wishes, as signals
//!   ├─ it replies ───────────────────────────────────────▶ what it says
//!   │
//! run file ──has an end────────────────────────────────▶ what the shim noted
//!          └─has none: end what is left of the job ─────▶ Lost
//! ```
//!
//! An attempt of an earlier daemon begins at its shim, which replies to nobody any more.

use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;

use crate::core::id::JobId;
use crate::core::limits;
use crate::descriptors::attempts_max;
use crate::shim::life::Reply;
use crate::shim::program::plain;
use crate::shim::{self, Look, RunFile};

use super::identity::{Identity, Leftover};
use super::launch::launch;
use super::lost::end_lost;
use super::processes::Shared;
use super::report::{Ended, Outcome, Report, Stop};
use super::result;
use super::shims::Shim;
use super::spec::Start;
use super::system::is_going_down;

/// The engine is told of a process that lives for so long. Of a shorter one it is told the end, and until then the run
/// file says all.
const TOLD_AFTER: Duration = Duration::from_millis(100);
/// How often a shim may be killed before it has begun an attempt.
const TRIES: usize = 3;
/// Why there is no end.
const GONE: &str = "the process that looked after it was killed";
const TOLD: &str = "the process that looked after it was told to end it, and not by the daemon";

/// What has been asked for so far: wishes add up, none is taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub cancel: bool,
    pub shutdown: bool,
    pub kill: bool,
}

impl Wanted {
    pub fn add(&mut self, stop: Stop) {
        match stop {
            Stop::Cancel => self.cancel = true,
            Stop::Shutdown => self.shutdown = true,
            Stop::Kill => self.kill = true,
        }
    }

    fn any(self) -> bool {
        self.cancel || self.shutdown || self.kill
    }

    fn outcome(self) -> Outcome {
        if self.cancel { Outcome::Cancelled } else { Outcome::Interrupted }
    }

    /// What a shim is to be told that has been told `before`.
    fn signals(self, before: Wanted) -> impl Iterator<Item = Signal> {
        let cancel = (self.cancel && !before.cancel).then_some(Signal::USR1);
        let shutdown = (self.shutdown && !before.shutdown).then_some(Signal::TERM);
        let kill = (self.kill && !before.kill).then_some(Signal::USR2);
        [cancel, shutdown, kill].into_iter().flatten()
    }
}

/// Runs one attempt and reports its shim. `wanted` is read all the time.
/// `others`: attempts under way besides it.
pub(super) async fn run(shared: &Shared, start: &Start, others: usize, wanted: watch::Receiver<Wanted>) -> Ended {
    let (job, attempt) = (start.job, start.attempt);
    if wanted.borrow().any() {
        return Ended::without_process(job, attempt, wanted.borrow().outcome());
    }
    if others >= attempts_max() {
        let error = format!("cannot start: {}", plain(&rustix::io::Errno::MFILE.into()));
        return Ended::without_process(job, attempt, Outcome::NotStarted { error });
    }
    for _ in 0..TRIES {
        // All that may wait for a disk on its way to the new process, on a thread for that.
        let (launcher, order) = (shared.clone(), start.clone());
        let launched = tokio::task::spawn_blocking(move || launch(&launcher, &order)).await;
        match launched.unwrap_or_else(|_| Err("the daemon is going down".to_owned())) {
            Ok(shim) => {
                if let Some(ended) = attend(shared, (job, attempt), shim, wanted.clone()).await {
                    return ended;
                }
            }
            Err(error) => return Ended::without_process(job, attempt, Outcome::NotStarted { error }),
        }
    }
    lost(job, attempt)
}

/// Nobody looked after it to its end.
pub(super) fn lost(job: JobId, attempt: u32) -> Ended {
    Ended::without_process(job, attempt, Outcome::Lost { cause: GONE.to_owned() })
}

/// Looks after an attempt whose shim lives, to its end; none if the shim was killed before it had begun, and nothing was
/// wanted of it.
pub(super) async fn attend(
    shared: &Shared,
    (job, attempt): (JobId, u32),
    shim: Shim,
    mut wanted: watch::Receiver<Wanted>,
) -> Option<Ended> {
    let tell = |identity| {
        // Fails when nobody listens any more: the daemon is on its way out.
        let _ = shared.reports.send(Report::Spawned { job, attempt, identity });
    };
    let reply = wait(&shim, &mut wanted, tell).await;
    let wanted = *wanted.borrow();
    match &reply {
        Some(Reply { goes_on: true, .. }) if !wanted.any() => shared.nursery.give_back(shim),
        // What it was told is for this attempt: no other is to hear it.
        _ => shim.end().await,
    }
    let ended = collect(shared, (job, attempt), reply, wanted).await?;
    Some(match ended.outcome {
        // A handler of items that ends its shim each time would otherwise be called without an end.
        Outcome::Cancelled | Outcome::Interrupted
            if attempt >= limits::FIRST_RUN && !wanted.any() && !is_going_down().await =>
        {
            Ended { outcome: Outcome::Lost { cause: TOLD.to_owned() }, ..ended }
        }
        _ => ended,
    })
}

/// Waits until a shim is done, and passes wishes on to it. `tell` is told who it is, if the attempt lasts for a while.
async fn wait(shim: &Shim, wanted: &mut watch::Receiver<Wanted>, tell: impl Fn(Identity)) -> Option<Reply> {
    let mut told = Wanted::default();
    let mut is_known = false;
    let told_after = tokio::time::sleep(TOLD_AFTER);
    tokio::pin!(told_after);
    loop {
        let wish = *wanted.borrow_and_update();
        wish.signals(told).for_each(|signal| shim.tell(signal));
        told = wish;
        tokio::select! {
            biased;
            reply = shim.reply() => return reply,
            Ok(()) = wanted.changed() => {}
            () = &mut told_after, if !is_known => {
                is_known = true;
                shim.identity().into_iter().for_each(&tell);
            }
        }
    }
}

/// How an attempt ended: by what its shim says, or else by the run file; none if it was never begun, and nothing was wanted
/// of it.
pub(super) async fn collect(
    shared: &Shared,
    (job, attempt): (JobId, u32),
    reply: Option<Reply>,
    wanted: Wanted,
) -> Option<Ended> {
    let (look, result) = match reply {
        Some(Reply { ended, has_result: false, .. }) => (Ok(Some(Look::Ended(ended))), Ok(None)),
        reply => {
            let path = shim::path(&shared.runs, job, attempt);
            let outputs = shared.outputs.clone();
            let read = move || {
                let said = reply.map(|reply| Ok(Some(Look::Ended(reply.ended))));
                let look = said.unwrap_or_else(|| RunFile::look_after_end(&path));
                (look, result::read(&outputs.result_path(job, attempt)))
            };
            let Ok(read) = tokio::task::spawn_blocking(read).await else {
                return Some(Ended::without_process(job, attempt, wanted.outcome()));
            };
            read
        }
    };
    let (result, note) = match result {
        Ok(result) => (result, None),
        Err(note) => (None, Some(note)),
    };
    Some(match look {
        Ok(Some(Look::Ended(ended))) => {
            let shim::Ended { outcome, output, stragglers, mut notes } = ended;
            notes.extend(stragglers.note());
            notes.extend(note);
            Ended { job, attempt, outcome, result, output, stragglers, notes }
        }
        Ok(Some(Look::Lost(marked, main))) => {
            let left = end_lost(&shared.socket, &marked, main, job, attempt).await;
            let outcome = if wanted.any() { wanted.outcome() } else { Outcome::Lost { cause: GONE.to_owned() } };
            let mut ended = Ended::without_process(job, attempt, outcome);
            if let Leftover::Left { processes } = left {
                ended.notes.push(format!("{processes} processes of it could not be ended"));
            }
            ended
        }
        Ok(Some(Look::Alive(_) | Look::NeverStarted) | None) | Err(_) if wanted.any() => {
            Ended::without_process(job, attempt, wanted.outcome())
        }
        Ok(Some(Look::NeverStarted)) => return None,
        Ok(Some(Look::Alive(_)) | None) | Err(_) => lost(job, attempt),
    })
}
