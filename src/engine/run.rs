//! The engine's loop: gathers acts into a commit, has it written, releases what waited for it.
//!
//! A small commit is written here, without a hop to another thread, and what arrives meanwhile becomes the next
//! one. A big one goes to the journal's thread, and the next is gathered while it is flushed. Either way the size of
//! a commit follows the load. A flush that fails, or a history that can no longer be written, ends the loop, and the
//! daemon with it: memory is ahead of the disk.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::mpsc;

use super::alarm::Alarm;
use super::archive::Archive;
use super::checkpoint::Checkpointer;
use super::handle::{Act, Inbox};
use super::machine::{Machine, Sealed};
use super::release::Release;
use crate::clock::Clock;
use crate::core::effect::{AdvanceItem, Effect, StartAttempt};
use crate::core::id::{JobId, Seq};
use crate::core::limits;
use crate::core::time::Timestamp;
use crate::history;
use crate::journal::{self, Epoch, Journal, Upkeep};

/// Acts taken into one commit.
const ACTS_PER_COMMIT: usize = 4096;
/// A commit this small is written without a hop: waking another thread costs as much as writing it. What arrives
/// meanwhile waits in the inbox, and makes the next commit.
const INLINE_BYTES_MAX: usize = 16 * 1024;
/// The engine looks at the clocks at least this often, whatever the alarm says.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// What is left over by a tick that has changed nothing is taken up after this.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// Turns given to other tasks before acts are taken: their senders are often a moment away.
const TURNS_BEFORE_TAKING: usize = 3;

/// Runs attempts. Reports come back through the engine's handle.
pub trait Executor: Send + Sync {
    fn start(&self, attempt: StartAttempt);
    fn stop(&self, job: JobId, attempt: u32);

    /// Handles an item of a batch; how it ends is reported. One that runs no batches is never asked to.
    fn advance(&self, _item: AdvanceItem) {}

    /// What it knows of an attempt. One that has been started is known until its end has been handed to the engine.
    fn look(&self, _job: JobId, _attempt: u32) -> Seen {
        Seen::Running
    }

    /// Ends an attempt at once, without asking it.
    fn kill(&self, job: JobId, attempt: u32) {
        self.stop(job, attempt);
    }
}

/// What an executor knows of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: it will never report its end.
    Unknown,
    Running,
    /// It runs although its time-out and grace were over long ago, at this instant.
    Overdue {
        since: Timestamp,
    },
}

/// The journal, shared between the engine and its writing thread; never both at once.
pub type SharedJournal = Arc<Mutex<Box<dyn Journal>>>;

/// The background work of a shared journal.
pub fn upkeep(journal: &SharedJournal) -> Arc<dyn Upkeep> {
    lock(journal).upkeep()
}

pub(super) fn lock(journal: &SharedJournal) -> MutexGuard<'_, Box<dyn Journal>> {
    journal.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Why the engine cannot go on: memory is ahead of the disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    History(#[from] history::Error),
    #[error("cannot wait for an instant: {0}")]
    Alarm(#[from] std::io::Error),
}

/// All that the loop works with.
pub struct Engine {
    pub machine: Machine,
    pub journal: SharedJournal,
    pub epoch: Epoch,
    pub clock: Arc<dyn Clock>,
    pub executor: Arc<dyn Executor>,
    pub archive: Arc<Archive>,
    pub checkpointer: Checkpointer,
}

/// A commit on its way to the disk, and back.
struct InFlight {
    written: Result<u64, journal::Error>,
    payload: Vec<u8>,
    release: Release,
}

/// Runs until every handle is gone or the last act of a stopping daemon says so.
pub async fn run(mut engine: Engine, mut inbox: Inbox) -> Result<Engine, Error> {
    let (to_writer, mut written) = writer(engine.journal.clone(), engine.epoch);
    let mut taken: Vec<Act> = Vec::with_capacity(ACTS_PER_COMMIT);
    // Taken and not yet run: those that did not fit into a commit go into the next one.
    let mut acts: VecDeque<Act> = VecDeque::with_capacity(ACTS_PER_COMMIT);
    let mut in_flight = false;
    let mut alarm = Alarm::new()?;
    // Whether the last commit had events: then what is still due goes on at once.
    let mut progressed = false;
    // What was gathered before the loop began: the start of the daemon.
    if let Some(sealed) = engine.machine.seal() {
        engine.commit_here(sealed, &inbox)?;
    }
    while in_flight || engine.machine.is_gathering() || !engine.machine.is_closed() {
        // A picture needs an instant between two commits, which under load there is none of by itself.
        let pause = in_flight && engine.checkpointer.is_due();
        let room = engine.machine.gathered_bytes() < limits::COMMIT_BYTES_MAX && !pause;
        // While one commit is written, time may begin the next; what it brings to that one waits for its turn.
        let time = !in_flight || !(pause || engine.machine.is_gathering());
        let wake = engine.wake(if progressed { Duration::ZERO } else { PAUSE_MIN });
        tokio::select! {
            biased;
            Some(flight) = written.recv(), if in_flight => {
                in_flight = false;
                engine.landed(flight, &inbox)?;
            }
            () = std::future::ready(()), if room && !acts.is_empty() => {}
            count = take(&mut inbox.acts, &mut taken), if room => {
                if count == 0 {
                    break;
                }
            }
            passed = pass(&mut alarm, wake), if time => passed?,
        }
        // Whichever came first: acts may have been taken by then.
        acts.extend(taken.drain(..));
        if !in_flight {
            engine.checkpointer.consider(&engine.machine, &engine.journal, &engine.archive)?;
        }
        if !(in_flight && acts.is_empty() && pause) {
            engine.gather(&mut acts, &inbox, in_flight);
        }
        if in_flight {
            continue;
        }
        let Some(sealed) = engine.machine.seal() else { continue };
        progressed = sealed.events > 0;
        if sealed.payload.len() <= INLINE_BYTES_MAX {
            engine.commit_here(sealed, &inbox)?;
        } else {
            in_flight = to_writer.send(sealed).is_ok();
        }
    }
    Ok(engine)
}

/// Waits for an instant, or only gives others their turn if there is none to wait for.
async fn pass(alarm: &mut Alarm, wake: Option<Timestamp>) -> Result<(), Error> {
    match wake {
        Some(wake) => Ok(alarm.ring(wake).await?),
        None => {
            tokio::task::yield_now().await;
            Ok(())
        }
    }
}

/// Waits for acts, and takes those that are there.
async fn take(inbox: &mut mpsc::Receiver<Act>, acts: &mut Vec<Act>) -> usize {
    if inbox.recv_many(acts, ACTS_PER_COMMIT).await == 0 {
        return 0;
    }
    // A lone act waits for nobody: with several threads each turn given away wakes one of them.
    let turns = if acts.len() > 1 { TURNS_BEFORE_TAKING } else { 0 };
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
    while acts.len() < ACTS_PER_COMMIT
        && let Ok(act) = inbox.try_recv()
    {
        acts.push(act);
    }
    acts.len()
}

type Writer = (std::sync::mpsc::Sender<Sealed>, mpsc::UnboundedReceiver<InFlight>);

/// Starts the thread that writes commits which are worth a hop.
fn writer(journal: SharedJournal, epoch: Epoch) -> Writer {
    let (to_writer, sealed) = std::sync::mpsc::channel::<Sealed>();
    let (back, written) = mpsc::unbounded_channel();
    let work = move || {
        for Sealed { seq, at, events, payload, release } in sealed {
            let written = lock(&journal).append(epoch, seq, at, events, &payload);
            if back.send(InFlight { written, payload, release }).is_err() {
                break;
            }
        }
    };
    std::thread::Builder::new().name("journal".into()).spawn(work).expect("the machine has room for one more thread");
    (to_writer, written)
}

impl Engine {
    /// The instant until which nothing needs to be done unless somebody asks, at least `pause` away; `None` if
    /// there is something now.
    fn wake(&self, pause: Duration) -> Option<Timestamp> {
        let now = self.clock.now().wall;
        let due = match self.machine.state().next_due() {
            // What is due stays so until the next daemon.
            Some(due) if !self.machine.is_draining() => due.clamp(now + pause, now + LOOK_EVERY),
            Some(_) | None => now + LOOK_EVERY,
        };
        (due > now).then_some(due)
    }

    /// Runs the acts into the commit being gathered, as many as fit, or, when none came, what time has brought.
    fn gather(&mut self, acts: &mut VecDeque<Act>, inbox: &Inbox, in_flight: bool) {
        let now = self.clock.now();
        if in_flight && acts.is_empty() && self.machine.state().next_due().is_none_or(|due| due > now.wall) {
            return;
        }
        self.machine.keep_events = inbox.feed.receiver_count() > 0;
        self.machine.begin(now);
        while self.machine.gathered_bytes() < limits::COMMIT_BYTES_MAX
            && let Some(act) = acts.pop_front()
        {
            let reply = act(&mut self.machine, &*self.archive);
            self.machine.start_ready();
            self.machine.reply(reply);
        }
    }

    /// Has a commit written by this thread; one without events has nothing to write, and only lets out its answers.
    fn commit_here(&mut self, sealed: Sealed, inbox: &Inbox) -> Result<(), Error> {
        let Sealed { seq, at, events, payload, release } = sealed;
        if events == 0 {
            return self.release(release, inbox);
        }
        let written = lock(&self.journal).append(self.epoch, seq, at, events, &payload);
        self.landed(InFlight { written, payload, release }, inbox)
    }

    fn landed(&mut self, flight: InFlight, inbox: &Inbox) -> Result<(), Error> {
        let checksum = flight.written?;
        self.checkpointer.wrote(flight.payload.len(), checksum);
        self.machine.reuse(flight.payload);
        self.release(flight.release, inbox)
    }

    /// Lets out what waited for a commit: first the attempts, of which many may be late already; then the history, so
    /// that whoever is told of an end can look it up.
    fn release(&mut self, mut release: Release, inbox: &Inbox) -> Result<(), Error> {
        let seq: Seq = release.seq;
        for effect in release.effects.drain(..) {
            match effect {
                Effect::StartAttempt(attempt) => self.executor.start(attempt),
                Effect::StopAttempt { job, attempt } => self.executor.stop(job, attempt),
                Effect::AdvanceItem(item) => self.executor.advance(item),
            }
        }
        self.archive.append(seq, release.at, std::mem::take(&mut release.rows))?;
        self.machine.released(seq);
        for reply in release.replies.drain(..) {
            reply();
        }
        if let Some(committed) = release.committed() {
            // Nobody following is no error.
            let _: Result<usize, _> = inbox.feed.send(committed);
        }
        Ok(())
    }
}
