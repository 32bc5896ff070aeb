//! A million waiting jobs: how long a killed daemon takes to its first start, and what a job takes of memory and disk.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::client;
use crate::support::daemon::{Daemon, Handlers, first_start};
use crate::support::table::{Row, head, note};
use crate::support::{fresh, median, process, remove};

pub const JOBS: usize = 1_000_000;
const BULK: usize = 5_000;
const ROUNDS: usize = 3;
/// Bytes of a job as stored.
const JOB_BYTES: usize = 200;

/// A bulk call of jobs of 200 bytes, each with other arguments: half of them text, half of them noise.
fn bulk() -> Vec<u8> {
    let noise = |i: usize| xxhash_rust::xxh3::xxh3_128(&i.to_le_bytes());
    let lines = (0..BULK).map(|i| {
        let (user, token) = (noise(2 * i), noise(2 * i + 1));
        let args = format!(
            r#"{{"to":"user-{:016x}@example.com","subject":"Your order {i:08} has been sent","token":"{token:048x}","x":"{}"}}"#,
            user as u64,
            "x".repeat(21),
        );
        format!(r#"{{"task":"mail","args":{args}}}"#)
    });
    client::add(&lines.collect::<Vec<_>>().join("\n"), "application/x-ndjson")
}

/// The config of a daemon that takes jobs in, and of one that works on them.
pub fn config(execution: bool) -> String {
    format!("execution = {execution}\n\n[task.mail]\ncommand = [\"true\"]\n")
}

pub fn run() {
    head("1,000,000 waiting jobs of 200 bytes");
    let dir = fresh("recovery");
    let daemon = Daemon::start(&dir, &config(false), Handlers::Real);
    std::thread::sleep(Duration::from_secs(1));
    let empty = process::pss_anonymous(daemon.pid());
    fill(&daemon, &dir);
    let loaded = process::pss_anonymous(daemon.pid());
    daemon.kill();
    let disk = process::disk(&dir.join("state"));
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(restart(&dir));
    }
    let start = median(rounds.iter().map(|round| round.start));
    let plain = median(rounds.iter().map(|round| round.plain));
    Row {
        name: "exec of the daemon to the first start",
        measured: format!("{start:.2} s"),
        target: "1.20 s",
        ratio: Some((start / plain, "of reading as many bytes and a checksum".into())),
    }
    .print();
    let recovered = median(rounds.iter().map(|round| round.memory.saturating_sub(empty) as f64)) / JOBS as f64;
    Row {
        name: "memory a job, after the restart",
        measured: format!("{recovered:.0} bytes"),
        target: "400 bytes",
        ratio: Some((recovered / JOB_BYTES as f64, "of its 200 bytes".into())),
    }
    .print();
    let added = loaded.saturating_sub(empty) as f64 / JOBS as f64;
    note("memory a job, after adding", format!("{added:.0} bytes"));
    let stored = disk as f64 / JOBS as f64;
    Row {
        name: "disk a job",
        measured: format!("{stored:.0} bytes"),
        target: "300 bytes",
        ratio: Some((stored / JOB_BYTES as f64, "of its 200 bytes".into())),
    }
    .print();
    remove(&dir);
}

/// Adds the jobs to a daemon in `dir`, and waits until it has come to rest.
pub fn fill(daemon: &Daemon, dir: &Path) {
    let load = client::many(&daemon.socket(), 2, &bulk(), Duration::from_secs(600), (JOBS / BULK) as u64);
    assert_eq!(load.answers as usize * BULK, JOBS);
    settle(&dir.join("state/checkpoint"));
}

/// Waits until no checkpoint is being written to this folder.
pub fn settle(folder: &Path) {
    let names = || {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    let (mut last, mut since) = (names(), Instant::now());
    while since.elapsed() < Duration::from_secs(3) || last.len() > 1 {
        std::thread::sleep(Duration::from_millis(100));
        let now = names();
        let unfinished = now.iter().any(|name| !name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()));
        if now != last || unfinished {
            (last, since) = (now, Instant::now());
        }
    }
}

struct Restart {
    start: f64,
    /// Seconds to read the same bytes from a plain file.
    plain: f64,
    memory: u64,
}

fn restart(dir: &Path) -> Restart {
    let text = std::fs::read_to_string(dir.join("daybook.toml")).expect("it was written");
    std::fs::write(dir.join("daybook.toml"), text.replace("execution = false", "execution = true"))
        .expect("the bench directory can be written");
    let _: std::io::Result<()> = std::fs::remove_file(dir.join("first"));
    let plain = plain(dir);
    let daemon = Daemon::spawn(dir, Handlers::Endless);
    let start = (first_start(dir) - daemon.started) as f64 / 1e9;
    daemon.wait_until_ready();
    std::thread::sleep(Duration::from_secs(1));
    let memory = process::pss_anonymous(daemon.pid());
    daemon.kill();
    Restart { start, plain, memory }
}

fn plain(dir: &Path) -> f64 {
    let path = dir.join("plain");
    if !path.exists() {
        std::fs::write(&path, vec![7u8; JOBS * JOB_BYTES]).expect("the bench directory can be written");
    }
    let start = Instant::now();
    let bytes = std::fs::read(&path).expect("it was written");
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes);
    assert_ne!(sum, 0);
    start.elapsed().as_secs_f64()
}
