//! Batches: what an item costs when each is durable, what the disk costs handlers that take a while, what the usual way
//! of keeping progress costs, and how long other jobs wait meanwhile.

pub mod beside;
mod document;
mod handlers;
pub mod memory;
mod site;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use handlers::{Nothing, Waits};
pub use site::TASK;
use site::{Kept, Site};

use crate::support::table::{Row, head, note, rate};
use crate::support::{fresh, median, process, remove};

pub const ITEMS: u32 = 1_000_000;
const ROUNDS: usize = 3;
pub const CONCURRENCY: u32 = 64;

pub fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the machine has room for a runtime");
    head("A batch of 1,000,000 items, a handler that does nothing, 64 at once");
    runtime.block_on(items());
    memory::run();
    head("The same with a handler that takes a while, to a journal that keeps nothing");
    // So many that a run takes two to three seconds.
    for (length, items) in [(1, 120_000), (10, 20_000)] {
        runtime.block_on(slower(Duration::from_millis(length), items));
    }
    head("1,000 items, to one document of what remains, rewritten durably for each of them");
    runtime.block_on(document::run());
    drop(runtime);
    head("From `add` of another job to its start, beside a batch of 1,000,000 items");
    beside::run();
}

/// What an item costs.
async fn items() {
    let dir = fresh("batch");
    let file = site::items(&dir, ITEMS);
    let (mut kept, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        kept.push(round(&dir, &file, Kept::Sled).await);
        nothing.push(round(&dir, &file, Kept::Nothing).await);
    }
    let of = |value: fn(&Round) -> f64| median(kept.iter().map(value));
    let pairs = kept.iter().zip(&nothing);
    let ratio = median(pairs.map(|(kept, nothing)| kept.per_second / nothing.per_second));
    Row {
        name: "items",
        measured: rate(of(|round| round.per_second)),
        target: "150,000 /s",
        ratio: Some((ratio, "of those with a journal that keeps nothing".into())),
    }
    .print();
    note("  of a processor, an item", format!("{:.1} us", of(|round| round.processor) * 1e6));
    note("  items in a commit", format!("{:.0}", of(|round| round.per_commit)));
    let start = format!("{:.2} s", of(|round| round.start));
    Row { name: "from the first item read to the first handled", measured: start, target: "5 s", ratio: None }.print();
    note("bytes of events an item, as it is taken in", format!("{:.1}", of(|round| round.bytes_in)));
    note("  as it is handled", format!("{:.1}", of(|round| round.bytes_run)));
    note("  on disk, both", format!("{:.1}", of(|round| round.disk)));
    remove(&dir);
}

struct Round {
    per_second: f64,
    /// Seconds until the first item was handled, all of them having been taken in.
    start: f64,
    /// Seconds of processors, an item.
    processor: f64,
    per_commit: f64,
    /// Bytes an item.
    bytes_in: f64,
    bytes_run: f64,
    disk: f64,
}

async fn round(dir: &Path, file: &Path, kept: Kept) -> Round {
    let state = dir.join("state");
    let mut site = Site::start(&state, kept).await;
    let attempt = site.begin().await;
    let read = site.take_in(&attempt, file).await;
    let (bytes_in, commits_in) = site.written();
    let each = Arc::new(Nothing::default());
    let before = process::on_processor(std::process::id());
    let took = site.run(&attempt, each.clone(), CONCURRENCY).await;
    let processor = (process::on_processor(std::process::id()) - before) as f64 / 1e9;
    let (bytes, commits) = site.written();
    site.stop().await;
    let per_item = |count: f64| count / f64::from(ITEMS);
    let round = Round {
        per_second: f64::from(ITEMS) / took,
        start: read + each.first(),
        processor: per_item(processor),
        per_commit: f64::from(ITEMS) / (commits - commits_in) as f64,
        bytes_in: per_item(bytes_in as f64),
        bytes_run: per_item((bytes - bytes_in) as f64),
        disk: per_item(process::disk(&state.join("journal")) as f64),
    };
    remove(&state);
    round
}

/// What the disk costs handlers that take a while.
async fn slower(length: Duration, items: u32) {
    let dir = fresh("batch");
    let file = site::items(&dir, items);
    let (mut rates, mut ratios, mut ideal, mut took) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (kept, _) = slow_round(&dir, &file, length, items, Kept::Sled).await;
        let (nothing, each) = slow_round(&dir, &file, length, items, Kept::Nothing).await;
        rates.push(kept);
        ratios.push(kept / nothing);
        ideal.push(nothing / (f64::from(CONCURRENCY) / each));
        took.push(each);
    }
    Row {
        name: &format!("{length:?} an item (in truth {:.2} ms)", median(took) * 1e3),
        measured: rate(median(rates)),
        target: "0.9",
        ratio: Some((
            median(ratios),
            format!("of those that are not kept, which are {:.2} of what 64 allow", median(ideal)),
        )),
    }
    .print();
    remove(&dir);
}

/// Items a second, and what one call of the handler took in truth.
async fn slow_round(dir: &Path, file: &Path, length: Duration, items: u32, kept: Kept) -> (f64, f64) {
    let state = dir.join("state");
    let mut site = Site::start(&state, kept).await;
    let attempt = site.begin().await;
    site.take_in(&attempt, file).await;
    let each = Arc::new(Waits::new(length));
    let took = site.run(&attempt, each.clone(), CONCURRENCY).await;
    site.stop().await;
    remove(&state);
    (f64::from(items) / took, each.took())
}
