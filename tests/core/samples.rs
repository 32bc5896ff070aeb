//! Random values, and one event of each kind with everything in it.

use std::time::Duration;

use daybook::core::event::*;
use daybook::core::id::{JobId, TaskId};
use daybook::core::indices::Indices;
use daybook::core::json::Json;
use daybook::core::lifecycle::JobState;
use daybook::core::policy::{
    Backoff, BatchPolicy, Dst, MaxFailures, Missed, OnInterrupt, Overlap, TaskPolicy, WhenBusy,
};
use daybook::core::repair::{Door, Finding};
use daybook::core::texts::Texts;
use daybook::core::time::Timestamp;
use daybook::core::view::{JobView, Outcome, Progress};

pub use crate::random::Random;

impl Random {
    /// Any number, small ones as often as great ones.
    pub fn any(&mut self) -> u64 {
        let bits = self.below(65);
        if bits == 0 { 0 } else { self.next() >> (64 - bits) }
    }

    fn text(&mut self) -> Box<str> {
        let letters = ['a', 'Z', '0', ' ', '"', '\\', '\n', '\0', 'ä', '日', '🦀'];
        (0..self.below(40)).map(|_| *self.pick(&letters)).collect::<String>().into()
    }

    fn option<T>(&mut self, make: impl FnOnce(&mut Random) -> T) -> Option<T> {
        self.once_in(2).then(|| make(self))
    }

    fn at(&mut self) -> Timestamp {
        Timestamp(self.any() as i64)
    }

    fn job(&mut self) -> JobId {
        JobId(self.any())
    }

    fn task(&mut self) -> TaskId {
        TaskId(self.any() as u32)
    }

    fn duration(&mut self) -> Duration {
        Duration::from_millis(self.any() >> 10)
    }

    fn json(&mut self) -> Json {
        Json::trusted(serde_json::to_string(&self.text()).unwrap())
    }

    fn texts(&mut self) -> Texts {
        let texts: Vec<Box<str>> = (0..self.below(5)).map(|_| self.text()).collect();
        texts.iter().map(|text| &**text).collect()
    }

    fn indices(&mut self) -> Indices {
        Indices::of((0..self.below(9)).map(|_| self.below(40) as u32).collect())
    }

    fn occurrence(&mut self) -> Occurrence {
        Occurrence { schedule: self.any() as u16, at: self.at() }
    }

    fn findings(&mut self) -> Vec<Finding> {
        let text = |r: &mut Random| r.text();
        let finding =
            |r: &mut Random| Finding { invariant: text(r), subject: text(r), explanation: text(r), action: text(r) };
        (0..self.below(4)).map(|_| finding(self)).collect()
    }

    fn outcome(&mut self) -> Outcome {
        *self.pick(&[Outcome::Ran, Outcome::Skipped, Outcome::Merged, Outcome::Missed])
    }

    fn policy(&mut self) -> TaskPolicy {
        TaskPolicy {
            schedules: (0..self.below(4)).map(|_| self.text().into()).collect(),
            timezone: self.text().into(),
            dst: *self.pick(&[Dst::Vixie, Dst::WallClock, Dst::Skip]),
            jitter: self.duration(),
            missed: *self.pick(&[Missed::Skip, Missed::Last, Missed::All]),
            missed_within: self.option(Random::duration),
            missed_max: self.any() as u32,
            overlap: *self.pick(&[Overlap::Forbid, Overlap::Queue, Overlap::Replace, Overlap::Allow]),
            from: self.option(Random::at),
            until: self.option(Random::at),
            priority: self.any() as u8,
            attempts: self.any() as u32,
            backoff: Backoff {
                first: self.duration(),
                factor: self.any() as f64 / 7.0,
                max: self.duration(),
                jitter: self.any() as f64 / 1e19,
            },
            give_up_after: self.duration(),
            concurrency: self.any() as u32,
            queue_size: self.any() as u32,
            on_interrupt: *self.pick(&[OnInterrupt::Retry, OnInterrupt::Hold, OnInterrupt::Fail]),
            lock: self.option(|r| r.text().into()),
            custom: self.below(2) == 0,
            clears: (0..self.below(3)).map(|_| self.text().into()).collect(),
            batch: self.option(Random::batch),
        }
    }

    fn batch(&mut self) -> BatchPolicy {
        BatchPolicy {
            ops: (0..self.below(3)).map(|_| self.text().into()).collect(),
            given: self.below(2) == 0,
            exclusive: self.option(|r| r.text().into()),
            when_busy: *self.pick(&[WhenBusy::Queue, WhenBusy::Refuse]),
            attempts: self.any() as u32,
            backoff: Backoff::default(),
            chunk: self.any() as u32,
            max_failures: self.option(|r| *r.pick(&[MaxFailures::Items(7), MaxFailures::Percent(50)])),
        }
    }

    fn view(&mut self) -> JobView {
        JobView {
            id: self.job(),
            task: self.text(),
            state: *self.pick(&JobState::ALL),
            attempts: self.any() as u32,
            priority: self.any() as u8,
            key: self.option(Random::text),
            args: self.json(),
            progress: Progress { current: self.any(), total: self.any(), message: self.text() },
            result: self.option(Random::json),
            error: self.option(Random::text),
            output_bytes: self.any(),
            scheduled_at: self.option(Random::at),
            created_at: self.at(),
            due_at: self.at(),
            started_at: self.option(Random::at),
            finished_at: self.option(Random::at),
            orphaned: false,
        }
    }

    /// One event of every kind, in the order of their numbers.
    pub fn events(&mut self) -> Vec<Event> {
        let r = self;
        vec![
            JobAdded {
                job: r.job(),
                task: r.task(),
                priority: r.any() as u8,
                due: r.at(),
                relative: r.below(2) == 0,
                key: r.option(Random::text),
                args: r.json(),
                occurrence: r.option(Random::occurrence),
            }
            .into(),
            JobDue { job: r.job() }.into(),
            AttemptStarted { job: r.job(), attempt: r.any() as u32 }.into(),
            AttemptSpawned {
                job: r.job(),
                attempt: r.any() as u32,
                process: Process {
                    pid: r.any() as u32,
                    start_time: r.any(),
                    boot_id: u128::from(r.any()) << 64 | u128::from(r.any()),
                },
            }
            .into(),
            AttemptSettled { job: r.job() }.into(),
            JobProgressed { job: r.job(), current: r.any(), total: r.any(), message: r.text() }.into(),
            JobCompleted { job: r.job(), result: r.option(Random::json), note: r.option(Random::text) }.into(),
            AttemptFailed { job: r.job(), error: r.text(), retry_at: r.at() }.into(),
            JobDiscarded { job: r.job(), error: r.text() }.into(),
            StopRequested { job: r.job(), reason: r.text() }.into(),
            JobCancelled { job: r.job(), reason: r.text() }.into(),
            JobInterrupted { job: r.job(), reason: r.text(), suspect: r.below(2) == 0 }.into(),
            JobResumed { job: r.job() }.into(),
            JobHeld { job: r.job(), reason: r.text() }.into(),
            JobRetried { job: r.job(), finished: r.option(|r| Finished { task: r.task(), view: r.view() }) }.into(),
            OutputKept { job: r.job(), bytes: r.any() }.into(),
            AttemptAdopted { job: r.job(), attempt: r.any() as u32, start: r.below(2) == 0, suspect: r.below(2) == 0 }
                .into(),
            TaskDefined {
                task: r.task(),
                name: r.text(),
                policy: r.policy(),
                next: (0..r.below(4)).map(|_| r.option(Random::at)).collect(),
            }
            .into(),
            TaskRemoved { task: r.task() }.into(),
            TaskPaused { task: r.task() }.into(),
            TaskUnpaused { task: r.task() }.into(),
            OccurrenceDecided {
                task: r.task(),
                schedule: r.any() as u16,
                instant: r.at(),
                outcome: r.outcome(),
                reason: r.text(),
                job: r.option(Random::job),
                next: r.option(Random::at),
            }
            .into(),
            OccurrencesPassed {
                task: r.task(),
                schedule: r.any() as u16,
                first: r.at(),
                gaps: (0..r.below(30)).map(|_| r.any()).collect(),
                outcome: r.outcome(),
                reason: r.text(),
                next: r.option(Random::at),
            }
            .into(),
            ScheduleMoved { task: r.task(), schedule: r.any() as u16, decided: r.at(), next: r.option(Random::at) }
                .into(),
            DaemonStarted { version: r.text(), pid: r.any() as u32, boot_id: r.text(), clean: r.below(2) == 0 }.into(),
            DaemonStopped {}.into(),
            ClockStepped { milliseconds: r.any() as i64 }.into(),
            ClockSuspended { duration: r.duration() }.into(),
            SweepFinished {
                door: *r.pick(&[Door::Start, Door::Timer, Door::Signal, Door::Cli, Door::Socket, Door::Page]),
                found: r.any() as u32,
                fixed: r.any() as u32,
                left: r.option(Random::findings),
            }
            .into(),
            SweepFound { findings: r.findings() }.into(),
            ConfigChanged { change: r.text() }.into(),
            BatchOpened { job: r.job(), task: r.task() }.into(),
            ItemsAdded { job: r.job(), items: r.texts(), duplicates: r.any() as u32 }.into(),
            BatchLoaded { job: r.job() }.into(),
            BatchDropped { job: r.job(), reason: r.text() }.into(),
            ItemsStarted {
                job: r.job(),
                first_run: r.any() as u32,
                chunk: r.any() as u32,
                advance: r.below(2) == 0,
                items: r.indices(),
            }
            .into(),
            ItemsDone { job: r.job(), items: r.indices() }.into(),
            ItemFailed { job: r.job(), item: r.any() as u32, error: r.text(), retry_at: r.option(Random::at) }.into(),
            ItemsReturned { job: r.job(), items: r.indices() }.into(),
            ItemsSkipped { job: r.job(), items: r.indices(), superseded_by: r.option(Random::job) }.into(),
            OverrideSet { key: r.text(), params: r.json() }.into(),
            OverrideCleared { key: r.text() }.into(),
        ]
    }
}
