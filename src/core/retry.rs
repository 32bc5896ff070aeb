//! Backoff arithmetic: how long a failed job waits for its next attempt.

use std::time::Duration;

use super::id::JobId;
use super::limits;
use super::policy::Backoff;

/// The wait after failure number `failures` (from 1): `first * factor^(failures-1)`, at most
/// `max`, made longer or shorter by up to `jitter` of it. The deviation is a hash of job and
/// failure, so a replay, and the same job on another day, waits the same.
pub fn delay(backoff: &Backoff, job: JobId, failures: u32) -> Duration {
    let exponent = failures.saturating_sub(1).min(limits::ATTEMPTS_MAX) as i32;
    let max = backoff.max.min(limits::DURATION_MAX).as_secs_f64();
    // No wait at all stays none, however often: zero times infinity is not a number.
    let growth = backoff.factor.max(1.0).powi(exponent).min(f64::MAX);
    let wait = (backoff.first.as_secs_f64() * growth).min(max);
    let mut seed = [0; 12];
    seed[..8].copy_from_slice(&job.0.to_le_bytes());
    seed[8..].copy_from_slice(&failures.to_le_bytes());
    let unit = xxhash_rust::xxh3::xxh3_64(&seed) as f64 / u64::MAX as f64;
    let wait = wait * (1.0 + backoff.jitter.clamp(0.0, 1.0) * (2.0 * unit - 1.0));
    // Whole milliseconds, as all instants are.
    Duration::from_millis((wait * 1000.0).round().clamp(0.0, limits::DURATION_MAX.as_millis() as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_waits_one_two_four_minutes() {
        let minutes = [1, 2, 3, 4, 11].map(|n| delay(&Backoff::default(), JobId(1), n).as_secs() / 60);
        assert_eq!(minutes, [1, 2, 4, 8, 1024]);
    }

    #[test]
    fn it_is_bounded_whatever_the_config_says() {
        let wild = Backoff { first: limits::DURATION_MAX, factor: 1e300, max: limits::DURATION_MAX, jitter: 1.0 };
        assert!(delay(&wild, JobId(7), u32::MAX) <= limits::DURATION_MAX);
    }

    #[test]
    fn no_wait_stays_none() {
        let none = Backoff { first: Duration::ZERO, factor: 1e300, ..Backoff::default() };
        assert_eq!(delay(&none, JobId(7), 1000), Duration::ZERO);
    }

    #[test]
    fn jitter_stays_within_its_part_and_differs_between_jobs() {
        let backoff = Backoff { jitter: 0.1, ..Backoff::default() };
        let waits: Vec<_> = (1..100).map(|job| delay(&backoff, JobId(job), 1)).collect();
        assert!(waits.iter().all(|wait| (54_000..=66_000).contains(&wait.as_millis())));
        assert!(waits.windows(2).any(|pair| pair[0] != pair[1]));
        assert_eq!(delay(&backoff, JobId(5), 1), waits[4]);
    }
}
