//! From before a job is added to the start of its handler, on a daemon that has nothing else to do.

use std::collections::HashMap;
use std::time::Duration;

use crate::support::client::{self, Client};
use crate::support::daemon::{Daemon, Handlers};
use crate::support::table::{Row, head, milliseconds, note};
use crate::support::{fresh, monotonic, quantile, raw, remove};

const JOBS: usize = 600;
const PROCESSES: usize = 150;
/// Longer than any of the daemon's queues would batch: it is idle each time.
const PAUSE: Duration = Duration::from_millis(5);

pub fn run() {
    head("From `add` to the start of the handler, idle daemon");
    let dir = fresh("latency");
    let sync = 1.0 / raw::commits(&dir, 1, Duration::from_millis(700));
    let noop = noop(&dir);
    let sync = (sync + 1.0 / raw::commits(&dir, 1, Duration::from_millis(700))) / 2.0;
    let (p50, p99) = (quantile(noop.clone(), 0.5), quantile(noop, 0.99));
    let to = |seconds: f64| Some((seconds / sync, "of one raw append + fdatasync".to_owned()));
    Row { name: "p50", measured: milliseconds(p50), target: "0.50 ms", ratio: to(p50) }.print();
    Row { name: "p99", measured: milliseconds(p99), target: "2.00 ms", ratio: to(p99) }.print();
    let processes = processes(&dir);
    note("to the first instruction of a process, p50", milliseconds(quantile(processes.clone(), 0.5)));
    note("  p99", milliseconds(quantile(processes, 0.99)));
    remove(&dir);
}

fn noop(dir: &std::path::Path) -> Vec<f64> {
    let daemon = Daemon::start(dir, "[task.mail]\ncommand = [\"true\"]\nconcurrency = 16\n", Handlers::Noop);
    let mut client = Client::open(&daemon.socket());
    let request = client::add(&client::job("mail"), "application/json");
    let mut before = HashMap::new();
    for _ in 0..JOBS {
        let now = monotonic();
        let answer: serde_json::Value = serde_json::from_str(&client.call(&request)).expect("answers are JSON");
        before.insert(answer["id"].as_u64().expect("a job has a number"), now);
        std::thread::sleep(PAUSE);
    }
    let started = daemon.stop();
    let times = started.iter().map(|one| one.at.saturating_sub(before[&one.job]) as f64 / 1e9);
    times.skip(JOBS / 20).collect()
}

/// The handler writes the time at which it runs as its result.
fn processes(dir: &std::path::Path) -> Vec<f64> {
    let program = std::env::current_exe().expect("this program has a path");
    let config = format!("[task.mail]\ncommand = [{:?}, \"--stamp\"]\n", program.display().to_string());
    let daemon = Daemon::start(dir, &config, Handlers::Real);
    let mut client = Client::open(&daemon.socket());
    let request = client::add(r#"{"task":"mail"}"#, "application/json");
    let mut times = Vec::new();
    for _ in 0..PROCESSES {
        let now = monotonic();
        let answer: serde_json::Value = serde_json::from_str(&client.call(&request)).expect("answers are JSON");
        let job = answer["id"].as_u64().expect("a job has a number");
        let end = loop {
            std::thread::sleep(PAUSE);
            let view = client.get(&format!("/v1/jobs/{job}"));
            if view["state"] == "completed" {
                break view["result"].as_u64().expect("the handler has written a number");
            }
        };
        times.push(end.saturating_sub(now) as f64 / 1e9);
    }
    times
}

/// What this program does as that handler.
pub fn stamp() {
    let now = monotonic();
    let path = std::env::var_os("DAYBOOK_RESULT").expect("the daemon sets it");
    std::fs::write(path, now.to_string()).expect("the daemon has made it");
}
