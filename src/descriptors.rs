//! Keeps some file descriptors for the disk: a daemon that can open no file cannot go on, one that takes no more
//! connections and starts no more attempts for a while can.

use std::os::fd::{AsFd, AsRawFd};

use rustix::process::{Resource, getrlimit};

/// Of the descriptors that there may be, this part is for the disk, and no more than so many. As many again are for
/// connections, so that a daemon whose attempts take all they get can still be asked.
const KEPT_PART: u64 = 4;
const KEPT_MAX: u64 = 256;
/// What the daemon has open by itself, about.
const OWN: u64 = 64;

/// What a new descriptor is for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    Connection,
    Attempt,
}

/// Whether `new`, which has just been made, took one of those that are kept for others: it is then to be closed.
///
/// A new descriptor has the least number that is free, so its number says how many are in use at least.
pub fn are_short(new: impl AsFd, purpose: Purpose) -> bool {
    let shares = match purpose {
        Purpose::Connection => 1,
        Purpose::Attempt => 2,
    };
    let limit = getrlimit(Resource::Nofile).current;
    let number = new.as_fd().as_raw_fd() as u64;
    limit.is_some_and(|limit| number >= limit - shares * (limit / KEPT_PART).min(KEPT_MAX))
}

/// How many attempts there may be, each of which has two descriptors for as long as it runs: what [`are_short`] cannot
/// tell, as a number far below may be free at the moment.
pub fn attempts_max() -> usize {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return usize::MAX };
    let left = limit - 2 * (limit / KEPT_PART).min(KEPT_MAX);
    usize::try_from((left - OWN.min(left / 2)) / 2).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::io::fcntl_dupfd_cloexec;

    use super::*;

    #[test]
    fn the_last_ones_are_kept_for_the_disk_and_those_before_for_connections() {
        let file = File::open("/").unwrap();
        let limit = getrlimit(Resource::Nofile).current.unwrap();
        let kept = (limit / 4).min(256);
        // A number at or above this one, and above it by no more than what other tests have open.
        let short = |least: u64, purpose| are_short(fcntl_dupfd_cloexec(&file, least as i32).unwrap(), purpose);
        assert!(!are_short(&file, Purpose::Attempt));
        assert!(short(limit - 2 * kept, Purpose::Attempt));
        assert!(!short(limit - 2 * kept, Purpose::Connection));
        assert!(short(limit - kept, Purpose::Connection));
    }
}
