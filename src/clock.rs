//! Where time comes from: the only reader of the machine's clocks, and a clock for simulations.

use std::sync::Mutex;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::core::time::Timestamp;

/// One look at the machine's clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The wall clock: can be set, forward and backward.
    pub wall: Timestamp,
    /// Time since some start, without the time asleep. Never goes back.
    pub awake: Duration,
    /// The same with the time asleep.
    pub elapsed: Duration,
}

/// A source of time.
pub trait Clock: Send + Sync {
    fn now(&self) -> Now;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let read = |id| {
            let time = clock_gettime(id);
            (time.tv_sec, time.tv_nsec as u32)
        };
        let (seconds, nanoseconds) = read(ClockId::Realtime);
        let length = |(seconds, nanoseconds): (i64, u32)| Duration::new(seconds.max(0) as u64, nanoseconds);
        Now {
            wall: Timestamp(seconds * 1000 + i64::from(nanoseconds / 1_000_000)),
            awake: length(read(ClockId::Monotonic)),
            elapsed: length(read(ClockId::Boottime)),
        }
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct SimulatedClock(Mutex<Now>);

impl SimulatedClock {
    pub fn at(wall: Timestamp) -> SimulatedClock {
        SimulatedClock(Mutex::new(Now { wall, awake: Duration::ZERO, elapsed: Duration::ZERO }))
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    }

    /// Lets time pass.
    pub fn pass(&self, duration: Duration) {
        self.change(|now| {
            now.wall = now.wall + duration;
            now.awake += duration;
            now.elapsed += duration;
        });
    }

    /// Sets the wall clock.
    pub fn step(&self, milliseconds: i64) {
        self.change(|now| now.wall = now.wall.shifted(milliseconds));
    }

    /// Puts the machine to sleep for a time.
    pub fn suspend(&self, duration: Duration) {
        self.change(|now| {
            now.wall = now.wall + duration;
            now.elapsed += duration;
        });
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Now {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
