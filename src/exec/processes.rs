//! The attempts that run: the door through which they are started and stopped.
//! What happens to one of them is in `process.rs`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::core::id::JobId;

use super::environment::Environment;
use super::output::Outputs;
use super::process::{self, Wanted};
use super::report::{Report, Stop};
use super::spec::Start;

/// Runs attempts as processes. Clones are the same thing.
///
/// Dropping it, or the runtime, ends no process: what then still runs is a leftover for the next daemon, which ends
/// it by its [`Identity`](super::Identity).
#[derive(Clone)]
pub struct Processes {
    shared: Arc<Shared>,
}

/// What all attempts use.
pub(super) struct Shared {
    pub outputs: Outputs,
    pub environment: Arc<Environment>,
    pub reports: mpsc::UnboundedSender<Report>,
    runtime: Handle,
    /// How to reach each attempt that has been started and is not over.
    running: Mutex<HashMap<(JobId, u32), watch::Sender<Wanted>>>,
    /// Attempts whose end has not been reported.
    count: watch::Sender<usize>,
}

impl Processes {
    /// Reports go to `reports`; there are at most two per start, so whoever bounds the starts bounds the channel.
    /// `socket` is where jobs reach the daemon. Its attempts run on the runtime it is made in, wherever they are
    /// started from.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(outputs: Outputs, reports: mpsc::UnboundedSender<Report>, socket: PathBuf) -> Processes {
        let shared = Shared {
            outputs,
            environment: Arc::new(Environment::new(socket)),
            reports,
            runtime: Handle::current(),
            running: Mutex::default(),
            count: watch::Sender::new(0),
        };
        Processes { shared: Arc::new(shared) }
    }

    /// Starts an attempt and returns at once. Everything else, also that it cannot be started, is reported.
    /// Starting an attempt that runs does nothing.
    pub fn start(&self, start: Start) {
        let key = (start.job, start.attempt);
        let (wish, wanted) = watch::channel(Wanted::default());
        {
            let mut running = self.shared.running();
            if running.contains_key(&key) {
                tracing::error!(job = key.0.0, attempt = key.1, "attempt is running already; not started again");
                return;
            }
            running.insert(key, wish);
        }
        self.shared.outputs.begin(start.job, start.attempt);
        self.shared.count.send_modify(|count| *count += 1);
        let shared = self.shared.clone();
        self.shared.runtime.spawn(async move {
            // A panic in there is a bug; the attempt is then for the next sweep to find, and not lost for good.
            let run = std::panic::AssertUnwindSafe(process::run(&shared, &start, wanted)).catch_unwind();
            let report = run.await.map_or(Report::Lost { job: start.job, attempt: start.attempt }, Report::Ended);
            shared.outputs.end(start.job, start.attempt);
            shared.running().remove(&key);
            let _ = shared.reports.send(report);
            shared.count.send_modify(|count| *count -= 1);
        });
    }

    /// Asks an attempt to end and returns at once; its end is reported. Stopping one that is over, or never was,
    /// does nothing.
    pub fn stop(&self, job: JobId, attempt: u32, why: Stop) {
        if let Some(wish) = self.shared.running().get(&(job, attempt)) {
            wish.send_modify(|wanted| wanted.add(why));
        }
    }

    /// [`stop`](Self::stop) for every attempt there is.
    pub fn stop_all(&self, why: Stop) {
        for wish in self.shared.running().values() {
            wish.send_modify(|wanted| wanted.add(why));
        }
    }

    /// How many attempts have been started and not been reported as ended.
    pub fn running(&self) -> usize {
        *self.shared.count.borrow()
    }

    /// Waits until no attempt runs; every end has been reported by then.
    pub async fn wait_idle(&self) {
        // It cannot fail: the sender lives in `self`.
        let _ = self.shared.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Shared {
    fn running(&self) -> MutexGuard<'_, HashMap<(JobId, u32), watch::Sender<Wanted>>> {
        // No code panics while it holds the lock; and if it did, the map would still be whole.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
