//! The states of a job and which may follow which.
//!
//! ```text
//!  scheduled ──due──▶ available ──start──▶ running ──ok──▶ completed
//!      ▲                  ▲                 │ │ │
//!      └── retryable ◀────┼──── failed ─────┘ │ └─ cancel ─▶ cancelled
//!           (waits)       │                   │
//!                         └─ resume ────── interrupted      (daemon died)
//!  a batch of which nothing is left, while retryable or interrupted ─▶ completed
//!  out of attempts, or older than give_up_after ─▶ discarded
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The state of a job. The numbers are stored and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum JobState {
    /// Waits for its instant.
    Scheduled = 0,
    /// Waits for a free place.
    Available = 1,
    /// An attempt is under way.
    Running = 2,
    /// An attempt failed; waits for the next.
    Retryable = 3,
    /// The daemon died while an attempt was under way; the work may have been done.
    Interrupted = 4,
    /// Done. Kept in the history.
    Completed = 5,
    /// Given up. Kept in the history.
    Discarded = 6,
    /// Cancelled by a person, or replaced. Kept in the history.
    Cancelled = 7,
}

impl JobState {
    pub const ALL: [JobState; 8] = {
        use JobState::*;
        [Scheduled, Available, Running, Retryable, Interrupted, Completed, Discarded, Cancelled]
    };

    /// The word for it, everywhere.
    pub fn name(self) -> &'static str {
        match self {
            JobState::Scheduled => "scheduled",
            JobState::Available => "available",
            JobState::Running => "running",
            JobState::Retryable => "retryable",
            JobState::Interrupted => "interrupted",
            JobState::Completed => "completed",
            JobState::Discarded => "discarded",
            JobState::Cancelled => "cancelled",
        }
    }

    /// Whether the job is over: it has left the queue for the history.
    pub fn is_finished(self) -> bool {
        match self {
            JobState::Completed | JobState::Discarded | JobState::Cancelled => true,
            JobState::Scheduled
            | JobState::Available
            | JobState::Running
            | JobState::Retryable
            | JobState::Interrupted => false,
        }
    }

    /// Whether a job may go from this state to `to` in one event.
    pub fn may_become(self, to: JobState) -> bool {
        use JobState::*;
        match self {
            Scheduled => matches!(to, Available | Cancelled),
            Available => matches!(to, Running | Cancelled),
            Running => matches!(to, Completed | Retryable | Discarded | Cancelled | Interrupted),
            // A batch is completed once its last items are handled ahead of their turn, or taken out.
            Retryable => matches!(to, Available | Completed | Cancelled),
            Interrupted => matches!(to, Available | Completed | Discarded | Cancelled),
            Completed | Discarded | Cancelled => matches!(to, Available), // retried by hand
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for JobState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        JobState::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| {
            let known: Vec<_> = JobState::ALL.iter().map(|state| state.name()).collect();
            format!("`{text}` is not a state; known: {}", known.join(", "))
        })
    }
}
