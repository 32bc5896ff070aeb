//! Keeps some file descriptors for the disk: a daemon that can open no file cannot go on, one that takes no more
//! connections and starts no more attempts for a while can.

use std::os::fd::{AsFd, AsRawFd};

use rustix::process::{Resource, getrlimit};

/// Of the descriptors that there may be, this part is for the disk, and no more than so many.
const KEPT_PART: u64 = 4;
const KEPT_MAX: u64 = 256;

/// Whether `new`, which has just been made, took one of those that are kept for the disk: it is then to be closed.
///
/// A new descriptor has the least number that is free, so its number says how many are in use at least.
pub fn are_short(new: impl AsFd) -> bool {
    let limit = getrlimit(Resource::Nofile).current;
    limit.is_some_and(|limit| new.as_fd().as_raw_fd() as u64 >= limit - (limit / KEPT_PART).min(KEPT_MAX))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::io::fcntl_dupfd_cloexec;

    use super::*;

    #[test]
    fn the_last_ones_are_kept() {
        let file = File::open("/").unwrap();
        assert!(!are_short(&file));
        let limit = getrlimit(Resource::Nofile).current.unwrap();
        let kept = (limit / 4).min(256) as i32;
        // At least these numbers, and other tests take few.
        assert!(are_short(fcntl_dupfd_cloexec(&file, limit as i32 - kept).unwrap()));
        assert!(!are_short(fcntl_dupfd_cloexec(&file, limit as i32 / 2).unwrap()));
    }
}
