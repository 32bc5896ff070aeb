//! 100,000 schedules, each of a task of its own: how late they start, and what they cost while none is due.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::support::daemon::{Daemon, Handlers};
use crate::support::table::{Row, head, milliseconds, note};
use crate::support::{fresh, process, quantile, remove};

const SCHEDULES: usize = 100_000;
const PER_FILE: usize = 10_000;
/// Long enough for a full minute to begin.
const MIXED: Duration = Duration::from_secs(62);
const IDLE: Duration = Duration::from_secs(20);

pub fn run() {
    head("100,000 schedules");
    mixed();
    idle();
}

/// Writes a file of tasks for every 10,000.
fn write(dir: &Path, schedule: impl Fn(usize) -> String) {
    let folder = dir.join("tasks.d");
    std::fs::create_dir_all(&folder).expect("the bench directory can be written");
    for file in 0..SCHEDULES / PER_FILE {
        let mut text = String::new();
        for number in file * PER_FILE..(file + 1) * PER_FILE {
            let schedule = schedule(number);
            writeln!(text, "[task.t{number}]\ncommand = [\"true\"]\nschedule = \"{schedule}\"\ntimezone = \"UTC\"")
                .expect("memory takes it");
        }
        std::fs::write(folder.join(format!("{file}.toml")), text).expect("the bench directory can be written");
    }
}

fn daily(number: usize) -> String {
    // Half a day away at least, so that none is due while this runs.
    let hour = (hour_now() + 12 + number / 60 % 8) % 24;
    format!("{} {hour} * * *", number % 60)
}

fn hour_now() -> usize {
    (since_epoch().as_secs() / 3600 % 24) as usize
}

fn mixed() {
    let dir = fresh("schedule");
    write(&dir, |number| match number % 100 {
        0 => "* * * * * *".to_owned(),
        1..=9 => "* * * * *".to_owned(),
        _ => daily(number),
    });
    let daemon = Daemon::start(&dir, "", Handlers::Noop);
    std::thread::sleep(Duration::from_secs(2));
    let before = process::on_processor(daemon.pid());
    let bare = bare_wakes(MIXED);
    let busy = (process::on_processor(daemon.pid()) - before) as f64 / MIXED.as_nanos() as f64;
    let started = daemon.stop();
    // By the second of the instant: a full minute brings 10,000 at once.
    let mut by_instant = std::collections::BTreeMap::<i64, Vec<f64>>::new();
    for one in &started {
        by_instant.entry(one.instant_ms).or_default().push(one.late_us as f64);
    }
    // The first and the last second were cut.
    by_instant.pop_first();
    by_instant.pop_last();
    let (minutes, seconds): (Vec<_>, Vec<_>) = by_instant.into_iter().partition(|(at, _)| at % 60_000 == 0);
    let late = |of: &[(i64, Vec<f64>)]| of.iter().flat_map(|(_, late)| late.iter().copied()).collect::<Vec<f64>>();
    let of_seconds = late(&seconds);
    let p99 = quantile(of_seconds.clone(), 0.99) / 1e6;
    let count = of_seconds.len() as f64 / seconds.len() as f64;
    assert!(count > 999.0, "only {count} of 1,000 due ones were started");
    let bare_p99 = quantile(bare.clone(), 0.99);
    Row {
        name: "lateness p99, each second (1,000 due)",
        measured: milliseconds(p99),
        target: "5.00 ms",
        ratio: Some((p99 / bare_p99, "of a thread that wakes at the same instants".into())),
    }
    .print();
    note("  p50", milliseconds(quantile(of_seconds, 0.5) / 1e6));
    note("  the thread, p50", milliseconds(quantile(bare, 0.5)));
    note("  p99", milliseconds(bare_p99));
    let of_minutes = late(&minutes);
    note("lateness p50, full minute (10,000 due)", milliseconds(quantile(of_minutes.clone(), 0.5) / 1e6));
    note("  p99", milliseconds(quantile(of_minutes, 0.99) / 1e6));
    note("processor, of a core", format!("{:.2} %", busy * 100.0));
    remove(&dir);
}

/// How many seconds late a thread is that does nothing but wait for each full second.
fn bare_wakes(time: Duration) -> Vec<f64> {
    let end = std::time::Instant::now() + time;
    let mut late = Vec::new();
    while std::time::Instant::now() < end {
        let now = since_epoch();
        let next = Duration::from_secs(now.as_secs() + 1);
        std::thread::sleep(next - now);
        late.push((since_epoch() - next).as_secs_f64());
    }
    late
}

fn since_epoch() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970")
}

fn idle() {
    let dir = fresh("schedule");
    write(&dir, daily);
    let daemon = Daemon::start(&dir, "", Handlers::Real);
    let memory = process::pss(daemon.pid());
    std::thread::sleep(Duration::from_secs(8));
    let before = process::on_processor(daemon.pid());
    std::thread::sleep(IDLE);
    let busy = (process::on_processor(daemon.pid()) - before) as f64 / IDLE.as_nanos() as f64;
    drop(daemon);
    let empty = empty_process();
    Row {
        name: "all daily: idle processor, of a core",
        measured: format!("{:.3} %", busy * 100.0),
        target: "0.050 %",
        ratio: Some((busy / empty, "of a process that wakes once a second".into())),
    }
    .print();
    note("memory (PSS)", format!("{:.0} MB", memory as f64 / 1e6));
    remove(&dir);
}

/// What the least costs that could keep an eye on a clock: a thread of this process that sleeps a second at a time.
fn empty_process() -> f64 {
    let rounds = 5;
    let before = thread_time();
    for _ in 0..rounds {
        std::thread::sleep(Duration::from_secs(1));
    }
    (thread_time() - before) as f64 / (f64::from(rounds) * 1e9)
}

fn thread_time() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
