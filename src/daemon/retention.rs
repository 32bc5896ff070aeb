//! Dropping what is no longer kept of the daemon's own: history, generations of the journal, outputs. When that is done
//! is up to `housekeeping`, to a sweep that finds it overdue, and to the worker `clean-logs`, which tells of it in its result.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::engine::archive::Archive;
use crate::exec::Outputs;
use crate::journal::{Keep, Upkeep};
use crate::workers::{Context, Run, Worker};

/// Drops what is older, or more, than the config keeps.
pub struct Retention {
    pub(super) archive: Arc<Archive>,
    upkeep: Arc<dyn Upkeep>,
    pub(super) outputs: Outputs,
    /// Since it was last told. Locked while something is dropped: two rounds at once would count it twice.
    dropped: Mutex<Dropped>,
    /// Somebody does not want to wait for the next round.
    asked: AtomicBool,
}

/// How much was dropped: pieces and their bytes on disk.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    pieces: u64,
    bytes: u64,
}

impl Count {
    fn add(&mut self, pieces: u64, bytes: u64) {
        self.pieces += pieces;
        self.bytes += bytes;
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Dropped {
    /// Generations.
    journal: Count,
    /// Partitions: of finished jobs, of occurrences and of keys.
    history: Count,
    /// Files.
    outputs: Count,
}

impl Dropped {
    fn line(&self) -> String {
        let Dropped { journal, history, outputs } = self;
        format!(
            "dropped of Daybook's own since the last run: {} generations of the journal ({} bytes), {} partitions of the \
             history ({} bytes), {} outputs ({} bytes)",
            journal.pieces, journal.bytes, history.pieces, history.bytes, outputs.pieces, outputs.bytes
        )
    }

    fn json(&self) -> Value {
        json!({
            "journal": { "generations": self.journal.pieces, "bytes": self.journal.bytes },
            "history": { "partitions": self.history.pieces, "bytes": self.history.bytes },
            "outputs": { "files": self.outputs.pieces, "bytes": self.outputs.bytes },
        })
    }
}

impl Retention {
    pub fn new(archive: Arc<Archive>, upkeep: Arc<dyn Upkeep>, outputs: Outputs) -> Arc<Retention> {
        Arc::new(Retention { archive, upkeep, outputs, dropped: Mutex::default(), asked: AtomicBool::new(false) })
    }

    /// What is no longer kept is to be dropped soon, and not only at the next round.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked for that since this was last looked at.
    pub fn was_asked(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed)
    }

    /// Drops what `config` does not keep. It blocks.
    pub fn retain(&self, config: &Config) {
        self.drop_old(config, &mut self.dropped.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The same, beside the caller.
    pub async fn run(self: &Arc<Self>, config: Arc<Config>) {
        let this = self.clone();
        // A panic in there is a bug of one round, and in the log.
        let _: Result<(), _> = tokio::task::spawn_blocking(move || this.retain(&config)).await;
    }

    /// The same, and what was dropped since this was last called.
    async fn run_and_tell(self: &Arc<Self>, config: Arc<Config>) -> Dropped {
        let this = self.clone();
        let work = move || {
            let mut dropped = this.dropped.lock().unwrap_or_else(PoisonError::into_inner);
            this.drop_old(&config, &mut dropped);
            std::mem::take(&mut *dropped)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_default()
    }

    fn drop_old(&self, config: &Config, dropped: &mut Dropped) {
        let now = SystemClock.now().wall;
        let keep = config.history_keep;
        match self.archive.retain(now, keep.age, keep.size) {
            Ok(stores) => stores.iter().for_each(|gone| dropped.history.add(gone.partitions, gone.bytes)),
            Err(error) => tracing::warn!(%error, "could not drop old history, will retry"),
        }
        let (since, bytes_max) = (now - config.journal_keep.age, config.journal_keep.size);
        match self.upkeep.drop_before(Keep { after: self.archive.applied(), since, bytes_max }) {
            Ok(generations) => generations.iter().for_each(|gone| dropped.journal.add(1, gone.bytes)),
            Err(error) => tracing::warn!(%error, "could not drop old generations of the journal, will retry"),
        }
        let oldest = SystemTime::now().checked_sub(config.outputs_keep.age);
        match self.outputs.prune(oldest, Some(config.outputs_keep.size)) {
            Ok(gone) => dropped.outputs.add(gone.files, gone.bytes),
            Err(error) => tracing::warn!(%error, "could not drop old outputs, will retry"),
        }
    }
}

/// A worker that also looks after what the daemon keeps of its own, and tells of both in one result.
pub struct WithOwn {
    pub worker: Arc<dyn Worker>,
    pub retention: Arc<Retention>,
    pub config: Arc<Config>,
}

impl Worker for WithOwn {
    fn name(&self) -> &'static str {
        self.worker.name()
    }

    fn run(&self, context: Context) -> Run<'_> {
        Box::pin(async move {
            let log = context.log.clone();
            let mut result = self.worker.run(context).await?;
            // A dry run changes nothing, and has nothing to say of this.
            if result["dry_run"] == false {
                let dropped = self.retention.run_and_tell(self.config.clone()).await;
                log(&dropped.line());
                result["daybook"] = dropped.json();
            }
            Ok(result)
        })
    }
}
