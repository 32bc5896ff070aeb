//! What the benchmarks share: a daemon in a process of its own, lean clients, raw writes to compare with,
//! what `/proc` says of a process, medians and the table.

pub mod client;
pub mod daemon;
pub mod process;
pub mod raw;
pub mod table;

use std::path::{Path, PathBuf};

/// Where the benchmarks write: `DAYBOOK_BENCH_DIR`, or a folder below `target/`.
pub fn root() -> PathBuf {
    std::env::var_os("DAYBOOK_BENCH_DIR").map_or_else(|| PathBuf::from("target/bench"), PathBuf::from)
}

/// An empty folder.
pub fn fresh(name: &str) -> PathBuf {
    let dir = std::path::absolute(root().join(name)).expect("there is a current directory");
    remove(&dir);
    std::fs::create_dir_all(&dir).expect("the bench directory can be made");
    dir
}

/// Removes a folder that may be there.
pub fn remove(dir: &Path) {
    if let Err(error) = std::fs::remove_dir_all(dir) {
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "cannot remove {}", dir.display());
    }
}

/// The middle one of the values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values.into_iter().collect(), 0.5)
}

/// The value below which this part of the values lies.
pub fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    assert!(!values.is_empty(), "nothing was measured");
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}

/// Nanoseconds of the monotonic clock, which all processes share.
pub fn monotonic() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
