//! What a run has under way: calls, what is ready for the next ones, and ends that the engine has not been told.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::core::command::{ItemEnd, ItemOrder, ItemOutcome, ItemRun};
use crate::core::limits::ITEMS_PER_COMMAND_MAX;

/// Calls that are ready beyond those that go on, at most, for each place of a run but one: with one place, items are
/// handled strictly one after the other.
const AHEAD_MAX: u32 = 10;
/// After so long without an end of a call, those that are ready go back: what handles them may have come to a halt, and
/// meanwhile the batch may be paused, or its hours be over, or a person may want one of them.
const STALLED_AFTER: Duration = Duration::from_millis(250);

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
    /// When a call last ended, or the first of those that go on began.
    pub moved: Instant,
}

impl Under {
    pub fn new() -> Under {
        let (calls, going, waiting, ended) = (FuturesUnordered::new(), HashMap::new(), VecDeque::new(), Vec::new());
        Under { calls, going, waiting, ended, call_takes: 1.0, question_takes: 0.0, well: 0, moved: Instant::now() }
    }

    /// Calls to be ready beyond those that go on, so that none of their places is empty while the engine writes. By
    /// Little's law so many begin while one question is answered; what it brings has to last until the next one is
    /// answered as well, and some take longer: four times as many. For handlers that take long it is none. It is few
    /// after a failure, as too many of them end the run; and one commit takes them all.
    pub fn ahead(&self, concurrency: u32, chunk: u32) -> u32 {
        let begin = f64::from(concurrency) * self.question_takes / self.call_takes.max(1e-6);
        let others = concurrency - 1;
        let most = others.saturating_mul(AHEAD_MAX).min(ITEMS_PER_COMMAND_MAX as u32 / chunk.max(1));
        ((4.0 * begin) as u32).min(most).min(self.well.max(others))
    }

    /// Takes note of the end of a call.
    pub fn note(&mut self, ended: Ended) {
        self.moved = Instant::now();
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

    /// Ends to tell the engine in one question, those of a call together, and the calls: the rest is for the next one.
    pub fn take_ended(&mut self) -> (Vec<ItemEnd>, Vec<u32>) {
        let same = |at: usize| self.ended.get(at - 1).map(|end| end.run) == self.ended.get(at).map(|end| end.run);
        let cut = (ITEMS_PER_COMMAND_MAX..self.ended.len()).find(|at| !same(*at)).unwrap_or(self.ended.len());
        let rest = self.ended.split_off(cut);
        let ended = std::mem::replace(&mut self.ended, rest);
        let mut calls: Vec<u32> = ended.iter().map(|end| end.run).collect();
        calls.dedup();
        (ended, calls)
    }

    /// When those that are ready go back, if no call ends before.
    pub fn stalls_at(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then(|| self.moved + STALLED_AFTER)
    }

    /// Gives back what is ready if nothing has ended for long; a call takes so long, then.
    pub fn look_for_stall(&mut self) {
        if self.stalls_at().is_some_and(|at| at <= Instant::now()) {
            self.call_takes = self.call_takes.max(self.moved.elapsed().as_secs_f64());
            self.give_back(0);
        }
    }

    /// Those that have not begun are to do again, but for the first `kept` calls.
    pub fn give_back(&mut self, kept: u32) {
        let kept = self.waiting.len().min(kept as usize);
        for run in self.waiting.drain(kept..) {
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
        assert_eq!(after(1.0, 0.001, 1000).ahead(64, 1), 0, "a call takes a second");
        assert_eq!(after(0.001, 0.001, 1000).ahead(64, 1), 256);
        assert_eq!(after(0.0, 0.001, 1000).ahead(64, 1), 63 * AHEAD_MAX);
        assert_eq!(after(0.0, 0.001, 1000).ahead(64, 1000), 4, "no more items than fit in a commit");
        assert_eq!(after(0.0, 0.001, 1000).ahead(1, 1), 0, "one after the other");
    }

    #[test]
    fn a_call_that_fails_leaves_few_ready() {
        let mut under = after(0.001, 0.001, 1000);
        let ended = |outcome| Ended { run: 1, outcomes: vec![outcome], took: Duration::from_millis(1) };
        under.note(ended(ItemOutcome::Failed { error: "no".into() }));
        assert_eq!(under.ahead(64, 1), 63);
        (0..100).for_each(|_| under.note(ended(ItemOutcome::Done)));
        assert_eq!(under.ahead(64, 1), 100);
    }

    fn waiting(under: &mut Under, calls: u32, chunk: u32) {
        let item = |place: u32| ItemOrder { place, text: "x".into(), attempt: 1, params: None };
        let items = |run: u32| (run * chunk..(run + 1) * chunk).map(item).collect();
        under.waiting.extend((0..calls).map(|run| ItemRun { run, items: items(run) }));
    }

    #[test]
    fn what_is_ready_goes_back_when_nothing_ends() {
        let mut under = after(0.001, 0.001, 1000);
        waiting(&mut under, 5, 1);
        under.look_for_stall();
        assert_eq!((under.waiting.len(), under.ended.len()), (5, 0), "it has just begun");
        under.moved -= 2 * STALLED_AFTER;
        under.look_for_stall();
        assert_eq!((under.waiting.len(), under.ended.len()), (0, 5));
        assert_eq!((under.ahead(64, 1), under.stalls_at()), (0, None));
    }

    #[test]
    fn the_first_ones_stay_ready() {
        let mut under = after(0.001, 0.001, 1000);
        waiting(&mut under, 5, 2);
        under.give_back(3);
        assert_eq!(under.waiting.iter().map(|run| run.run).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(under.ended.iter().map(|end| end.item).collect::<Vec<_>>(), [6, 7, 8, 9]);
        under.give_back(9);
        assert_eq!(under.waiting.len(), 3);
    }

    #[test]
    fn a_question_tells_the_ends_of_whole_calls() {
        let mut under = after(0.001, 0.001, 1000);
        waiting(&mut under, 5, 1000);
        under.give_back(0);
        let (ended, calls) = under.take_ended();
        assert_eq!((ended.len(), calls), (5000, vec![0, 1, 2, 3, 4]));
        waiting(&mut under, 7, 1000);
        under.give_back(0);
        assert_eq!(under.take_ended().1, [0, 1, 2, 3, 4]);
        assert_eq!(under.take_ended().1, [5, 6]);
        assert_eq!(under.take_ended().1, [0_u32; 0]);
    }
}
