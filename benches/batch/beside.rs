//! How long other jobs wait while a batch of a million items is taken in, and while it runs as fast as it can: on a
//! daemon in a process of its own, and one client.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use daybook::core::effect::StartAttempt;
use daybook::engine::Handle;

use super::handlers::Nothing;
use super::site;
use super::{CONCURRENCY, ITEMS};
use crate::support::client::{self, Client};
use crate::support::daemon::{Daemon, Handlers};
use crate::support::table::{Row, milliseconds, note};
use crate::support::{fresh, median, monotonic, quantile, remove};

const ROUNDS: usize = 3;
const IDLE: Duration = Duration::from_secs(3);
/// Between two jobs of the client.
const PAUSE: Duration = Duration::from_millis(1);

pub fn run() {
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| round()).collect();
    let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value));
    for (side, seconds, times) in [
        ("while it is taken in", (|it| it.taking_in) as fn(&Round) -> f64, (|it| &it.taken) as fn(&Round) -> &Vec<f64>),
        ("while it runs", |it| it.running, |it| &it.run),
    ] {
        note(side, format!("{:.1} s", of(&seconds)));
        for (name, part) in [("  p50", 0.5), ("  p99", 0.99), ("  longest", 1.0)] {
            let with = of(&|round| quantile(times(round).clone(), part));
            let without = of(&|round| quantile(round.idle.clone(), part));
            let ratio = Some((with / without, format!("of the {} without it", milliseconds(without))));
            Row { name, measured: milliseconds(with), target: "", ratio }.print();
        }
    }
}

/// What a client has seen: seconds from before a job was added to its start.
struct Round {
    idle: Vec<f64>,
    taken: Vec<f64>,
    run: Vec<f64>,
    /// Seconds of each.
    taking_in: f64,
    running: f64,
}

fn round() -> Round {
    let dir = fresh("batch-beside");
    site::items(&dir, ITEMS);
    let config = format!(
        "[task.mail]\ncommand = [\"true\"]\nconcurrency = 16\n[task.{}]\nitems.file = \"items\"\neach = {{ shell = \"true\" }}\n",
        site::TASK
    );
    let daemon = Daemon::start(&dir, &config, Handlers::Noop);
    let mut client = Client::open(&daemon.socket());
    let request = client::add(&client::job("mail"), "application/json");
    let mut added = Vec::new();
    let mut add = |client: &mut Client| {
        let now = monotonic();
        let answer: serde_json::Value = serde_json::from_str(&client.call(&request)).expect("answers are JSON");
        added.push((answer["id"].as_u64().expect("a job has a number"), now));
        std::thread::sleep(PAUSE);
    };
    (0..20).for_each(|_| add(&mut client));
    let begun = monotonic();
    while monotonic() < begun + IDLE.as_nanos() as u64 {
        add(&mut client);
    }
    let idle_until = monotonic();
    client.call(&client::add(&format!(r#"{{"task":"{}"}}"#, site::TASK), "application/json"));
    while !dir.join("batch").exists() {
        add(&mut client);
    }
    let started = daemon.stop();
    let text = std::fs::read_to_string(dir.join("batch")).expect("it is over");
    let times: Vec<u64> = text.split_whitespace().filter_map(|time| time.parse().ok()).collect();
    let [from, loaded, to] = times[..] else { panic!("three instants, not `{text}`") };
    let started: std::collections::HashMap<u64, u64> = started.iter().map(|one| (one.job, one.at)).collect();
    let within = |from: u64, to: u64| {
        let within = added.iter().filter(|(_, at)| (from..to).contains(at));
        within.filter_map(|(job, at)| Some((*started.get(job)?).saturating_sub(*at) as f64 / 1e9)).collect()
    };
    let seconds = |from: u64, to: u64| (to - from) as f64 / 1e9;
    let round = Round {
        idle: within(begun, idle_until),
        taken: within(from, loaded),
        run: within(loaded, to),
        taking_in: seconds(from, loaded),
        running: seconds(loaded, to),
    };
    remove(&dir);
    round
}

/// What a daemon of the benchmarks does with a batch: its items are in `dir`, and when each step was over is told there.
pub async fn handle(engine: Handle, attempt: StartAttempt, dir: &Path) {
    let begun = monotonic();
    site::take_in(&engine, &attempt, &dir.join("items")).await;
    let loaded = monotonic();
    site::run(&engine, &attempt, Arc::new(Nothing::default()), CONCURRENCY).await;
    let (new, path) = (dir.join("batch.new"), dir.join("batch"));
    std::fs::write(&new, format!("{begun} {loaded} {}", monotonic())).expect("the folder can be written");
    std::fs::rename(new, path).expect("the folder can be written");
}
