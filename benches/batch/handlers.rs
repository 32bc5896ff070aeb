//! Handlers of items: one that does nothing, and one that takes a certain time and nothing else.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use daybook::core::command::ItemOutcome;
use daybook::core::id::JobId;
use daybook::daemon::batch::{Call, Each};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::oneshot;

/// Is over at once.
pub struct Nothing {
    made: Instant,
    first: OnceLock<Instant>,
}

impl Default for Nothing {
    fn default() -> Nothing {
        Nothing { made: Instant::now(), first: OnceLock::new() }
    }
}

impl Nothing {
    /// Seconds until it was first called.
    pub fn first(&self) -> f64 {
        self.first.get().map_or(0.0, |first| (*first - self.made).as_secs_f64())
    }
}

impl Each for Nothing {
    fn handle(&self, call: Call) -> BoxFuture<'static, Vec<ItemOutcome>> {
        self.first.get_or_init(Instant::now);
        ready(call.all(ItemOutcome::Done)).boxed()
    }

    fn stop(&self, _: JobId, _: u32) {}
}

/// Takes a certain time. The runtime's own timers go by whole milliseconds and would make two of one.
pub struct Waits {
    length: Duration,
    line: Arc<Line>,
    took: Arc<(AtomicU64, AtomicU64)>,
}

/// When it is to be woken, and how.
type Waiting = (Instant, oneshot::Sender<()>);

/// Calls that wait, the first to end in front: all wait equally long.
#[derive(Default)]
struct Line {
    waiting: Mutex<(VecDeque<Waiting>, bool)>,
    more: Condvar,
}

impl Line {
    fn run(&self) {
        loop {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            while waiting.0.is_empty() && !waiting.1 {
                waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let Some((due, _)) = waiting.0.front() else { return };
            let (due, now) = (*due, Instant::now());
            if due > now {
                drop(waiting);
                std::thread::sleep(due - now);
                continue;
            }
            while let Some((due, _)) = waiting.0.front()
                && *due <= now
                && let Some((_, tell)) = waiting.0.pop_front()
            {
                // A call that is not waited for any more is none of ours.
                let _: Result<(), ()> = tell.send(());
            }
        }
    }
}

impl Waits {
    pub fn new(length: Duration) -> Waits {
        let line = Arc::new(Line::default());
        let timer = line.clone();
        std::thread::spawn(move || timer.run());
        Waits { length, line, took: Arc::default() }
    }

    /// Seconds that a call took in truth, on average.
    pub fn took(&self) -> f64 {
        let (nanoseconds, calls) = (&self.took.0, &self.took.1);
        nanoseconds.load(Ordering::Relaxed) as f64 / calls.load(Ordering::Relaxed) as f64 / 1e9
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.line.waiting.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.line.more.notify_one();
    }
}

impl Each for Waits {
    fn handle(&self, call: Call) -> BoxFuture<'static, Vec<ItemOutcome>> {
        let (line, took, length) = (self.line.clone(), self.took.clone(), self.length);
        let handle = async move {
            let begun = Instant::now();
            let (tell, told) = oneshot::channel();
            let was_empty = {
                let mut waiting = line.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.0.push_back((begun + length, tell));
                waiting.0.len() == 1
            };
            if was_empty {
                line.more.notify_one();
            }
            told.await.expect("the timer runs as long as the handler");
            took.0.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
            took.1.fetch_add(1, Ordering::Relaxed);
            call.all(ItemOutcome::Done)
        };
        handle.boxed()
    }

    fn stop(&self, _: JobId, _: u32) {}
}
