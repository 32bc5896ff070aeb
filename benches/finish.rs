//! Jobs that are added over the socket, started, ended by a handler that does nothing, and moved to the history.

use std::time::{Duration, Instant};

use crate::support::client::{self, Client};
use crate::support::daemon::{Daemon, Handlers};
use crate::support::table::{Row, head, note, rate};
use crate::support::{fresh, median, raw, remove};

const ROUNDS: usize = 5;
const SLICE: Duration = Duration::from_millis(1500);
const CONFIG: &str = "[task.mail]\ncommand = [\"true\"]\nconcurrency = 1000\n";

pub fn run() {
    head("Adding and finishing jobs, a handler that does nothing");
    let request = client::add(&client::job("mail"), "application/json");
    let rounds: Vec<(f64, f64, f64)> = (0..ROUNDS).map(|_| round(&request)).collect();
    Row {
        name: "50 clients, added and finished",
        measured: rate(median(rounds.iter().map(|round| round.0))),
        target: "30,000 /s",
        ratio: Some((
            median(rounds.iter().map(|round| round.0 / round.2 / 50.0)),
            "of raw with 50 jobs a commit".into(),
        )),
    }
    .print();
    note("  added while finishing", rate(median(rounds.iter().map(|round| round.1))));
}

/// Finished a second until the last is, added a second, raw commits of 50.
fn round(request: &[u8]) -> (f64, f64, f64) {
    let dir = fresh("finish");
    let daemon = Daemon::start(&dir, CONFIG, Handlers::Noop);
    let socket = daemon.socket();
    client::many(&socket, 50, request, SLICE / 10, u64::MAX);
    wait_until_done(&mut Client::open(&socket));
    let start = Instant::now();
    let load = client::many(&socket, 50, request, SLICE, u64::MAX);
    wait_until_done(&mut Client::open(&socket));
    let finished = load.answers as f64 / start.elapsed().as_secs_f64();
    let raw = raw::commits(&dir, 50, SLICE / 3);
    drop(daemon);
    remove(&dir);
    (finished, load.per_second(), raw)
}

fn wait_until_done(client: &mut Client) {
    loop {
        let status = client.get("/v1/status");
        let jobs = status["jobs"].as_object().expect("the status counts jobs");
        let live = ["available", "running", "scheduled"].iter().filter_map(|state| jobs.get(*state)?.as_u64());
        if live.sum::<u64>() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
