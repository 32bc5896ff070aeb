//! Wakes the engine at an instant of the wall clock, and when somebody sets that clock.
//!
//! The runtime's own timers round up to the next millisecond, stand still while the machine is asleep and know
//! nothing of the wall clock; this one is the kernel's, so nobody has to look at the clock now and then.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::core::time::Timestamp;

/// A timer on the wall clock.
pub struct Alarm {
    timer: AsyncFd<OwnedFd>,
    /// What it is set to.
    at: Option<Timestamp>,
}

impl Alarm {
    /// An alarm that is not set. Fails where the process has no file descriptor left. Needs a runtime.
    pub fn new() -> io::Result<Alarm> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(deprecated, reason = "unsound only for what can change its descriptor, and an `OwnedFd` cannot")]
        let timer = AsyncFd::new(timer)?;
        Ok(Alarm { timer, at: None })
    }

    /// Returns at this instant, at once if it is past, and when the wall clock is set.
    pub async fn ring(&mut self, at: Timestamp) -> io::Result<()> {
        if self.at != Some(at) && self.set(at)? == Set::ClockWasSet {
            return Ok(());
        }
        self.timer.readable().await?.clear_ready();
        // The kernel rings once; who waits again sets it again.
        self.at = None;
        Ok(())
    }

    fn set(&mut self, at: Timestamp) -> io::Result<Set> {
        // An instant of zero would switch the timer off.
        let at = at.max(Timestamp(1));
        let value = Timespec { tv_sec: at.0.div_euclid(1000), tv_nsec: at.0.rem_euclid(1000) * 1_000_000 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        match timerfd_settime(&self.timer, flags, &once) {
            Ok(_) => {
                self.at = Some(at);
                Ok(Set::Armed)
            }
            // Said once for each time that the clock was set while nobody waited here.
            Err(Errno::CANCELED) => {
                self.at = None;
                Ok(Set::ClockWasSet)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What setting the alarm has come to.
#[derive(PartialEq)]
enum Set {
    Armed,
    ClockWasSet,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Alarm;
    use crate::clock::{Clock, SystemClock};

    #[tokio::test]
    async fn rings_at_the_instant_and_not_before() {
        let mut alarm = Alarm::new().unwrap();
        for wait in [20, 0, 5] {
            let at = SystemClock.now().wall + Duration::from_millis(wait);
            alarm.ring(at).await.unwrap();
            assert!(SystemClock.now().wall >= at, "{wait} ms");
        }
    }

    #[tokio::test]
    async fn an_instant_long_past_rings_at_once_and_a_later_one_can_be_brought_forward() {
        let mut alarm = Alarm::new().unwrap();
        alarm.ring(crate::core::time::Timestamp(0)).await.unwrap();
        let far = SystemClock.now().wall + Duration::from_secs(3600);
        tokio::select! {
            biased;
            _ = alarm.ring(far) => panic!("an hour is not over"),
            () = std::future::ready(()) => {}
        }
        let near = SystemClock.now().wall + Duration::from_millis(2);
        alarm.ring(near).await.unwrap();
        assert!(SystemClock.now().wall >= near);
    }
}
