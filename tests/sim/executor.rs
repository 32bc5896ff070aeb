//! Attempts without processes: what each does is decided when it is started.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook::core::command::{Command, Ending, ItemEnd};
use daybook::core::event::Process;
use daybook::core::id::JobId;
use daybook::core::json::Json;
use daybook::core::view::Progress;

use crate::items::Items;
use crate::random::Random;

/// What comes from an executor.
pub enum Report {
    Tell(Command),
    /// A run asks for items.
    Ask {
        job: JobId,
        attempt: u32,
        want: u32,
    },
    /// A call for items has ended.
    Handled {
        job: JobId,
        ends: Vec<ItemEnd>,
    },
    /// A run ends without having been through.
    End {
        job: JobId,
        attempt: u32,
        ending: Ending,
    },
}

/// Reports to come, each at an instant by the time awake. They are told in the order of their numbers.
#[derive(Default)]
pub struct Executor {
    reports: BTreeMap<(Duration, u64), Report>,
    count: u64,
    pub items: Items,
    /// Every attempt succeeds at once from now on.
    pub obedient: bool,
}

impl Executor {
    pub fn report(&mut self, at: Duration, report: Report) {
        self.count += 1;
        self.reports.insert((at, self.count), report);
    }

    pub fn tell(&mut self, at: Duration, command: Command) {
        self.report(at, Report::Tell(command));
    }

    pub fn start(&mut self, job: JobId, attempt: u32, now: Duration, random: &mut Random) {
        let succeeded = || Ending::Succeeded { result: Some(Json::trusted("1")), note: None };
        let ended = |ending| Command::ReportEnded { job, attempt, ending };
        if self.obedient {
            return self.tell(now, ended(succeeded()));
        }
        let after = |random: &mut Random, max: u64| now + Duration::from_millis(random.below(max));
        let process = Process { pid: job.0 as u32, start_time: u64::from(attempt), boot_id: 1 };
        self.tell(now, Command::ReportSpawned { job, attempt, process });
        if random.once_in(4) {
            let progress = Progress { current: 1, total: 2, message: "half".into() };
            self.tell(after(random, 2_000), Command::ReportProgress { job, attempt: Some(attempt), progress });
        }
        let failed = || Ending::Failed { error: "exit code 1".into() };
        let end = after(random, 3_000);
        match random.below(10) {
            0..=3 => self.tell(end, ended(succeeded())),
            4 | 5 => self.tell(end, ended(failed())),
            6 => self.tell(now + Duration::from_secs(40 + random.below(100)), ended(succeeded())), // slow
            7 => {} // hangs until it is stopped
            8 => {
                self.tell(end, ended(failed()));
                self.tell(after(random, 60_000), ended(succeeded())); // twice, and otherwise
            }
            _ => {
                self.tell(end, ended(succeeded()));
                self.tell(end, ended(succeeded()));
            }
        }
    }

    pub fn stop(&mut self, (job, attempt): (JobId, u32), is_batch: bool, now: Duration, random: &mut Random) {
        let ending = match random.below(4) {
            0 => Ending::Succeeded { result: None, note: None },
            1 => Ending::Failed { error: "signal 15".into() },
            _ => Ending::Stopped,
        };
        let after = now + Duration::from_millis(if self.obedient { 0 } else { random.below(5_000) });
        match is_batch {
            true => self.report(after, Report::End { job, attempt, ending: Ending::Stopped }),
            false => self.tell(after, Command::ReportEnded { job, attempt, ending }),
        }
    }

    /// What is to be told by now.
    pub fn due(&mut self, now: Duration) -> Vec<Report> {
        let later = self.reports.split_off(&(now + Duration::from_nanos(1), 0));
        std::mem::replace(&mut self.reports, later).into_values().collect()
    }

    pub fn next(&self) -> Option<Duration> {
        self.reports.first_key_value().map(|((at, _), _)| *at)
    }
}
