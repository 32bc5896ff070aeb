//! The delay of one occurrence: spread like chance, yet the same on every machine and in every replay.

use std::time::Duration;

use crate::core::time::Timestamp;

/// How much later than `at` the occurrence of `task` starts: whole milliseconds, from zero up to and including `max`.
///
/// A fixed hash of both: no seed of the process goes into it, and it never changes between
/// versions, or a restart would move what is already planned.
pub fn jitter(task: &str, at: Timestamp, max: Duration) -> Duration {
    let values = u128::from(u64::try_from(max.as_millis()).unwrap_or(u64::MAX)) + 1;
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(task.as_bytes(), at.0 as u64);
    // The hash as a fraction of 2^64, so that every value is equally likely to within one part in 2^64 / max.
    Duration::from_millis(((u128::from(hash) * values) >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_the_same_for_ever() {
        let minute = Duration::from_secs(60);
        for (task, at, expected) in
            [("backup", 1_795_305_600_000, 15_830), ("backup", 1_795_392_000_000, 55_055), ("", 0, 10_553)]
        {
            assert_eq!(jitter(task, Timestamp(at), minute), Duration::from_millis(expected), "`{task}` at {at}");
        }
    }

    #[test]
    fn fills_its_range_evenly_and_keeps_to_it() {
        let max = Duration::from_millis(9);
        let mut counts = [0u32; 10];
        for day in 0..10_000 {
            counts[jitter("backup", Timestamp(day * 86_400_000), max).as_millis() as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        assert_eq!(jitter("backup", Timestamp(5), Duration::ZERO), Duration::ZERO);
        assert!(jitter("backup", Timestamp(5), Duration::MAX) <= Duration::from_millis(u64::MAX));
    }
}
