//! Events as lines of JSON: each with its commit, and with the name of its task.

use std::collections::BTreeMap;

use crate::core::event::Event;
use crate::core::id::{JobId, TaskId};
use crate::engine::Committed;

/// How events become lines.
pub struct Lines {
    pub names: BTreeMap<TaskId, Box<str>>,
    /// Only events of this job.
    pub job: Option<JobId>,
}

impl Lines {
    /// A line for each event of a commit that is wanted.
    pub fn of(&mut self, commit: &Committed) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for event in &commit.events {
            if let Event::TaskDefined(defined) = event {
                self.names.insert(defined.task, defined.name.clone());
            }
            if self.job.is_none() || self.job == job(event) {
                found.push(self.line(commit, event));
            }
        }
        found
    }

    /// `{"seq":1,"at":"...","event":"job_added","job":1,"task":"mail",...}`
    fn line(&self, commit: &Committed, event: &Event) -> Vec<u8> {
        let mut line = format!("{{\"seq\":{},\"at\":\"{}\",", commit.seq, commit.at).into_bytes();
        let text = serde_json::to_string(event).unwrap_or_else(|_| "{}".into());
        let rest = &text[1..];
        // A task is stored by number. It stands before all that users write, so the first one is it.
        let named = task(event).and_then(|id| {
            let number = format!("\"task\":{id}");
            Some((rest.split_once(&number)?, self.names.get(&id)?))
        });
        match named {
            Some(((before, after), name)) => {
                line.extend_from_slice(before.as_bytes());
                line.extend_from_slice(b"\"task\":");
                serde_json::to_writer(&mut line, name).expect("memory takes it");
                line.extend_from_slice(after.as_bytes());
            }
            None => line.extend_from_slice(rest.as_bytes()),
        }
        line.push(b'\n');
        line
    }
}

/// The job that an event is about.
pub fn job(event: &Event) -> Option<JobId> {
    match event {
        Event::JobAdded(it) => Some(it.job),
        Event::JobDue(it) => Some(it.job),
        Event::AttemptStarted(it) => Some(it.job),
        Event::AttemptSpawned(it) => Some(it.job),
        Event::AttemptSettled(it) => Some(it.job),
        Event::JobProgressed(it) => Some(it.job),
        Event::JobCompleted(it) => Some(it.job),
        Event::AttemptFailed(it) => Some(it.job),
        Event::JobDiscarded(it) => Some(it.job),
        Event::StopRequested(it) => Some(it.job),
        Event::JobCancelled(it) => Some(it.job),
        Event::JobInterrupted(it) => Some(it.job),
        Event::JobResumed(it) => Some(it.job),
        Event::JobHeld(it) => Some(it.job),
        Event::JobRetried(it) => Some(it.job),
        Event::OutputKept(it) => Some(it.job),
        Event::OccurrenceDecided(it) => it.job,
        Event::TaskDefined(_)
        | Event::TaskRemoved(_)
        | Event::TaskPaused(_)
        | Event::TaskUnpaused(_)
        | Event::OccurrencesPassed(_)
        | Event::ScheduleMoved(_)
        | Event::DaemonStarted(_)
        | Event::DaemonStopped(_)
        | Event::ClockStepped(_)
        | Event::ClockSuspended(_)
        | Event::SweepFound(_)
        | Event::SweepFinished(_) => None,
    }
}

/// The task that an event names.
fn task(event: &Event) -> Option<TaskId> {
    match event {
        Event::JobAdded(it) => Some(it.task),
        Event::TaskDefined(it) => Some(it.task),
        Event::TaskRemoved(it) => Some(it.task),
        Event::TaskPaused(it) => Some(it.task),
        Event::TaskUnpaused(it) => Some(it.task),
        Event::OccurrenceDecided(it) => Some(it.task),
        Event::OccurrencesPassed(it) => Some(it.task),
        Event::ScheduleMoved(it) => Some(it.task),
        Event::JobDue(_)
        | Event::AttemptStarted(_)
        | Event::AttemptSpawned(_)
        | Event::AttemptSettled(_)
        | Event::JobProgressed(_)
        | Event::JobCompleted(_)
        | Event::AttemptFailed(_)
        | Event::JobDiscarded(_)
        | Event::StopRequested(_)
        | Event::JobCancelled(_)
        | Event::JobInterrupted(_)
        | Event::JobResumed(_)
        | Event::JobHeld(_)
        | Event::JobRetried(_)
        | Event::OutputKept(_)
        | Event::DaemonStarted(_)
        | Event::DaemonStopped(_)
        | Event::ClockStepped(_)
        | Event::ClockSuspended(_)
        | Event::SweepFound(_)
        | Event::SweepFinished(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::{JobAdded, TaskDefined};
    use crate::core::id::Seq;
    use crate::core::json::Json;
    use crate::core::time::Timestamp;

    fn added(args: &str) -> Event {
        Event::from(JobAdded {
            job: JobId(7),
            task: TaskId(3),
            priority: 5,
            due: Timestamp(0),
            relative: false,
            key: Some("\"task\":3".into()),
            args: Json::parse(args).unwrap(),
            occurrence: None,
        })
    }

    #[test]
    fn a_line_is_an_event_with_its_commit_and_the_name_of_its_task() {
        let lines = Lines { names: [(TaskId(3), "a\"b".into())].into(), job: None };
        let commit = Committed { seq: Seq(12), at: Timestamp(1000), events: vec![] };
        let line = lines.line(&commit, &added(r#"{"task":3}"#));
        let expected = concat!(
            r#"{"seq":12,"at":"1970-01-01T00:00:01.000Z","event":"job_added","job":7,"task":"a\"b","priority":5,"#,
            r#""due":"1970-01-01T00:00:00.000Z","relative":false,"key":"\"task\":3","args":{"task":3},"occurrence":null}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn tasks_are_named_as_they_are_defined_and_jobs_are_picked() {
        let defined = TaskDefined { task: TaskId(3), name: "mail".into(), policy: Default::default(), next: vec![] };
        let events = vec![Event::from(defined), added("1")];
        let commit = Committed { seq: Seq(1), at: Timestamp(0), events };
        let mut lines = Lines { names: BTreeMap::new(), job: Some(JobId(7)) };
        let found: Vec<_> = lines.of(&commit).into_iter().map(|line| String::from_utf8(line).unwrap()).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].contains(r#""task":"mail""#), "{}", found[0]);
        assert!(Lines { names: BTreeMap::new(), job: Some(JobId(8)) }.of(&commit).is_empty());
    }
}
