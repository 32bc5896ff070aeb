//! What `/proc` says of a process.

use std::fs;
use std::path::Path;

/// Proportional set size in bytes: memory of its own, and its share of what it has in common with others.
pub fn pss(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// The part of it that no file backs.
pub fn pss_anonymous(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/smaps_rollup"), "Pss_Anon:")
}

fn field(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).expect("the process lives");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells it");
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>().expect("it is a number");
    kilobytes * 1024
}

/// Nanoseconds that all its threads have been on a processor.
pub fn on_processor(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let times = threads.flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    times.sum()
}

/// How many threads it has.
pub fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Bytes that a folder takes on its disk.
pub fn disk(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => disk(&entry.path()),
        Ok(_) | Err(_) => entry.metadata().map_or(0, |metadata| metadata.blocks() * 512),
    });
    sizes.sum()
}

/// The most memory that this process has had at once, in bytes, since [`forget_peak`].
pub fn peak() -> u64 {
    field("/proc/self/status", "VmHWM:")
}

/// Lets [`peak`] start again from what is in use.
pub fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").expect("a process may ask this of itself");
}
