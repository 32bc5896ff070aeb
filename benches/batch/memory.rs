//! What an item takes of memory, in a process of its own: what others have left in this one would be used again.

use std::path::Path;
use std::sync::Arc;

use super::handlers::Nothing;
use super::site::{self, Kept, Site};
use super::{CONCURRENCY, ITEMS};
use crate::support::table::{Row, note};
use crate::support::{fresh, process, remove};

pub fn run() {
    let dir = fresh("batch-memory");
    for (kept, name) in [(Kept::Sled, "sled"), (Kept::Nothing, "nothing")] {
        let program = std::env::current_exe().expect("this program has a path");
        let output = std::process::Command::new(program).arg("--batch-memory").arg(name).arg(&dir).output();
        let output = String::from_utf8(output.expect("this program can be started").stdout).expect("it is text");
        let numbers: Vec<f64> = output.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let [waiting, finished] = numbers[..] else { panic!("it tells two numbers: {output}") };
        if kept == Kept::Nothing {
            note("  without the journal: a waiting one", format!("{waiting:.0} bytes"));
            note("  a finished one", format!("{finished:.0} bytes"));
            continue;
        }
        for (name, bytes, target) in
            [("memory of a waiting item", waiting, "200 bytes"), ("  of a finished one", finished, "64 bytes")]
        {
            let ratio = Some((bytes / 13.0, "of its 13 bytes".to_owned()));
            Row { name, measured: format!("{bytes:.0} bytes"), target, ratio }.print();
        }
    }
    remove(&dir);
}

/// What this program does in a process of its own.
pub fn main(kept: &str, dir: &Path) {
    let kept = if kept == "sled" { Kept::Sled } else { Kept::Nothing };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("the machine has room for a runtime").block_on(measure(kept, dir));
}

async fn measure(kept: Kept, dir: &Path) {
    let file = site::items(dir, ITEMS);
    let memory = || process::pss_anonymous(std::process::id()) as f64;
    let state = dir.join("state");
    let mut site = Site::start(&state, kept).await;
    let attempt = site.begin().await;
    let before = memory();
    site.take_in(&attempt, &file).await;
    let waiting = memory() - before;
    site.run(&attempt, Arc::new(Nothing::default()), CONCURRENCY).await;
    let finished = memory() - before;
    println!("{} {}", waiting / f64::from(ITEMS), finished / f64::from(ITEMS));
    site.stop().await;
    remove(&state);
}
