//! The way to the engine from everywhere else: a closure that is run on its thread, answered after the flush.

use tokio::sync::{broadcast, mpsc, oneshot};

use super::machine::{Lookup, Machine};
use super::release::{Committed, Reply};
use crate::core::command::{AddJob, Answer, Command};
use crate::core::id::JobId;
use crate::core::rejection::Rejection;
use crate::core::state::{Durable, State};
use std::sync::Arc;

/// Something to do on the engine's thread. It returns what is to be told once the commit is on disk.
pub type Act = Box<dyn FnOnce(&mut Machine, &dyn Lookup) -> Reply + Send>;

/// Acts that wait for the engine; more make their senders wait.
const ACTS_MAX: usize = 8192;
/// Bytes of jobs that one act adds: far below the bound of a commit, which is looked at between acts.
const PART_BYTES: usize = 1024 * 1024;
/// Bytes of an added job without its arguments and key, at most.
const JOB_BYTES: usize = 64;
/// Commits that a slow follower of the feed may be behind before it loses some.
const FEED_MAX: usize = 1024;

/// The engine has stopped, so nothing can be asked of it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the daemon is stopping")]
pub struct Gone;

/// Why the engine did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// Talks to the engine. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    acts: mpsc::Sender<Act>,
    feed: broadcast::Sender<Arc<Committed>>,
}

/// The engine's end of its handles.
pub struct Inbox {
    pub(super) acts: mpsc::Receiver<Act>,
    pub(super) feed: broadcast::Sender<Arc<Committed>>,
}

/// A handle and the inbox it leads to.
pub fn channel() -> (Handle, Inbox) {
    let (sender, acts) = mpsc::channel(ACTS_MAX);
    let (feed, _) = broadcast::channel(FEED_MAX);
    (Handle { acts: sender, feed: feed.clone() }, Inbox { acts, feed })
}

/// Cuts jobs into parts of about a megabyte; mostly there is one.
fn parts(jobs: Vec<AddJob>) -> Vec<Vec<AddJob>> {
    let mut parts = Vec::new();
    let (mut part, mut bytes) = (Vec::new(), 0);
    for job in jobs {
        bytes += job.args.as_str().len() + job.key.as_ref().map_or(0, |key| key.len()) + JOB_BYTES;
        part.push(job);
        if bytes >= PART_BYTES {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

impl Handle {
    /// Does something with the engine; its outcome is told when all that it has seen and done is on disk.
    pub async fn act<T, F>(&self, act: F) -> Result<T, Gone>
    where
        T: Send + 'static,
        F: FnOnce(&mut Machine, &dyn Lookup) -> T + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let act: Act = Box::new(move |machine, lookup| {
            let outcome = act(machine, lookup);
            Box::new(move || drop(tell.send(outcome)))
        });
        self.acts.send(act).await.map_err(|_| Gone)?;
        told.await.map_err(|_| Gone)
    }

    /// Runs a command.
    pub async fn ask(&self, command: Command) -> Result<Answer, Refusal> {
        Ok(self.act(move |machine, _| machine.run(&command)).await??)
    }

    /// Tells the engine of something; nobody waits for an answer.
    pub async fn tell(&self, command: Command) -> Result<(), Gone> {
        self.tell_then(command, || {}).await
    }

    /// The same; `told` is run once what came of it is on disk.
    pub async fn tell_then(&self, command: Command, told: impl FnOnce() + Send + 'static) -> Result<(), Gone> {
        let act: Act = Box::new(move |machine, _| {
            // A report that comes too late is refused, and that is all there is to say about it.
            let _: Result<Answer, Rejection> = machine.run(&command);
            Box::new(told)
        });
        self.acts.send(act).await.map_err(|_| Gone)
    }

    /// Adds jobs, in order: for each its number and whether it is new, or why not. Told when all are on disk. A
    /// megabyte and more of them goes into commits of its own, so a crash before the answer may leave a part.
    pub async fn add(&self, jobs: Vec<AddJob>) -> Result<Vec<Result<(JobId, bool), Rejection>>, Gone> {
        let mut told = Vec::new();
        for part in parts(jobs) {
            let (tell, answer) = oneshot::channel();
            let act: Act = Box::new(move |machine, lookup| {
                let one = |job| {
                    let added = machine.add(job, lookup);
                    // As if they had come one by one: what may start leaves its place in the queue to the next.
                    machine.start_ready();
                    added
                };
                let added: Vec<_> = part.into_iter().map(one).collect();
                Box::new(move || drop(tell.send(added)))
            });
            self.acts.send(act).await.map_err(|_| Gone)?;
            told.push(answer);
        }
        let mut added = Vec::new();
        for answer in told {
            added.append(&mut answer.await.map_err(|_| Gone)?);
        }
        Ok(added)
    }

    /// Makes a job run again, live or finished.
    pub async fn retry(&self, job: JobId) -> Result<Answer, Refusal> {
        Ok(self.act(move |machine, lookup| machine.retry(job, lookup)).await??)
    }

    /// Looks at the state; what is seen is on disk by the time it is told.
    pub async fn read<T, F>(&self, look: F) -> Result<T, Gone>
    where
        T: Send + 'static,
        F: FnOnce(&State) -> T + Send + 'static,
    {
        self.act(move |machine, _| look(machine.state())).await
    }

    /// The state as of now, for long looks elsewhere.
    pub async fn picture(&self) -> Result<Durable, Gone> {
        self.read(State::picture).await
    }

    /// Every commit from now on. A follower that falls too far behind is told so and goes on.
    pub fn feed(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.feed.subscribe()
    }
}
