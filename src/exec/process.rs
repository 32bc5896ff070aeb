//! One attempt from start to end: spawn it, watch it, end it when asked or when its time is up, clean up behind it.
//!
//! ```text
//! asked to stop before ─────────────────────────────────────────────▶ Cancelled | Interrupted
//! spawn ──fails─────────────────────────────────────────────────────▶ NotStarted
//!   │
//! watch the main process ──exits by itself──────┬─▶ output, group ──▶ Succeeded | Failed
//!   │ timeout | stop                            │
//! TERM to the group ─ grace ─ KILL ──exits──────┴─▶ output, group ──▶ TimedOut | Cancelled | Interrupted
//! ```

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Child;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::capture::{Capture, drain};
use super::environment::Prepared;
use super::group::{Group, far};
use super::processes::Shared;
use super::report::{Ended, Exit, Outcome, OutputSize, Report, Stop};
use super::result;
use super::spawn::{Spawned, spawn};
use super::spec::{Spec, Start};

/// The longest that processes which outlive the main process get to act on SIGTERM; less if the grace is less.
const STRAGGLER_GRACE_MAX: Duration = Duration::from_secs(2);

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
}

/// How the main process came to its end.
struct MainEnd {
    status: io::Result<ExitStatus>,
    ending: Option<Ending>,
}

/// That we have begun to end the process, and why.
#[derive(Clone, Copy, Debug)]
struct Ending {
    timed_out: bool,
    kill_at: Instant,
    killed: bool,
}

impl Ending {
    /// Asks the group to end, which its processes may take notice of until the grace is over.
    fn begin(group: Group, grace: Duration, timed_out: bool) -> Ending {
        group.signal(Signal::TERM);
        Ending { timed_out, kill_at: far(grace), killed: false }
    }

    fn kill(&mut self, group: Group) {
        group.signal(Signal::KILL);
        self.killed = true;
    }
}

/// Runs one attempt and reports its process. `wanted` is read all the time.
pub(super) async fn run(shared: &Shared, start: &Start, mut wanted: watch::Receiver<Wanted>) -> Ended {
    let (job, attempt) = (start.job, start.attempt);
    let no_process = |outcome| Ended::without_process(job, attempt, outcome);
    if wanted.borrow().any() {
        return no_process(wanted.borrow().outcome());
    }
    let (spawned, result_path) = match prepare_and_spawn(shared, start).await {
        Ok(spawned) => spawned,
        Err(error) => return no_process(Outcome::NotStarted { error }),
    };
    let Spawned { mut child, group, identity, output } = spawned;
    // Fails when nobody listens any more: the daemon is on its way out.
    let _ = shared.reports.send(Report::Spawned { job, attempt, identity });
    let spec = &*start.spec;
    let capture = Capture::new(shared.outputs.clone(), job, attempt, output, spec.output_max);
    let (main_gone, is_main_gone) = oneshot::channel();
    let capture = tokio::spawn(capture.until_quiet(is_main_gone));

    let main = watch_main(&mut child, group, spec, &mut wanted).await;
    let _ = main_gone.send(()); // fails if the output is complete already
    let capture = capture.await;
    let (stragglers, mut notes) = end_stragglers(group, spec, main.ending).await;
    let mut output = OutputSize::default();
    if let Ok(capture) = capture {
        let (size, error, open) = capture.finish().await;
        output = size;
        notes.extend(error.map(|error| format!("output was dropped: {error}")));
        if let Some(open) = open.filter(|_| spec.leave_background) {
            tokio::spawn(drain(open));
        }
    }
    let result = tokio::task::spawn_blocking(move || result::take(&result_path)).await.unwrap_or(Ok(None));
    let result = result.unwrap_or_else(|note| {
        notes.push(note);
        None
    });
    let wanted = *wanted.borrow();
    Ended { job, attempt, outcome: outcome(main, spec, wanted), result, output, stragglers, notes }
}

/// All that may wait for a disk on its way to the new process, on a thread for that.
async fn prepare_and_spawn(shared: &Shared, start: &Start) -> Result<(Spawned, PathBuf), String> {
    let (outputs, environment, start) = (shared.outputs.clone(), shared.environment.clone(), start.clone());
    let work = move || {
        let result_path = outputs.prepare(start.job, start.attempt).map_err(|error| error.to_string())?;
        let Prepared { spec, variables } = environment.prepare(&start, &result_path, None)?;
        let spawned = spawn(&spec, variables)?;
        Ok((spawned, result_path))
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err("the daemon is going down".to_owned()))
}

/// Waits for the main process, and ends it if need be. As long as this has not returned the process is not reaped,
/// so its number, and that of its group, cannot belong to anybody else.
async fn watch_main(child: &mut Child, group: Group, spec: &Spec, wanted: &mut watch::Receiver<Wanted>) -> MainEnd {
    let deadline = spec.timeout.map(far);
    let mut ending: Option<Ending> = None;
    loop {
        let alarm = match &ending {
            None => deadline,
            Some(ending) => Some(ending.kill_at).filter(|_| !ending.killed),
        };
        tokio::select! {
            // A process that has ended by itself was not ended by us, even if both come at once.
            biased;
            status = child.wait() => return MainEnd { status, ending },
            Ok(wish) = wanted.wait_for(|wanted| wanted.any() && (ending.is_none() || wanted.kill)),
                if !ending.is_some_and(|ending| ending.killed) =>
            {
                let kill = wish.kill;
                let ending = ending.get_or_insert_with(|| Ending::begin(group, spec.grace, false));
                if kill {
                    ending.kill(group);
                }
            }
            () = sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => match &mut ending {
                None => ending = Some(Ending::begin(group, spec.grace, true)),
                Some(ending) => ending.kill(group),
            },
        }
    }
}

/// Ends what is left of the group, or leaves it if the task says so and nobody has asked for an end.
/// Answers how many outlived the main process, and a note if some outlive even that.
async fn end_stragglers(group: Group, spec: &Spec, ending: Option<Ending>) -> (u32, Vec<String>) {
    let stragglers = group.population().await;
    if stragglers == 0 || (spec.leave_background && ending.is_none()) {
        return (stragglers, Vec::new());
    }
    let left = match ending {
        // What is left gets the rest of the grace, and SIGTERM once more: it may have been forked after the first.
        Some(ending) => group.end(if ending.killed { Instant::now() } else { ending.kill_at }).await,
        None => group.end(far(spec.grace.min(STRAGGLER_GRACE_MAX))).await,
    };
    let note = match left {
        0 => None,
        1 => Some("a process that it left behind could not be killed".to_owned()),
        left => Some(format!("{left} processes that it left behind could not be killed")),
    };
    (stragglers, note.into_iter().collect())
}

fn outcome(main: MainEnd, spec: &Spec, wanted: Wanted) -> Outcome {
    match (main.ending, Exit::from(main.status)) {
        (Some(Ending { timed_out: true, killed, .. }), _) => {
            Outcome::TimedOut { after: spec.timeout.unwrap_or_default(), killed }
        }
        (Some(_), _) => wanted.outcome(),
        (None, Exit::Code(exit_code)) if spec.is_success(exit_code) => Outcome::Succeeded { exit_code },
        (None, exit) => Outcome::Failed { exit },
    }
}
