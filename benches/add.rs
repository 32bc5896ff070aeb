//! Adding jobs over the socket, every one durable before it is answered.

use std::time::Duration;

use crate::support::daemon::{Daemon, Handlers};
use crate::support::table::{Row, head, milliseconds, note, rate};
use crate::support::{client, fresh, median, process, quantile, raw, remove};

const ROUNDS: usize = 5;
const SLICE: Duration = Duration::from_millis(1000);
const BULK: usize = 5_000;
const CONFIG: &str = "execution = false\n\n[task.mail]\ncommand = [\"true\"]\n";

struct Round {
    raw: f64,
    raw_50: f64,
    raw_bulk: f64,
    one: f64,
    one_p99: f64,
    fifty: f64,
    fifty_p99: f64,
    /// Seconds of processor that the daemon takes for a job.
    fifty_processor: f64,
    bulk: f64,
}

pub fn run() {
    head("Adding jobs over the socket, each durable");
    let single = client::add(&client::job("mail"), "application/json");
    let lines = vec![client::job("mail"); BULK].join("\n");
    let bulk = client::add(&lines, "application/x-ndjson");
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| round(&single, &bulk)).collect();
    let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value));
    Row {
        name: "one client",
        measured: rate(of(|round| round.one)),
        target: "0.6 of raw",
        ratio: Some((of(|round| round.one / round.raw), "of raw append + fdatasync of a job".into())),
    }
    .print();
    note("  p99", milliseconds(of(|round| round.one_p99)));
    Row {
        name: "50 clients",
        measured: rate(of(|round| round.fifty)),
        target: "40,000 /s",
        ratio: Some((of(|round| round.fifty / round.raw_50 / 50.0), "of raw with 50 jobs a commit".into())),
    }
    .print();
    note("  p99", milliseconds(of(|round| round.fifty_p99)));
    note("  processor time of the daemon a job", format!("{:.1} us", of(|round| round.fifty_processor) * 1e6));
    Row {
        name: "in bulk, 5,000 a call, 2 clients",
        measured: rate(of(|round| round.bulk)),
        target: "400,000 /s",
        ratio: Some((of(|round| round.bulk / round.raw_bulk / BULK as f64), "of raw with 5,000 a commit".into())),
    }
    .print();
    note("raw append + fdatasync of one job", rate(of(|round| round.raw)));
}

fn round(single: &[u8], bulk: &[u8]) -> Round {
    let dir = fresh("add");
    let daemon = Daemon::start(&dir, CONFIG, Handlers::Real);
    let socket = daemon.socket();
    client::one(&socket, single, SLICE / 10);
    let raw = raw::commits(&dir, 1, SLICE / 2);
    let one = client::one(&socket, single, SLICE);
    let raw = (raw + raw::commits(&dir, 1, SLICE / 2)) / 2.0;
    let before = process::on_processor(daemon.pid());
    let fifty = client::many(&socket, 50, single, SLICE, u64::MAX);
    let processor = (process::on_processor(daemon.pid()) - before) as f64 / 1e9;
    let raw_50 = raw::commits(&dir, 50, SLICE / 2);
    let calls = client::many(&socket, 2, bulk, SLICE, 60);
    let raw_bulk = raw::commits(&dir, BULK, SLICE / 2);
    drop(daemon);
    remove(&dir);
    Round {
        raw,
        raw_50,
        raw_bulk,
        one: one.per_second(),
        one_p99: quantile(one.times, 0.99),
        fifty: fifty.per_second(),
        fifty_p99: quantile(fifty.times, 0.99),
        fifty_processor: processor / fifty.answers as f64,
        bulk: calls.per_second() * BULK as f64,
    }
}
