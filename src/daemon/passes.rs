//! Which passes of repair run: one at a time, and who asks for what runs already is told how that one ends. What a pass
//! does is in `sweep`.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

use crate::clock::{Clock, SystemClock};
use crate::core::repair::Report;
use crate::engine::Gone;

/// A pass that runs, or waits for its turn, and how it ends.
pub type Running = Shared<BoxFuture<'static, Result<Arc<Report>, Gone>>>;

/// The passes of one daemon.
pub struct Passes {
    /// The real one and the dry one that run, or wait for the other to end.
    running: Mutex<[Option<Running>; 2]>,
    /// Held while one runs.
    one: tokio::sync::Mutex<()>,
    /// When the last real one ended, by the time awake.
    ended: Mutex<Duration>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Passes {
    pub fn new() -> Arc<Passes> {
        Arc::new(Passes {
            running: Mutex::default(),
            one: tokio::sync::Mutex::new(()),
            ended: Mutex::new(SystemClock.now().awake),
        })
    }

    /// The pass of this kind that runs, or else this new one; and whether it ran already.
    pub fn begin(
        self: &Arc<Self>,
        dry_run: bool,
        pass: impl Future<Output = Result<Report, Gone>> + Send + 'static,
    ) -> (Running, bool) {
        let mut running = lock(&self.running);
        let place = &mut running[usize::from(dry_run)];
        if let Some(running) = place {
            return (running.clone(), true);
        }
        let this = self.clone();
        // A task of its own: it comes to its end whoever waits for it.
        let task = tokio::spawn(async move {
            let _one = this.one.lock().await;
            let report = AssertUnwindSafe(pass).catch_unwind().await.unwrap_or_else(|_| {
                // A bug of one pass, told where it panicked; the next one is a new one, also if nobody waits for this one.
                tracing::error!("a sweep has panicked");
                Err(Gone)
            });
            if !dry_run {
                *lock(&this.ended) = SystemClock.now().awake;
            }
            // From here on, who asks is not told of what has been: it may be that he has just broken something.
            lock(&this.running)[usize::from(dry_run)] = None;
            report.inspect(tell).map(Arc::new)
        });
        // It is cut off only with the whole daemon.
        let shared: Running = async { task.await.unwrap_or(Err(Gone)) }.boxed().shared();
        *place = Some(shared.clone());
        (shared, false)
    }

    /// The real pass that runs, if one does.
    pub fn real(&self) -> Option<Running> {
        lock(&self.running)[0].clone()
    }

    /// How long it is until the next one is due, `every` so often.
    pub fn due_in(&self, every: Duration) -> Duration {
        (*lock(&self.ended) + every).saturating_sub(SystemClock.now().awake)
    }
}

/// Logs what was found.
fn tell(report: &Report) {
    let (door, dry_run) = (report.door.name(), report.dry_run);
    for finding in &report.findings {
        let (invariant, subject) = (&*finding.invariant, &*finding.subject);
        let (explanation, action) = (&*finding.explanation, &*finding.action);
        tracing::info!(invariant, subject, explanation, action, door, dry_run, "sweep found something");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(number: u32) -> Result<Report, Gone> {
        Ok(Report { found: number, ..Report::default() })
    }

    #[tokio::test]
    async fn who_asks_while_one_runs_joins_it_and_who_asks_later_gets_a_new_one() {
        let passes = Passes::new();
        let (first, joined) = passes.begin(false, found(1));
        assert!(!joined);
        let (second, joined) = passes.begin(false, found(2));
        assert!(joined);
        let (dry, joined) = passes.begin(true, found(3));
        assert!(!joined, "a dry one does not stand in for a real one");
        let found_by = |report: Result<Arc<Report>, Gone>| report.map_or(0, |report| report.found);
        assert_eq!((found_by(first.await), found_by(second.await), found_by(dry.await)), (1, 1, 3));
        assert_eq!(found_by(passes.begin(false, found(4)).0.await), 4);
    }

    #[tokio::test]
    async fn one_that_panics_while_nobody_waits_stands_in_nobodys_way() {
        let passes = Passes::new();
        drop(passes.begin(false, async { panic!("a bug") }));
        // It is at its end once the other kind, which waits for it, has had its turn.
        assert!(passes.begin(true, found(1)).0.await.is_ok());
        let (next, joined) = passes.begin(false, found(2));
        assert!(!joined, "the next asker gets a sweep");
        assert_eq!(next.await.map(|report| report.found).ok(), Some(2));
    }
}
