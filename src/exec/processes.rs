//! The attempts that run: the door through which they are started and stopped.
//! What happens to one of them is in `process.rs`.

use std::collections::HashMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::core::id::JobId;
use crate::shim;

use super::adopt::{Alive, Earlier, What};
use super::cgroups;
use super::environment::Environment;
use super::error::Error;
use super::nursery::Nursery;
use super::output::{Outputs, delete};
use super::process::{self, Wanted};
use super::report::{Ended, Report, Stop};
use super::shims::Shim;
use super::spec::Start;

/// Runs attempts as processes, a shim for each. Clones are the same thing.
///
/// Dropping it, or the runtime, ends no process: what then still runs is adopted by the next daemon.
#[derive(Clone)]
pub struct Processes {
    shared: Shared,
    runtime: Handle,
    /// How to reach each attempt that has been started and is not over.
    running: Arc<Mutex<Running>>,
    /// Attempts whose end has not been reported.
    count: watch::Sender<usize>,
}

/// How each attempt is told what is wanted of it.
type Running = HashMap<(JobId, u32), watch::Sender<Wanted>>;

/// What all attempts use.
#[derive(Clone)]
pub(super) struct Shared {
    pub outputs: Outputs,
    pub environment: Arc<Environment>,
    pub reports: mpsc::UnboundedSender<Report>,
    /// Where jobs reach the daemon.
    pub socket: Arc<Path>,
    /// The folder of run files.
    pub runs: Arc<Path>,
    /// Where shims come from.
    pub nursery: Arc<Nursery>,
    /// The cgroup below which those of attempts are made, where there is one.
    pub cgroups: Option<Arc<Path>>,
}

impl Shared {
    /// The cgroup of an attempt. Daemons with different folders may be in the same one, so its name tells them apart.
    pub fn cgroup(&self, job: JobId, attempt: u32) -> Option<PathBuf> {
        Some(self.cgroups.as_ref()?.join(format!("{}{job}.{attempt}", self.cgroup_prefix())))
    }

    fn cgroup_prefix(&self) -> String {
        let folder = xxhash_rust::xxh3::xxh3_64(self.runs.as_os_str().as_encoded_bytes());
        format!("daybook-{folder:016x}-")
    }
}

/// Where attempts live.
#[derive(Clone, Debug)]
pub struct Place {
    pub outputs: Outputs,
    /// Where jobs reach the daemon.
    pub socket: PathBuf,
    /// The folder of run files; it is made if it is not there.
    pub runs: PathBuf,
    /// The program that is started as `daybook shim`.
    pub shim: PathBuf,
    /// The cgroup below which those of attempts are made, where there is one.
    pub cgroups: Option<PathBuf>,
}

impl Processes {
    /// Reports go to `reports`; there are at most two per start, so whoever bounds the starts bounds the channel.
    /// Its attempts run on the runtime it is made in, wherever they are started from. It blocks.
    ///
    /// # Errors
    /// When the folder of run files cannot be made.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(place: Place, reports: mpsc::UnboundedSender<Report>) -> Result<Processes, Error> {
        let Place { outputs, socket, runs, shim, cgroups } = place;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&runs)
            .map_err(Error::file("make the folder of run files", &runs))?;
        let shared = Shared {
            outputs,
            environment: Arc::new(Environment::new(socket.clone())),
            reports,
            socket: socket.into(),
            runs: runs.into(),
            nursery: Arc::new(Nursery::new(shim)),
            cgroups: cgroups.map(Into::into),
        };
        let count = watch::Sender::new(0);
        Ok(Processes { shared, runtime: Handle::current(), running: Arc::default(), count })
    }

    /// Starts an attempt and returns at once. Everything else, also that it cannot be started, is reported.
    /// Starting an attempt that runs does nothing.
    pub fn start(&self, start: Start) {
        let key = (start.job, start.attempt);
        let (shared, others) = (self.shared.clone(), self.count());
        let run = move |wanted| async move { process::run(&shared, &start, others, wanted).await };
        self.attend(key.0, key.1, run);
    }

    /// Takes over an attempt of an earlier daemon, which runs or has ended; its end is reported.
    pub fn adopt(&self, earlier: Earlier) {
        let Earlier { job, attempt, what } = earlier;
        let (shared, key) = (self.shared.clone(), (job, attempt));
        self.attend(job, attempt, move |wanted| async move {
            let ended = match what {
                What::Alive(Alive(pidfd)) => process::attend(&shared, key, Shim::earlier(pidfd), wanted).await,
                What::Ended | What::NeverStarted | What::Lost(..) | What::Forged => {
                    let wanted = *wanted.borrow();
                    process::collect(&shared, key, None, wanted).await
                }
            };
            ended.unwrap_or_else(|| process::lost(job, attempt))
        });
    }

    /// Removes the result and the run file of an attempt that is over, once nobody needs to be told of its end any
    /// more. It blocks.
    pub fn forget(&self, job: JobId, attempt: u32) {
        // The run file last, so that a start that finds it removes what is left of both.
        for path in [self.shared.outputs.result_path(job, attempt), shim::path(&self.shared.runs, job, attempt)] {
            if let Err(error) = delete(&path) {
                tracing::warn!(path = %path.display(), %error, "could not remove a file of an attempt");
            }
        }
    }

    /// Removes the cgroups that attempts have left because processes were in them, once these are gone. It blocks.
    pub fn clear_cgroups(&self) {
        if let Some(folder) = &self.shared.cgroups {
            let is_under_way = |job, attempt| self.running().contains_key(&(job, attempt));
            cgroups::clear(folder, &self.shared.cgroup_prefix(), is_under_way);
        }
    }

    fn attend<F>(&self, job: JobId, attempt: u32, run: impl FnOnce(watch::Receiver<Wanted>) -> F)
    where
        F: Future<Output = Ended> + Send + 'static,
    {
        let key = (job, attempt);
        let (wish, wanted) = watch::channel(Wanted::default());
        {
            let mut running = self.running();
            if running.contains_key(&key) {
                tracing::error!(job = job.0, attempt, "attempt is running already; not started again");
                return;
            }
            running.insert(key, wish);
        }
        self.shared.outputs.begin(job, attempt);
        self.count.send_modify(|count| *count += 1);
        let this = self.clone();
        // A panic in there is a bug; the attempt is then for the next sweep to find, and not lost for good.
        let run = std::panic::AssertUnwindSafe(run(wanted)).catch_unwind();
        self.runtime.spawn(async move {
            let report = run.await.map_or(Report::Lost { job, attempt }, Report::Ended);
            this.shared.outputs.end(job, attempt);
            this.running().remove(&key);
            let _ = this.shared.reports.send(report);
            this.count.send_modify(|count| *count -= 1);
        });
    }

    /// Asks an attempt to end and returns at once; its end is reported. Stopping one that is over, or never was,
    /// does nothing.
    pub fn stop(&self, job: JobId, attempt: u32, why: Stop) {
        if let Some(wish) = self.running().get(&(job, attempt)) {
            wish.send_modify(|wanted| wanted.add(why));
        }
    }

    /// [`stop`](Self::stop) for every attempt there is.
    pub fn stop_all(&self, why: Stop) {
        for wish in self.running().values() {
            wish.send_modify(|wanted| wanted.add(why));
        }
    }

    /// How many attempts have been started and not been reported as ended.
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until no attempt runs; every end has been reported by then.
    pub async fn wait_idle(&self) {
        // It cannot fail: the sender lives in `self`.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        // No code panics while it holds the lock; and if it did, the map would still be whole.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
