//! The filters of many partitions: the memory they share, and how they are asked together.
//! What one filter is stands in `filter`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::filter::Filter;
use super::partition::Partition;

/// The filters of all partitions at hand, so that a question takes no lock for each: the processor then
/// fetches from many of them at a time.
#[derive(Default)]
pub struct FilterSet {
    pub loaded: Vec<Arc<Filter>>,
    /// Partitions to be asked themselves: the open one, and those there is no memory for.
    pub others: Vec<Arc<Partition>>,
}

/// The memory that filters take.
pub struct Filters {
    pub used: AtomicUsize,
    pub max: usize,
    pub asked: AtomicBool,
}

impl Filters {
    /// Takes memory for so many words, if there is as much.
    pub fn reserve(&self, words: u64) -> bool {
        let bytes = words as usize * 8;
        let fits = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.max;
        if !fits {
            self.release(words);
        }
        fits
    }

    pub fn release(&self, words: u64) {
        self.used.fetch_sub(words as usize * 8, Ordering::Relaxed);
    }

    /// Notes that somebody looked for something.
    pub fn ask(&self) {
        if !self.asked.load(Ordering::Relaxed) {
            self.asked.store(true, Ordering::Relaxed);
        }
    }
}
