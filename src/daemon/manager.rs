//! The service manager (systemd, or whoever has set `NOTIFY_SOCKET`): what it is told, and how its watchdog is fed.
//! Without one nothing is said to anybody.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use super::app::Daemon;
use super::summary;
use crate::control::Refusal;

/// How old the status line gets at most.
const STATUS_EVERY: Duration = Duration::from_secs(10);

fn tell(messages: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(messages) {
        tracing::debug!(%error, "could not tell the service manager");
    }
}

/// Not by sd-notify's own variant, which goes up to 71 minutes.
fn extend(within: Duration) -> String {
    format!("EXTEND_TIMEOUT_USEC={}", within.as_micros())
}

/// The start goes on, and takes no longer than this without another word.
pub fn starting(what: &str, within: Duration) {
    tell(&[NotifyState::Status(what), NotifyState::Custom(&extend(within))]);
}

/// The stop has begun, and is over within this time.
pub fn stopping(what: &str, within: Duration) {
    tell(&[NotifyState::Stopping, NotifyState::Status(what), NotifyState::Custom(&extend(within))]);
}

/// The daemon ends because of this.
pub fn failed(why: &str) {
    tell(&[NotifyState::Status(why.lines().next().unwrap_or_default())]);
}

/// A reload has begun; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "could not tell the service manager of a reload"),
    }
}

/// Commands are taken: the end of a start, or of a reload, successful or not. Nothing is said if the engine is gone.
pub async fn ready(daemon: &Daemon) {
    if let Ok(status) = daemon.status_now().await {
        tell(&[NotifyState::Ready, NotifyState::Status(&summary::sentence(&status))]);
    }
}

/// Feeds the watchdog and keeps the status line true until the engine is gone. The watchdog gets something only after
/// the engine has answered: while it is stuck, whatever else still runs, nothing is said.
pub async fn attend(daemon: Arc<Daemon>) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let watchdog = sd_notify::watchdog_enabled();
    let every = watchdog.map_or(STATUS_EVERY, |limit| STATUS_EVERY.min(limit / 2));
    let mut said = String::new();
    loop {
        let sentence = match daemon.status_now().await {
            Ok(status) => summary::sentence(&status),
            Err(Refusal::Gone) => return,
            // It has answered all the same.
            Err(error) => format!("no status: {error:?}"),
        };
        let mut messages = Vec::new();
        if watchdog.is_some() {
            messages.push(NotifyState::Watchdog);
        }
        if sentence != said {
            messages.push(NotifyState::Status(&sentence));
        }
        if !messages.is_empty() {
            tell(&messages);
        }
        said = sentence;
        tokio::time::sleep(every).await;
    }
}
