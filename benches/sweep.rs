//! A sweep over a million jobs: how long it takes, and how long a command waits while it runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::recovery::{JOBS, config, fill};
use crate::support::client::{self, Client};
use crate::support::daemon::{Daemon, Handlers};
use crate::support::table::{Row, head, milliseconds, note};
use crate::support::{fresh, median, quantile, remove};

const ROUNDS: usize = 3;
const SLICE: Duration = Duration::from_secs(6);

pub fn run() {
    head("A sweep over 1,000,000 jobs, and one client that adds jobs meanwhile");
    let dir = fresh("sweep");
    let daemon = Daemon::start(&dir, &config(false), Handlers::Real);
    fill(&daemon, &dir);
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| round(&daemon)).collect();
    let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value));
    let sweep = of(&|round| round.sweep);
    note("one sweep", format!("{sweep:.2} s ({:.0} ns a job)", sweep / JOBS as f64 * 1e9));
    for (name, part, target) in [("an add, p50", 0.5, ""), ("  p99", 0.99, ""), ("  longest", 1.0, "")] {
        let (with, without) = (of(&|it| quantile(it.beside.clone(), part)), of(&|it| quantile(it.alone.clone(), part)));
        let ratio = Some((with / without, format!("of the {} without a sweep", milliseconds(without))));
        Row { name, measured: milliseconds(with), target, ratio }.print();
    }
    let later = |part| move |it: &Round| quantile(it.beside.clone(), part) - quantile(it.alone.clone(), part);
    Row { name: "later by, p99", measured: milliseconds(of(&later(0.99))), target: "5.00 ms", ratio: None }.print();
    note("  the longest", milliseconds(of(&later(1.0))));
    drop(daemon);
    remove(&dir);
}

struct Round {
    /// Seconds of each add, without a sweep and with one that runs all the time.
    alone: Vec<f64>,
    beside: Vec<f64>,
    /// Seconds of a sweep.
    sweep: f64,
}

fn round(daemon: &Daemon) -> Round {
    let socket = daemon.socket();
    let add = client::add(&client::job("mail"), "application/json");
    let alone = client::one(&socket, &add, SLICE).times;
    let over = AtomicBool::new(false);
    let sweeps = || {
        let mut client = Client::open(&socket);
        let mut times = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let before = Instant::now();
            let report = client.call(b"POST /v1/repair HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n");
            times.push(before.elapsed().as_secs_f64());
            assert!(report.contains("\"found\":0"), "the state is healthy: {report}");
        }
        median(times)
    };
    std::thread::scope(|scope| {
        let sweeper = scope.spawn(sweeps);
        let beside = client::one(&socket, &add, SLICE).times;
        over.store(true, Ordering::Relaxed);
        Round { alone, beside, sweep: sweeper.join().expect("it only asks") }
    })
}
