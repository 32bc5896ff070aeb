//! Random commands, and what must hold after each: every change of a job's state is one that the lifecycle allows,
//! the index is what a restart would build, a replay comes to the same state, a checkpoint brings it back (all in
//! `World::check`). Seeds are fixed; a failing one is printed and belongs into `FOUND`.

use std::time::Duration;

use daybook::core::command::{AddJob, Command, Ending, When};
use daybook::core::id::JobId;
use daybook::core::json::Json;
use daybook::core::policy::{Missed, OnInterrupt, Overlap, TaskPolicy};
use daybook::core::view::Progress;

use crate::samples::Random;
use crate::world::World;

/// Seeds that have failed once.
const FOUND: &[u64] = &[];
const SEEDS: u64 = 60;
const STEPS: usize = 250;

#[test]
fn whatever_is_asked_the_state_stays_whole() {
    let more = std::env::var("DAYBOOK_SIM_SEEDS").ok().and_then(|more| more.parse().ok()).unwrap_or(SEEDS);
    for seed in FOUND.iter().copied().chain(0..more) {
        let run = std::panic::catch_unwind(|| run(seed));
        assert!(run.is_ok(), "seed {seed} fails: `lifecycle::FOUND` is the place for it");
    }
}

fn policy(random: &mut Random) -> TaskPolicy {
    let schedules = ["* * * * *", "*/7 * * * * *", "@every 90s", "@reboot", "30 2 * * *"];
    let count = random.below(3);
    let mut policy = TaskPolicy {
        schedules: (0..count).map(|_| random.pick(&schedules).to_string()).collect(),
        missed: *random.pick(&[Missed::Skip, Missed::Last, Missed::All]),
        overlap: *random.pick(&[Overlap::Forbid, Overlap::Queue, Overlap::Replace, Overlap::Allow]),
        on_interrupt: *random.pick(&[OnInterrupt::Retry, OnInterrupt::Hold, OnInterrupt::Fail]),
        missed_max: random.below(5) as u32,
        attempts: 1 + random.below(4) as u32,
        concurrency: 1 + random.below(3) as u32,
        queue_size: 1 + random.below(12) as u32,
        priority: random.below(10) as u8,
        jitter: Duration::from_secs(random.below(3) * 20),
        ..TaskPolicy::default()
    };
    policy.backoff.first = Duration::from_secs(random.below(100));
    policy.missed_within = (random.below(4) == 0).then(|| Duration::from_secs(200));
    policy
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let mut world = World::new();
    world.set_back = true; // schedules are shuffled and clocks set back, so instants may come twice
    for _ in 0..STEPS {
        step(&mut world, &mut random);
    }
}

fn step(world: &mut World, random: &mut Random) {
    let job = JobId(1 + random.below(world.state().scalars().last_job.0 + 2));
    let running: Vec<JobId> = world.state().durable().running.keys().copied().collect();
    let busy = if running.is_empty() { job } else { *random.pick(&running) };
    let attempt = world.state().running(busy).map_or(1, |running| running.attempt) - u32::from(random.below(20) == 0);
    let task: Box<str> = format!("task-{}", random.below(4)).into();
    let command = match random.below(26) {
        0..=4 => {
            let when = match random.below(3) {
                0 => When::In(Duration::from_secs(random.below(300))),
                1 => When::At(world.now() + Duration::from_secs(random.below(300))),
                _ => When::Now,
            };
            let key = (random.below(2) == 0).then(|| format!("key-{}", random.below(12)).into());
            let priority = (random.below(3) == 0).then(|| random.below(10) as u8);
            let add = AddJob { task, args: Json::null(), key, priority, when, known: None };
            world.act(|machine, past| machine.add(add, past)).0.ok();
            return;
        }
        5 => {
            world.act(|machine, past| machine.retry(job, past)).0.ok();
            return;
        }
        6 | 7 => {
            let policy = policy(random);
            match random.below(5) {
                0 => world.tasks.remove(&task),
                _ => world.tasks.insert(task, policy),
            };
            world.define();
            return;
        }
        8 => {
            if random.below(3) == 0 {
                world.act(|machine, _| machine.close());
            }
            world.pass(Duration::from_secs(random.below(300)));
            if random.below(4) == 0 {
                world.clock.step(-(random.below(20_000_000) as i64));
            }
            world.boot(random.below(3) == 0);
            return;
        }
        9 => {
            world.clock.step(random.below(8_000_000) as i64 - 4_000_000);
            Command::Tick
        }
        10 => {
            world.clock.suspend(Duration::from_secs(random.below(400)));
            Command::Tick
        }
        11 => {
            let dry = random.below(3) == 0;
            world.act(|machine, _| machine.sweep(dry, Vec::new()));
            return;
        }
        12 => Command::CancelJob { job, reason: "asked to".into() },
        13 => Command::CancelJob { job: busy, reason: "asked to".into() },
        14 => Command::PauseTask { task },
        15 => Command::ResumeTask { task },
        16 => Command::ReportProgress { job: busy, attempt: None, progress: Progress::default() },
        17 => Command::ReportEnded { job: busy, attempt, ending: Ending::Stopped },
        18 => Command::ReportEnded {
            job: busy,
            attempt,
            ending: Ending::Interrupted { reason: "stop".into(), suspect: false },
        },
        19 | 20 => Command::ReportEnded { job: busy, attempt, ending: Ending::Failed { error: "broken".into() } },
        21 | 22 => Command::ReportEnded { job: busy, attempt, ending: Ending::Succeeded { result: None, note: None } },
        _ => {
            world.pass(Duration::from_millis(random.below(90_000)));
            Command::Tick
        }
    };
    world.run(&command).0.ok();
}
