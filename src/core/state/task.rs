//! Tasks as the state knows them: the policy as the config last had it, and how far each schedule is.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::core::id::TaskId;
use crate::core::policy::TaskPolicy;
use crate::core::time::Timestamp;

/// A task, in the config or not any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub id: TaskId,
    pub name: Box<str>,
    pub policy: Arc<TaskPolicy>,
    /// One for each of `policy.schedules`.
    pub schedules: Vec<Schedule>,
    /// No longer in the config: what is queued waits for its return.
    pub removed: bool,
    pub paused_at: Option<Timestamp>,
    /// The end of the last pause: what was due before and is undecided was missed by it.
    pub resumed_at: Option<Timestamp>,
}

/// How far a schedule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Every instant up to and including this one is decided.
    pub decided: Timestamp,
    /// The first instant that is not; none when there is none any more.
    pub next: Option<Timestamp>,
}

impl Task {
    /// Whether its schedules create jobs and its jobs start.
    pub fn is_active(&self) -> bool {
        !self.removed && self.paused_at.is_none()
    }
}
