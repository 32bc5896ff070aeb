//! The physical limit: appending the same bytes to a plain file and `fdatasync`, one commit after the other.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of one event, about as the journal stores an added job with 100 bytes of arguments.
pub const EVENT_BYTES: usize = 120;

/// Commits of `events` events each, a second.
pub fn commits(dir: &Path, events: usize, slice: Duration) -> f64 {
    let payload: Vec<u8> = (0..events * EVENT_BYTES).map(|i| (i * 31 % 251) as u8).collect();
    let path = dir.join("raw");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("it opens");
    let mut commit = || {
        file.write_all(&payload).expect("it writes");
        file.sync_data().expect("it syncs");
    };
    (0..20).for_each(|_| commit());
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < slice {
        commit();
        count += 1;
    }
    let per_second = f64::from(count) / start.elapsed().as_secs_f64();
    std::fs::remove_file(&path).expect("it is removed");
    per_second
}
