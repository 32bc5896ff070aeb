//! Signals: SIGHUP reloads the config and sweeps, SIGTERM and SIGINT stop; the second SIGINT stops at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Reload the config and sweep now.
    Reload,
    /// Stop in good order.
    Stop,
}

/// Signals that arrive before the runtime is there: opening a large journal can take a while.
pub struct Early {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Early {
    /// From now on a second SIGINT ends the process at once, with the exit code a shell gives for it, and a first
    /// SIGINT or SIGTERM is noted, and so is SIGHUP: the config may have changed since it was read.
    pub fn arm() -> std::io::Result<Early> {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicBool::new(false));
        // In this order: the second one finds the flag of the first.
        signal_hook::flag::register_conditional_shutdown(SIGINT, 130, asked.clone())?;
        signal_hook::flag::register(SIGINT, asked)?;
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, stop.clone())?;
        }
        let reload = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGHUP, reload.clone())?;
        Ok(Early { stop, reload })
    }

    /// Whether somebody has asked to reload.
    pub fn reload_asked(&self) -> bool {
        self.reload.load(Ordering::Relaxed)
    }

    /// Whether somebody has asked to stop.
    pub fn stop_asked(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The stream of signals, once the runtime is there.
pub struct Wishes(Signals);

impl Wishes {
    pub fn listen() -> std::io::Result<Wishes> {
        Signals::new([SIGHUP, SIGINT, SIGTERM]).map(Wishes)
    }

    /// The next wish; signals that come close together may be one.
    pub async fn next(&mut self) -> Wish {
        match self.0.next().await {
            Some(SIGHUP) => Wish::Reload,
            Some(_) | None => Wish::Stop,
        }
    }
}
