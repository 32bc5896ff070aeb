//! What clients and operators ask for, and the configs that they write.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook::core::command::{AddJob, When};
use daybook::core::id::JobId;
use daybook::core::json::Json;
use daybook::core::policy::{Backoff, Missed, OnInterrupt, Overlap, TaskPolicy};
use daybook::core::time::Timestamp;

use crate::random::Random;

pub type Config = BTreeMap<Box<str>, TaskPolicy>;

/// The task whose schedule stays as it is: every instant of it is to have its row.
pub const STEADY: &str = "steady";
pub const STEADY_SCHEDULE: &str = "*/7 * * * * *";

/// Something asked of the daemon.
pub enum Ask {
    Add(Vec<AddJob>),
    Cancel(JobId),
    Retry(JobId),
    Pause(Box<str>),
    Resume(Box<str>),
    Reload(Config),
    Sweep { dry_run: bool },
    Look,
}

fn policy(random: &mut Random) -> TaskPolicy {
    let schedules = ["*/20 * * * * *", "* * * * *", "@every 45s", "@reboot", "*/13 * * * * *"];
    let first = random.below(schedules.len() as u64) as usize;
    let schedules = schedules.iter().cycle().skip(first).take(random.below(3) as usize);
    TaskPolicy {
        schedules: schedules.map(|text| text.to_string()).collect(),
        missed: *random.pick(&[Missed::Skip, Missed::Last, Missed::All]),
        missed_max: random.below(6) as u32,
        missed_within: random.once_in(4).then(|| Duration::from_secs(30 + random.below(100))),
        overlap: *random.pick(&[Overlap::Forbid, Overlap::Queue, Overlap::Replace, Overlap::Allow]),
        on_interrupt: *random.pick(&[OnInterrupt::Retry, OnInterrupt::Retry, OnInterrupt::Hold, OnInterrupt::Fail]),
        attempts: 1 + random.below(5) as u32,
        concurrency: 1 + random.below(3) as u32,
        queue_size: 5 + random.below(30) as u32,
        priority: random.below(10) as u8,
        jitter: Duration::from_secs(if random.once_in(3) { 10 } else { 0 }),
        backoff: Backoff { first: Duration::from_secs(1 + random.below(20)), ..Backoff::default() },
        ..TaskPolicy::default()
    }
}

pub fn config(random: &mut Random) -> Config {
    let mut config: Config = (0..3).map(|task| (format!("task-{task}").into(), policy(random))).collect();
    let steady = TaskPolicy { schedules: vec![STEADY_SCHEDULE.into()], ..policy(random) };
    config.insert(STEADY.into(), steady);
    config
}

/// The config with one task changed, gone or there again; the steady one keeps its schedule.
fn edited(config: &Config, random: &mut Random) -> Config {
    let mut config = config.clone();
    let task: Box<str> = format!("task-{}", random.below(3)).into();
    match random.below(4) {
        0 => drop(config.remove(&task)),
        1 => {
            let steady = TaskPolicy { schedules: vec![STEADY_SCHEDULE.into()], ..policy(random) };
            config.insert(STEADY.into(), steady);
        }
        _ => drop(config.insert(task, policy(random))),
    }
    config
}

fn job(random: &mut Random, now: Timestamp) -> AddJob {
    let task = match random.below(12) {
        0 => "nothing".to_owned(),
        1 => STEADY.to_owned(),
        _ => format!("task-{}", random.below(3)),
    };
    AddJob {
        task: task.into(),
        args: Json::trusted(format!("[{}]", random.below(1000))),
        key: (!random.once_in(3)).then(|| format!("key-{}", random.below(200)).into()),
        priority: random.once_in(3).then(|| random.below(10) as u8),
        when: match random.below(4) {
            0 => When::In(Duration::from_secs(random.below(60))),
            1 => When::At(now + Duration::from_secs(random.below(60))),
            _ => When::Now,
        },
        known: None,
    }
}

pub fn ask(random: &mut Random, config: &Config, last_job: JobId, now: Timestamp) -> Ask {
    let any = JobId(1 + random.below(last_job.0 + 1));
    let task = |random: &mut Random| -> Box<str> { format!("task-{}", random.below(3)).into() };
    match random.below(24) {
        0..=9 => Ask::Add(vec![job(random, now)]),
        10 | 11 => Ask::Add((0..1 + random.below(9)).map(|_| job(random, now)).collect()),
        12..=14 => Ask::Cancel(any),
        15..=17 => Ask::Retry(any),
        18 => Ask::Pause(task(random)),
        19 => Ask::Resume(task(random)),
        20 => Ask::Reload(edited(config, random)),
        21 => Ask::Sweep { dry_run: random.once_in(3) },
        _ => Ask::Look,
    }
}
