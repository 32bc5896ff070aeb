//! Defining, removing, pausing and resuming tasks.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::command::{Answer, TaskDefinition};
use crate::core::event::*;
use crate::core::id::TaskId;
use crate::core::rejection::Rejection;
use crate::core::state::State;
use crate::core::state::task::Task;

/// The tasks are exactly these from now on.
pub fn define(state: &State, tasks: &[TaskDefinition], events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let mut changed = Vec::new();
    let mut last = state.scalars().last_task.0;
    let mut present = BTreeSet::new();
    for definition in tasks {
        present.insert(&definition.name);
        let known = state.task_named(&definition.name);
        if known.is_some_and(|task| !task.removed && *task.policy == definition.policy) {
            continue;
        }
        let task = known.map(|task| task.id).unwrap_or_else(|| {
            last += 1;
            TaskId(last)
        });
        changed.push(definition.name.clone());
        events.push(Event::from(TaskDefined {
            task,
            name: definition.name.clone(),
            policy: definition.policy.clone(),
            next: definition.next.clone(),
        }));
    }
    for task in state.tasks().filter(|task| !task.removed && !present.contains(&task.name)) {
        changed.push(task.name.clone());
        events.push(Event::from(TaskRemoved { task: task.id }));
    }
    Ok(Answer::Defined { changed })
}

/// The task of that name. One that has left the config is known for as long as it has jobs.
fn known<'a>(state: &'a State, name: &str) -> Result<&'a Arc<Task>, Rejection> {
    let task = state.task_named(name).filter(|task| !task.removed || state.index().queues.contains_key(&task.id));
    task.ok_or_else(|| Rejection::UnknownTask { task: name.into() })
}

pub fn pause(state: &State, name: &str, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let task = known(state, name)?;
    if task.paused_at.is_some() {
        return Err(Rejection::AlreadyPaused { task: name.into() });
    }
    events.push(Event::from(TaskPaused { task: task.id }));
    Ok(Answer::Done)
}

pub fn resume(state: &State, name: &str, events: &mut Vec<Event>) -> Result<Answer, Rejection> {
    let task = known(state, name)?;
    if task.paused_at.is_none() {
        return Err(Rejection::NotPaused { task: name.into() });
    }
    events.push(Event::from(TaskUnpaused { task: task.id }));
    Ok(Answer::Done)
}
