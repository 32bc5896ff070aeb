//! Commits of the journal against raw append + fdatasync of the same bytes on the same disk, and against themselves
//! while a checkpoint is written: the journal alone, without the engine.
//!
//! Absolute figures swing with the disk, so both sides take turns within each round, on fresh files, and what
//! counts is the median of the rounds' ratios.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use daybook::core::id::Seq;
use daybook::core::time::Timestamp;
use daybook::journal::{Epoch, Journal, SledJournal};

use crate::support::median;

const EVENT_BYTES: usize = 120;
const ROUNDS: usize = 7;
const SLICE: Duration = Duration::from_millis(600);
const CHECKPOINT_BYTES: usize = 200 * 1000 * 1000;
const CHUNK_BYTES: usize = 11_000;

pub fn run() {
    let root = crate::support::root();
    println!("\nCommits\n{:<34}{:>12}{:>12}{:>8}{:>8}{:>10}", "", "raw /s", "journal /s", "ratio", "target", "p99 ms");
    for (events, target) in [(1, 0.7), (64, 0.8), (1024, 0.5)] {
        commits(&root, events, target, Events::Alike);
        commits(&root, events, target, Events::Noise);
    }
    beside_checkpoint(&root);
    reopen(&root);
}

#[derive(Clone, Copy, Debug)]
enum Events {
    /// As a queue writes them: the same shape, other numbers.
    Alike,
    /// Random bytes, which no compression helps.
    Noise,
}

/// Deterministic, and different in each call.
struct Source(u64);

impl Source {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 ^ (self.0 >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    fn payload(&mut self, events: usize, kind: Events) -> Vec<u8> {
        let mut payload = Vec::with_capacity(events * EVENT_BYTES);
        for _ in 0..events {
            let start = payload.len();
            if matches!(kind, Events::Alike) {
                let (job, key) = (self.word() % 1_000_000, self.word());
                payload.extend_from_slice(&job.to_le_bytes());
                payload.extend_from_slice(&1_795_000_000_000u64.wrapping_add(job).to_le_bytes());
                payload.extend_from_slice(
                    format!(r#"{{"to":"user-{key:016x}@example.com","template":"welcome"}}"#).as_bytes(),
                );
            }
            while payload.len() < start + EVENT_BYTES {
                payload.extend_from_slice(&self.word().to_le_bytes());
            }
            payload.truncate(start + EVENT_BYTES);
        }
        payload
    }
}

/// What one side did in one slice.
struct Slice {
    per_second: f64,
    p99: Duration,
    max: Duration,
}

fn measure(until: impl Fn(Instant) -> bool, mut commit: impl FnMut()) -> Slice {
    let start = Instant::now();
    let mut times = Vec::new();
    while until(start) {
        let before = Instant::now();
        commit();
        times.push(before.elapsed());
    }
    let per_second = times.len() as f64 / start.elapsed().as_secs_f64();
    times.sort();
    Slice { per_second, p99: times[times.len() * 99 / 100], max: times[times.len() - 1] }
}

fn fresh(root: &Path, name: &str) -> PathBuf {
    let dir = root.join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("the bench directory can be made");
    dir
}

/// Appends to a journal, numbering as it goes.
struct Writer {
    journal: SledJournal,
    payloads: Vec<Vec<u8>>,
    events: u32,
}

impl Writer {
    fn open(dir: &Path, events: usize, kind: Events) -> Writer {
        let mut source = Source(1);
        let payloads = (0..32).map(|_| source.payload(events, kind)).collect();
        Writer { journal: SledJournal::open(dir).expect("it opens").0, payloads, events: events as u32 }
    }

    fn commit(&mut self) {
        let seq = self.journal.last().next();
        let payload = &self.payloads[seq.0 as usize % self.payloads.len()];
        self.journal.append(Epoch(1), seq, Timestamp(0), self.events, payload).expect("it appends");
    }
}

fn raw(dir: &Path, payloads: &[Vec<u8>]) -> Slice {
    let mut file = OpenOptions::new().create(true).append(true).open(dir.join("raw")).expect("it opens");
    let mut turn = payloads.iter().cycle();
    let mut commit = || {
        file.write_all(turn.next().expect("it cycles")).expect("it writes");
        file.sync_data().expect("it syncs");
    };
    (0..50).for_each(|_| commit());
    measure(|start| start.elapsed() < SLICE, commit)
}

fn commits(root: &Path, events: usize, target: f64, kind: Events) {
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let (raw_dir, journal_dir) = (fresh(root, "raw"), fresh(root, "journal"));
        let mut writer = Writer::open(&journal_dir, events, kind);
        let payloads = writer.payloads.clone();
        (0..50).for_each(|_| writer.commit());
        let mut ours = || measure(|start| start.elapsed() < SLICE, || writer.commit());
        let (raw, ours) = if round % 2 == 0 {
            let raw = raw(&raw_dir, &payloads);
            (raw, ours())
        } else {
            let ours = ours();
            (raw(&raw_dir, &payloads), ours)
        };
        rounds.push((raw, ours));
    }
    println!(
        "{:<34}{:>12.0}{:>12.0}{:>8.2}{:>8.2}{:>10.2}",
        format!("{events} x {EVENT_BYTES} bytes, {}", format!("{kind:?}").to_lowercase()),
        median(rounds.iter().map(|(raw, _)| raw.per_second)),
        median(rounds.iter().map(|(_, ours)| ours.per_second)),
        median(rounds.iter().map(|(raw, ours)| ours.per_second / raw.per_second)),
        target,
        median(rounds.iter().map(|(_, ours)| ours.p99.as_secs_f64() * 1e3)),
    );
}

/// Commits of 8 events alone, then while a checkpoint is written.
fn beside_checkpoint(root: &Path) {
    println!(
        "{:<34}{:>12}{:>12}{:>8}{:>10}{:>10}{:>8}",
        "checkpoint of 200 MB", "alone /s", "beside /s", "ratio", "p99 ms", "max ms", "s"
    );
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let mut writer = Writer::open(&fresh(root, "journal"), 8, Events::Alike);
        (0..200).for_each(|_| writer.commit());
        let before = measure(|start| start.elapsed() < 2 * SLICE, || writer.commit());
        let (tip, upkeep, done) = (writer.journal.tip(), writer.journal.upkeep(), AtomicBool::new(false));
        let (beside, seconds) = std::thread::scope(|scope| {
            let background = scope.spawn(|| {
                let start = Instant::now();
                let mut source = Source(2);
                let mut chunks = (0..CHECKPOINT_BYTES / CHUNK_BYTES).map(|_| {
                    let mut chunk = source.payload(CHUNK_BYTES / EVENT_BYTES + 1, Events::Alike);
                    chunk.truncate(CHUNK_BYTES);
                    chunk
                });
                let written = upkeep.put_checkpoint(tip.seq, tip.checksum, &[], &mut chunks).expect("it is written");
                done.store(true, Ordering::SeqCst);
                (start.elapsed().as_secs_f64(), written.bytes_stored)
            });
            let beside = measure(|_| !done.load(Ordering::SeqCst), || writer.commit());
            (beside, background.join().expect("it ends").0)
        });
        let after = measure(|start| start.elapsed() < 2 * SLICE, || writer.commit());
        rounds.push(((before.per_second + after.per_second) / 2.0, beside, seconds));
    }
    println!(
        "{:<34}{:>12.0}{:>12.0}{:>8.2}{:>10.2}{:>10.2}{:>8.1}",
        "8 x 120 bytes (targets: 0.8, 2 ms)",
        median(rounds.iter().map(|round| round.0)),
        median(rounds.iter().map(|round| round.1.per_second)),
        median(rounds.iter().map(|round| round.1.per_second / round.0)),
        median(rounds.iter().map(|round| round.1.p99.as_secs_f64() * 1e3)),
        median(rounds.iter().map(|round| round.1.max.as_secs_f64() * 1e3)),
        median(rounds.iter().map(|round| round.2)),
    );
}

/// Time to open a journal of 64 MB after a kill, to read it, and what stays in memory.
fn reopen(root: &Path) {
    let dir = fresh(root, "journal");
    let before = resident();
    let mut writer = Writer::open(&dir, 64, Events::Alike);
    (0..10).for_each(|_| writer.commit());
    let idle = resident();
    while writer.journal.last().0 < 64 * 1024 * 1024 / (64 * EVENT_BYTES) as u64 {
        writer.commit();
    }
    println!("journal of 64 MB: memory {:.1} MB; {idle:.1} after 10 commits, {before:.1} before", resident());
    let bytes: u64 = writer.journal.upkeep().generations().iter().map(|generation| generation.bytes).sum();
    drop(writer);
    let start = Instant::now();
    let (journal, _) = SledJournal::open(&dir).expect("it opens");
    let opened = start.elapsed();
    let count = journal.reader().read(Seq(1)).map(|commit| commit.expect("it reads").payload.len()).sum::<usize>();
    println!(
        "  {} MB on disk, opened in {opened:.0?}, read ({} MB) in {:.0?}, {:.1} MB resident",
        bytes / 1_000_000,
        count / 1_000_000,
        start.elapsed() - opened,
        resident(),
    );
}

/// Megabytes of this process in memory that no file backs.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().map_or(0.0, |kilobytes: f64| kilobytes / 1000.0)
}
