//! What a run has under way: calls, what is ready for the next ones, and ends that the engine has not been told.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::core::command::{ItemEnd, ItemOrder, ItemOutcome, ItemRun};

/// Calls that are ready beyond those that go on, at most, for each place of a run but one: with one place, items are
/// handled strictly one after the other.
const AHEAD_MAX: u32 = 8;

/// A call that has ended.
pub struct Ended {
    pub run: u32,
    pub outcomes: Vec<ItemOutcome>,
    pub took: Duration,
}

/// What is under way.
pub struct Under {
    pub calls: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// Items of each call.
    pub going: HashMap<u32, Vec<u32>>,
    /// On disk as begun, and not begun for lack of a place.
    pub waiting: VecDeque<ItemRun>,
    /// What the engine has not been told.
    pub ended: Vec<ItemEnd>,
    /// How long a call, and a question to the engine, takes, in seconds: the last ones count most.
    pub call_takes: f64,
    pub question_takes: f64,
    /// Calls that have gone well since one last failed.
    pub well: u32,
}

impl Under {
    pub fn new() -> Under {
        let (calls, going, waiting, ended) = (FuturesUnordered::new(), HashMap::new(), VecDeque::new(), Vec::new());
        Under { calls, going, waiting, ended, call_takes: 1.0, question_takes: 0.0, well: 0 }
    }

    /// Calls to be ready beyond those that go on, so that none of their places is empty while the engine writes. By
    /// Little's law so many begin while one question is answered; what it brings has to last until the next one is
    /// answered as well, and some take longer: three times as many. For handlers that take long it is none. It is few
    /// after a failure, as too many of them end the run.
    pub fn ahead(&self, concurrency: u32) -> u32 {
        let begin = f64::from(concurrency) * self.question_takes / self.call_takes.max(1e-6);
        let others = concurrency - 1;
        ((3.0 * begin) as u32).min(others.saturating_mul(AHEAD_MAX)).min(self.well.max(others))
    }

    pub fn note(&mut self, ended: Ended) {
        let places = self.going.remove(&ended.run).unwrap_or_default();
        let has_failed = ended.outcomes.iter().any(|outcome| matches!(outcome, ItemOutcome::Failed { .. }));
        self.well = if has_failed { 0 } else { self.well.saturating_add(1) };
        self.call_takes += (ended.took.as_secs_f64() - self.call_takes) / 8.0;
        let ends = places.into_iter().zip(ended.outcomes);
        self.ended.extend(ends.map(|(item, outcome)| ItemEnd { item, run: ended.run, outcome }));
    }

    /// Items that are under way as far as the engine knows.
    pub fn items(&self) -> u32 {
        let going: usize = self.going.values().map(Vec::len).sum();
        let waiting: usize = self.waiting.iter().map(|run| run.items.len()).sum();
        (going + waiting + self.ended.len()) as u32
    }

    /// Those that have not begun are to do again.
    pub fn give_back(&mut self) {
        for run in self.waiting.drain(..) {
            let returned =
                |item: &ItemOrder| ItemEnd { item: item.place, run: run.run, outcome: ItemOutcome::Returned };
            self.ended.extend(run.items.iter().map(returned));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(call_takes: f64, question_takes: f64, well: u32) -> Under {
        Under { call_takes, question_takes, well, ..Under::new() }
    }

    #[test]
    fn calls_are_ready_for_as_long_as_the_engine_writes() {
        assert_eq!(after(1.0, 0.001, 1000).ahead(64), 0, "a call takes a second");
        assert_eq!(after(0.001, 0.001, 1000).ahead(64), 192);
        assert_eq!(after(0.0, 0.001, 1000).ahead(64), 63 * AHEAD_MAX);
        assert_eq!(after(0.0, 0.001, 1000).ahead(1), 0, "one after the other");
    }

    #[test]
    fn a_call_that_fails_leaves_few_ready() {
        let mut under = after(0.001, 0.001, 1000);
        let ended = |outcome| Ended { run: 1, outcomes: vec![outcome], took: Duration::from_millis(1) };
        under.note(ended(ItemOutcome::Failed { error: "no".into() }));
        assert_eq!(under.ahead(64), 63);
        (0..100).for_each(|_| under.note(ended(ItemOutcome::Done)));
        assert_eq!(under.ahead(64), 100);
    }
}
