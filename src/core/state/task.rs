//! Tasks as the state knows them: the policy as the config last had it, and how far each schedule is.

use std::sync::Arc;

use imbl::Vector;
use serde::{Deserialize, Serialize};

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

/// All tasks, at the places of their numbers: those are given one after the other, and none is ever taken back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tasks(Vector<Arc<Task>>);

impl Tasks {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, id: TaskId) -> Option<&Arc<Task>> {
        self.0.get(place(id)?)
    }

    pub(super) fn get_mut(&mut self, id: TaskId) -> Option<&mut Arc<Task>> {
        self.0.get_mut(place(id)?)
    }

    /// Takes in a task: one that is there already, anew, or the one with the next number.
    pub(super) fn insert(&mut self, task: Arc<Task>) {
        match self.get_mut(task.id) {
            Some(known) => *known = task,
            None => {
                debug_assert_eq!(place(task.id), Some(self.len()), "numbers are given one after the other");
                self.0.push_back(task);
            }
        }
    }

    /// Those with this number and higher ones, in the order of their numbers.
    pub fn from(&self, first: TaskId) -> impl Iterator<Item = &Arc<Task>> {
        (place(first).unwrap_or(0)..self.len()).filter_map(|place| self.0.get(place))
    }

    /// In the order of their numbers.
    pub fn values(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.0.iter()
    }
}

fn place(id: TaskId) -> Option<usize> {
    (id.0 as usize).checked_sub(1)
}

impl FromIterator<Task> for Tasks {
    /// From tasks in the order of their numbers, none left out.
    fn from_iter<I: IntoIterator<Item = Task>>(tasks: I) -> Tasks {
        Tasks(tasks.into_iter().map(Arc::new).collect())
    }
}
