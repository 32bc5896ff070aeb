//! What the daemon does for itself now and then: sweep, mark the journal's head, drop what is no longer kept.
//!
//! The ticks come from tokio-cron-scheduler, as async UTC cron jobs that only wake this loop. Ticks may come late or
//! not at all (after the clock was set back, say), so the loop also looks by itself, and decides what is due
//! by the time that has passed and never by the tick.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use super::app::Daemon;
use crate::clock::{Clock, SystemClock};
use crate::logging;

/// How often the journal's head is marked, when there are new commits.
const HEAD_EVERY: Duration = Duration::from_secs(5);
/// How often retention is looked after, unless somebody asks for it: a repair, a reload, `clean-logs`.
const RETAIN_EVERY: Duration = Duration::from_secs(60);
/// After this long without a tick the loop looks by itself.
const TICK_OVERDUE: Duration = Duration::from_secs(15);

/// Starts the ticks: every second when sweeps are that frequent, every five seconds otherwise.
pub async fn ticks(wake: Arc<Notify>, every: Duration) -> Result<JobScheduler, JobSchedulerError> {
    let expression = if every < Duration::from_secs(30) { "* * * * * *" } else { "*/5 * * * * *" };
    let scheduler = JobScheduler::new().await?;
    let tick = Job::new_async(expression, move |_, _| {
        let wake = wake.clone();
        Box::pin(async move { wake.notify_one() })
    })?;
    scheduler.add(tick).await?;
    scheduler.start().await?;
    Ok(scheduler)
}

/// Looks after the daemon until it is dropped.
pub async fn run(daemon: Arc<Daemon>, wake: Arc<Notify>) {
    let awake = || SystemClock.now().awake;
    let mut headed = awake();
    // At once, and then from time to time: a daemon that is often restarted cleans up as well.
    let mut retained = None::<Duration>;
    loop {
        // A tick that does not come is no error: whichever is first.
        // Sweeps may be more frequent since a reload than the ticks are.
        let patience = TICK_OVERDUE.min(daemon.config().repair_every);
        let _: Result<(), _> = tokio::time::timeout(patience, wake.notified()).await;
        let now = awake();
        if daemon.sweep_is_due(now)
            && let Err(gone) = daemon.sweep(false).await
        {
            tracing::debug!(%gone, "no sweep");
            return;
        }
        if now.saturating_sub(headed) >= HEAD_EVERY {
            headed = now;
            daemon.mark_head().await;
        }
        let asked = daemon.retention_was_asked();
        if asked || retained.is_none_or(|last| now.saturating_sub(last) >= RETAIN_EVERY) {
            retained = Some(now);
            daemon.retain().await;
            logging::tell_suppressed();
        }
    }
}
