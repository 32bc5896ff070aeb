//! What went wrong of late: jobs that were given up, occurrences that were missed or skipped. Counted as their rows
//! go to the history, so that `status` need not search it; after a start, what is older is read once, up to a bound.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::core::id::JobId;
use crate::core::lifecycle::JobState;
use crate::core::projection::Row;
use crate::core::time::Timestamp;
use crate::core::view::{JobView, OccurrenceView, Outcome};

/// How long a thing is recent.
pub const RECENT: Duration = Duration::from_secs(86_400);
/// Tasks and given-up jobs that are remembered; the counts of more are not shown.
const REMEMBERED_MAX: usize = 10_000;
/// Characters of an error or a reason that are remembered.
const TEXT_MAX: usize = 200;
const HOUR_MS: i64 = 3_600_000;

/// A job that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discarded {
    pub task: Box<str>,
    pub at: Timestamp,
    pub error: Box<str>,
}

/// Occurrences of one task for which no job ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub missed: u64,
    pub skipped: u64,
    /// The instant of the one decided last, and why it was lost.
    pub last: Timestamp,
    pub reason: Box<str>,
}

/// What went wrong within [`RECENT`].
#[derive(Debug, Default)]
pub struct Recent {
    discarded: BTreeMap<JobId, Discarded>,
    lost: BTreeMap<Box<str>, Hours>,
    /// Jobs that ended since the start, while what was before is still being read.
    ended: Option<BTreeSet<JobId>>,
}

/// The lost occurrences of a task by the hour in which they were decided: missed, skipped.
#[derive(Debug, Default)]
struct Hours {
    counts: BTreeMap<i64, (u64, u64)>,
    last: Timestamp,
    reason: Box<str>,
}

impl Recent {
    /// From now on it is noted which jobs end, until [`Recent::merge`].
    pub fn expect_older(&mut self) {
        self.ended = Some(BTreeSet::new());
    }

    /// Takes a row of a commit of the time `at`, newest commits last.
    pub fn note(&mut self, row: &Row, at: Timestamp) {
        match row {
            Row::Job(job) => self.note_job(job, at),
            Row::Occurrence(occurrence) => self.note_occurrence(occurrence, at),
        }
    }

    fn note_job(&mut self, job: &JobView, at: Timestamp) {
        if let Some(ended) = &mut self.ended {
            ended.insert(job.id);
        }
        match job.state {
            JobState::Discarded => {
                let error = shortened(job.error.as_deref().unwrap_or_default());
                self.discarded.insert(job.id, Discarded { task: job.task.clone(), at, error });
                if self.discarded.len() > REMEMBERED_MAX {
                    self.discarded.pop_first();
                }
            }
            // It was retried by hand, and has ended otherwise.
            JobState::Completed
            | JobState::Cancelled
            | JobState::Scheduled
            | JobState::Available
            | JobState::Running
            | JobState::Retryable
            | JobState::Interrupted => {
                self.discarded.remove(&job.id);
            }
        }
    }

    fn note_occurrence(&mut self, row: &OccurrenceView, at: Timestamp) {
        let (missed, skipped) = match row.outcome {
            Outcome::Missed => (1, 0),
            Outcome::Skipped => (0, 1),
            Outcome::Ran | Outcome::Merged => return,
        };
        if self.lost.len() >= REMEMBERED_MAX && !self.lost.contains_key(&row.task) {
            return;
        }
        let hours = self.lost.entry(row.task.clone()).or_default();
        hours.counts.retain(|hour, _| *hour >= hour_of(at - RECENT));
        let count = hours.counts.entry(hour_of(at)).or_default();
        *count = (count.0 + missed, count.1 + skipped);
        if hours.last <= row.at {
            (hours.last, hours.reason) = (row.at, shortened(&row.reason));
        }
    }

    /// Takes over what was before the first row of this one.
    pub fn merge(&mut self, older: Recent) {
        let ended = self.ended.take().unwrap_or_default();
        for (job, discarded) in older.discarded {
            if !ended.contains(&job) {
                self.discarded.entry(job).or_insert(discarded);
            }
        }
        for (task, old) in older.lost {
            let hours = self.lost.entry(task).or_default();
            for (hour, (missed, skipped)) in old.counts {
                let count = hours.counts.entry(hour).or_default();
                *count = (count.0 + missed, count.1 + skipped);
            }
            if hours.last < old.last {
                (hours.last, hours.reason) = (old.last, old.reason);
            }
        }
    }

    /// Jobs given up within [`RECENT`], newest number first.
    pub fn discarded(&self, now: Timestamp) -> Vec<(JobId, Discarded)> {
        let young = self.discarded.iter().rev().filter(|(_, one)| one.at >= now - RECENT);
        young.map(|(job, one)| (*job, one.clone())).collect()
    }

    /// Lost occurrences within [`RECENT`] (in whole hours), those of the task that lost one last first.
    pub fn lost(&self, now: Timestamp) -> Vec<(Box<str>, Lost)> {
        let since = hour_of(now - RECENT);
        let mut found: Vec<(Box<str>, Lost)> = self
            .lost
            .iter()
            .map(|(task, hours)| {
                let young = hours.counts.range(since..).map(|(_, count)| *count);
                let (missed, skipped) = young.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
                (task.clone(), Lost { missed, skipped, last: hours.last, reason: hours.reason.clone() })
            })
            .filter(|(_, lost)| lost.missed + lost.skipped > 0)
            .collect();
        found.sort_by_key(|(_, lost)| std::cmp::Reverse(lost.last));
        found
    }
}

fn hour_of(at: Timestamp) -> i64 {
    at.0.div_euclid(HOUR_MS)
}

fn shortened(text: &str) -> Box<str> {
    text.chars().take(TEXT_MAX).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::json::Json;
    use crate::core::view::Progress;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn job(id: u64, state: JobState) -> Row {
        Row::Job(Box::new(JobView {
            id: JobId(id),
            task: "mail".into(),
            state,
            attempts: 1,
            priority: 5,
            key: None,
            args: Json::null(),
            progress: Progress::default(),
            result: None,
            error: Some("exit code 1".into()),
            output_bytes: 0,
            scheduled_at: None,
            created_at: NOW,
            due_at: NOW,
            started_at: None,
            finished_at: None,
            orphaned: false,
        }))
    }

    fn occurrence(at: Timestamp, outcome: Outcome) -> Row {
        let reason = "the daemon was down".into();
        Row::Occurrence(OccurrenceView { task: "backup".into(), schedule: 0, at, outcome, reason, job: None })
    }

    fn ids(recent: &Recent) -> Vec<u64> {
        recent.discarded(NOW).iter().map(|(job, _)| job.0).collect()
    }

    #[test]
    fn given_up_jobs_are_remembered_until_they_end_otherwise() {
        let mut recent = Recent::default();
        for id in [1, 2, 3] {
            recent.note(&job(id, JobState::Discarded), NOW);
        }
        recent.note(&job(4, JobState::Completed), NOW);
        recent.note(&job(2, JobState::Completed), NOW);
        assert_eq!(ids(&recent), [3, 1]);
        recent.note(&job(5, JobState::Discarded), NOW - RECENT - Duration::from_secs(1));
        assert_eq!(ids(&recent), [3, 1], "what was given up before yesterday is not recent");
    }

    #[test]
    fn lost_occurrences_are_counted_for_a_day() {
        let mut recent = Recent::default();
        let decided = NOW - Duration::from_secs(7200);
        for outcome in [Outcome::Missed, Outcome::Missed, Outcome::Skipped, Outcome::Ran, Outcome::Merged] {
            recent.note(&occurrence(decided, outcome), decided);
        }
        let (task, lost) = recent.lost(NOW).remove(0);
        assert_eq!((&*task, lost.missed, lost.skipped, lost.last), ("backup", 2, 1, decided));
        assert!(recent.lost(NOW + RECENT).is_empty());
    }

    #[test]
    fn what_was_before_the_start_is_added_and_what_ended_since_is_not() {
        let (mut recent, mut older) = (Recent::default(), Recent::default());
        recent.expect_older();
        recent.note(&job(1, JobState::Completed), NOW);
        recent.note(&job(7, JobState::Discarded), NOW);
        recent.note(&occurrence(NOW, Outcome::Missed), NOW);
        for id in [1, 2] {
            older.note(&job(id, JobState::Discarded), NOW);
        }
        older.note(&occurrence(NOW, Outcome::Skipped), NOW);
        recent.merge(older);
        assert_eq!(ids(&recent), [7, 2]);
        let (_, lost) = recent.lost(NOW).remove(0);
        assert_eq!((lost.missed, lost.skipped), (1, 1));
    }

    #[test]
    fn memory_is_bounded() {
        let mut recent = Recent::default();
        for id in 0..REMEMBERED_MAX as u64 + 5 {
            recent.note(&job(id, JobState::Discarded), NOW);
        }
        assert_eq!(recent.discarded(NOW).len(), REMEMBERED_MAX);
        assert_eq!(shortened(&"é".repeat(1000)).chars().count(), TEXT_MAX);
    }
}
