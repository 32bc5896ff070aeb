//! What the daemon does for itself now and then: sweep, mark the journal's head, drop what is no longer kept.
//!
//! The ticks come from tokio-cron-scheduler, as async UTC cron jobs that only wake the loops. Ticks may come late or
//! not at all (after the clock was set back, say), so the loops also look by themselves, and decide what is due
//! by the time that has passed and never by the tick.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use super::app::Daemon;
use crate::clock::{Clock, SystemClock};
use crate::core::repair::Door;
use crate::logging;

/// How often the journal's head is marked, when there are new commits.
const HEAD_EVERY: Duration = Duration::from_secs(5);
/// How often retention is looked after, unless somebody asks for it: a repair, a reload, `clean-logs`.
const RETAIN_EVERY: Duration = Duration::from_secs(60);
/// How often a sweep may be made for the sake of interrupted jobs: one that is interrupted each time it begins, because its
/// shim is always killed, say, is not to keep the machine busy.
const INTERRUPTED_EVERY: Duration = Duration::from_secs(5);
/// After this long without a tick the loop looks by itself.
const TICK_OVERDUE: Duration = Duration::from_secs(15);

/// Starts the ticks: every second when sweeps are that frequent, every five seconds otherwise.
pub async fn ticks(wake: [Arc<Notify>; 2], every: Duration) -> Result<JobScheduler, JobSchedulerError> {
    let expression = if every < Duration::from_secs(30) { "* * * * * *" } else { "*/5 * * * * *" };
    let scheduler = JobScheduler::new().await?;
    let tick = Job::new_async(expression, move |_, _| {
        let wake = wake.clone();
        Box::pin(async move { wake.iter().for_each(|wake| wake.notify_one()) })
    })?;
    scheduler.add(tick).await?;
    scheduler.start().await?;
    Ok(scheduler)
}

/// Sweeps when it is time, until the engine is gone. Nothing else is done here, so nothing else can hold it up; and as
/// it knows when the next sweep is due, a tick that is lost delays none.
pub async fn sweeps(daemon: Arc<Daemon>, tick: Arc<Notify>) {
    loop {
        let due_in = || {
            let every = daemon.config().repair_every;
            let interrupted = daemon.attempts().interrupted.load(Ordering::Relaxed);
            daemon.sweeper().due_in(if interrupted { every.min(INTERRUPTED_EVERY) } else { every })
        };
        // A tick that does not come is no error: whichever is first.
        let a_tick = |longest| tokio::time::timeout(longest, tick.notified()).map(drop);
        when_due(due_in, a_tick).await;
        // Before the sweep: what comes while it is made is for the next one.
        daemon.attempts().interrupted.store(false, Ordering::Relaxed);
        if let Err(gone) = daemon.sweeper().sweep(Door::Timer, false).await {
            tracing::debug!(%gone, "no sweep");
            return;
        }
    }
}

/// Returns when `due_in` says zero; asked after each wait for a tick, which is told how long it may be at most.
async fn when_due<T: Future<Output = ()>>(due_in: impl Fn() -> Duration, tick: impl Fn(Duration) -> T) {
    loop {
        let left = due_in();
        if left.is_zero() {
            return;
        }
        tick(left.min(TICK_OVERDUE)).await;
    }
}

/// Looks after the daemon until it is dropped.
pub async fn run(daemon: Arc<Daemon>, tick: Arc<Notify>) {
    let awake = || SystemClock.now().awake;
    let mut headed = awake();
    // At once, and then from time to time: a daemon that is often restarted cleans up as well.
    let mut retained = None::<Duration>;
    loop {
        // A tick that does not come is no error: whichever is first.
        let _: Result<(), _> = tokio::time::timeout(TICK_OVERDUE, tick.notified()).await;
        let now = awake();
        if now.saturating_sub(headed) >= HEAD_EVERY {
            headed = now;
            daemon.mark_head().await;
        }
        let asked = daemon.attempts().retention.was_asked();
        if asked || retained.is_none_or(|last| now.saturating_sub(last) >= RETAIN_EVERY) {
            retained = Some(now);
            daemon.retain().await;
            logging::tell_suppressed();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// When a sweep is due that is wanted `every` so often, if no tick ever comes; and how often it was looked at.
    async fn due(every: impl Fn(Duration) -> Duration) -> (Duration, u32) {
        let (now, looks) = (Cell::new(Duration::ZERO), Cell::new(0));
        let due_in = || {
            looks.set(looks.get() + 1);
            every(now.get()).saturating_sub(now.get())
        };
        let no_tick = |longest| {
            now.set(now.get() + longest);
            std::future::ready(())
        };
        when_due(due_in, no_tick).await;
        (now.get(), looks.get())
    }

    #[tokio::test]
    async fn a_sweep_is_due_at_its_time_though_no_tick_ever_comes() {
        assert_eq!(due(|_| Duration::from_secs(300)).await, (Duration::from_secs(300), 21));
        assert_eq!(due(|_| Duration::from_secs(1)).await, (Duration::from_secs(1), 2));
    }

    #[tokio::test]
    async fn a_shorter_interval_counts_from_the_next_look() {
        let every = |now: Duration| Duration::from_secs(if now.as_secs() >= 20 { 25 } else { 3600 });
        assert_eq!(due(every).await.0, Duration::from_secs(30));
    }
}
