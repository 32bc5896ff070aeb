//! Dropping what is no longer kept: the history and the ledger, the journal, the outputs.

use std::sync::Arc;
use std::time::SystemTime;

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::engine::archive::Archive;
use crate::exec::Outputs;
use crate::journal::{Keep, Upkeep};

/// What is kept, and dropped by the config.
#[derive(Clone)]
pub struct Kept {
    pub archive: Arc<Archive>,
    pub upkeep: Arc<dyn Upkeep>,
    pub outputs: Outputs,
}

impl Kept {
    /// Drops what is older, or more, than the config keeps. It blocks.
    pub fn retain(&self, config: &Config) {
        let now = SystemClock.now().wall;
        let keep = config.history_keep;
        if let Err(error) = self.archive.retain(now, keep.age, keep.size) {
            tracing::warn!(%error, "could not drop old history, will retry");
        }
        let (since, bytes_max) = (now - config.journal_keep.age, config.journal_keep.size);
        let keep = Keep { after: self.archive.applied(), since, bytes_max };
        if let Err(error) = self.upkeep.drop_before(keep) {
            tracing::warn!(%error, "could not drop old generations of the journal, will retry");
        }
        let oldest = SystemTime::now().checked_sub(config.outputs_keep.age);
        if let Err(error) = self.outputs.prune(oldest, Some(config.outputs_keep.size)) {
            tracing::warn!(%error, "could not drop old outputs, will retry");
        }
    }
}
