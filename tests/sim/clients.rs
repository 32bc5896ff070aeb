//! What clients and operators ask for, and the configs that they write.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook::core::command::{AddJob, When};
use daybook::core::id::JobId;
use daybook::core::json::Json;
use daybook::core::policy::{Backoff, BatchPolicy, MaxFailures, Missed, OnInterrupt, Overlap, TaskPolicy, WhenBusy};
use daybook::core::state::batch::Args;
use daybook::core::texts::Texts;
use daybook::core::time::Timestamp;

use crate::random::Random;

pub type Config = BTreeMap<Box<str>, TaskPolicy>;

/// The task whose schedule stays as it is: every instant of it is to have its row.
pub const STEADY: &str = "steady";
pub const STEADY_SCHEDULE: &str = "*/7 * * * * *";

/// Tasks beside the steady one: plain ones, ones of single jobs that are about a thing, and ones with items.
const TASKS: [&str; 8] = ["task-0", "task-1", "task-2", "single", "batch-0", "batch-1", "batch-2", "batch-3"];
/// What items and single jobs are about: few, so that they are often about the same.
const THINGS: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];

/// Something asked of the daemon.
pub enum Ask {
    Add(Vec<AddJob>),
    Cancel(JobId),
    Retry(JobId),
    Pause(Box<str>),
    Resume(Box<str>),
    Reload(Config),
    Sweep {
        dry_run: bool,
    },
    /// A batch whose items are to come.
    Open(AddJob),
    /// More items for the batch that was opened last, or all of them are there, or it is given up.
    Give(Texts),
    Load,
    Abandon,
    Advance(JobId, &'static str),
    Remove(Box<str>),
    Override(Box<str>),
    Restore(Box<str>),
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

/// The policy of one of [`TASKS`].
fn policy_of(task: &str, random: &mut Random) -> TaskPolicy {
    let policy = policy(random);
    if task == "single" {
        let lock = (!random.once_in(6)).then(|| "thing:{args.item}".to_owned());
        return TaskPolicy { lock, custom: random.once_in(2), clears: vec!["off".into()], ..policy };
    }
    if !task.starts_with("batch") {
        return policy;
    }
    let max_failures = [None, None, Some(MaxFailures::Items(2)), Some(MaxFailures::Percent(30))];
    let batch = BatchPolicy {
        ops: ["on", "off"].iter().map(|op| op.to_string()).collect(),
        // It stays so: a task that changed would find its own batches strange.
        given: task.ends_with(['0', '1']),
        exclusive: random.pick(&[None, Some("red"), Some("red"), Some("blue")]).map(str::to_owned),
        when_busy: *random.pick(&[WhenBusy::Queue, WhenBusy::Refuse]),
        attempts: 1 + random.below(3) as u32,
        backoff: Backoff { first: Duration::from_millis(random.below(9_000)), ..Backoff::default() },
        chunk: 1 + random.below(3) as u32,
        max_failures: *random.pick(&max_failures),
    };
    let lock = (!random.once_in(5)).then(|| "thing:{item}".to_owned());
    // A schedule cannot say which operation.
    let schedules = Vec::new();
    TaskPolicy { lock, clears: vec!["off".into()], batch: Some(batch), schedules, ..policy }
}

pub fn config(random: &mut Random) -> Config {
    let mut config: Config = TASKS.iter().map(|task| ((*task).into(), policy_of(task, random))).collect();
    let steady = TaskPolicy { schedules: vec![STEADY_SCHEDULE.into()], ..policy(random) };
    config.insert(STEADY.into(), steady);
    config
}

/// The config with one task changed, gone or there again; the steady one keeps its schedule.
fn edited(config: &Config, random: &mut Random) -> Config {
    let mut config = config.clone();
    let task: Box<str> = (*random.pick(&TASKS)).into();
    match random.below(4) {
        0 => drop(config.remove(&task)),
        1 => {
            let steady = TaskPolicy { schedules: vec![STEADY_SCHEDULE.into()], ..policy(random) };
            config.insert(STEADY.into(), steady);
        }
        _ => {
            let policy = policy_of(&task, random);
            config.insert(task, policy);
        }
    }
    config
}

/// The tasks that the config has not, as it might have them.
pub fn missing(config: &Config, random: &mut Random) -> Config {
    let missing = TASKS.iter().filter(|task| !config.contains_key(**task));
    missing.map(|task| ((*task).into(), policy_of(task, random))).collect()
}

pub fn items(random: &mut Random) -> Texts {
    (0..random.below(8)).map(|_| *random.pick(&THINGS)).collect()
}

/// A batch, whose task may be one whose items are read.
fn batch(random: &mut Random, now: Timestamp) -> AddJob {
    let task = format!("batch-{}", random.below(4)).into();
    let op = Some((*random.pick(&["on", "off"])).into());
    let params = random.once_in(2).then(|| Json::trusted(r#"{"length":8}"#));
    let args = Args { op, params, restore: random.once_in(4) }.to_json();
    AddJob { task, args, ..job(random, now) }
}

fn single(random: &mut Random, now: Timestamp) -> AddJob {
    let args = format!(r#"{{"item":"{}","op":"{}","params":1}}"#, random.pick(&THINGS), random.pick(&["on", "off"]));
    AddJob { task: "single".into(), args: Json::trusted(args), ..job(random, now) }
}

fn ask_of_items(random: &mut Random, any: JobId, now: Timestamp) -> Ask {
    let thing = |random: &mut Random| -> Box<str> { format!("thing:{}", random.pick(&THINGS)).into() };
    match random.below(24) {
        0..=3 => Ask::Open(batch(random, now)),
        4..=7 => Ask::Give(items(random)),
        8..=10 => Ask::Load,
        11 => Ask::Abandon,
        12..=14 => Ask::Add(vec![batch(random, now)]),
        15 | 16 => Ask::Add(vec![single(random, now)]),
        17..=19 => Ask::Advance(any, random.pick::<&str>(&THINGS)),
        20 => Ask::Remove(thing(random)),
        21 => Ask::Override(thing(random)),
        22 => Ask::Restore(thing(random)),
        _ => Ask::Sweep { dry_run: false },
    }
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
    let task = |random: &mut Random| -> Box<str> { (*random.pick(&TASKS)).into() };
    if random.once_in(2) {
        // Mostly about what is young.
        let late = JobId(last_job.0.saturating_sub(random.below(12)).max(1));
        let about = if random.once_in(3) { any } else { late };
        return ask_of_items(random, about, now);
    }
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
