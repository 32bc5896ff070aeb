//! What must hold of batches, their items and locks: of every state, and of every event.

use std::collections::{BTreeMap, BTreeSet};

use daybook::core::event::Event;
use daybook::core::id::JobId;
use daybook::core::lifecycle::JobState;
use daybook::core::state::State;
use daybook::core::state::batch::{Batch, Counts, ItemState};
use daybook::core::state::lock::{Holder, LockKey};

use crate::items::Call;

/// Of the state after a commit.
pub fn of_state(state: &State) {
    assert_eq!(*state, State::from_durable(state.picture()), "the index is not that of the state");
    let mut holders: BTreeMap<LockKey, Holder> = BTreeMap::new();
    let mut hold = |key: LockKey, holder: Holder| {
        let other = holders.insert(key.clone(), holder);
        assert!(other.is_none(), "{key} is held by {holder:?} and {other:?}");
        assert_eq!(state.index().holder(&key), Some(holder), "{key} is held, and nobody knows");
    };
    let mut groups: BTreeMap<&str, JobId> = BTreeMap::new();
    for job in state.jobs().iter().filter(|job| job.state == JobState::Running) {
        if let Some(lock) = &job.cold.rare().lock {
            hold(lock.clone(), Holder::Job(job.id));
        }
        if let Some(group) = state.batch(job.id).and_then(|batch| batch.group.as_deref()) {
            let other = groups.insert(group, job.id);
            assert!(other.is_none(), "batches {} and {other:?} of group `{group}` run at once", job.id);
        }
    }
    for (id, batch) in state.batches() {
        for (item, flight) in &batch.flights {
            let found = batch.items.get(*item).unwrap();
            assert_eq!(found.state, ItemState::Running, "item {item} of batch {id} is under way");
            let holder = Holder::Item { job: id, item: *item, advance: flight.advance };
            hold(LockKey::Thing(batch.key(found.text)), holder);
        }
        of_batch(state, id, batch);
    }
}

/// Of the state after a start: what is under way is what is kept of an earlier daemon.
pub fn taken_over(state: &State, kept: &BTreeMap<(JobId, u32), Call>) {
    for (id, batch) in state.batches() {
        let lost = batch.flights.values().find(|flight| !kept.contains_key(&(id, flight.run)));
        assert!(lost.is_none(), "nobody looks after {lost:?} of batch {id}");
    }
    let under_way = |(job, run): &(JobId, u32)| state.batch(*job).is_some_and(|it| it.in_run(*run).next().is_some());
    let forgotten = kept.keys().find(|key| !under_way(key));
    assert!(forgotten.is_none(), "{forgotten:?} goes on, and its items are to do");
}

fn of_batch(state: &State, id: JobId, batch: &Batch) {
    let mut counts = Counts::default();
    let mut keys = BTreeSet::new();
    for (place, item) in batch.items.from(0) {
        *match item.state {
            ItemState::Todo => &mut counts.todo,
            ItemState::Running => &mut counts.running,
            ItemState::Done => &mut counts.done,
            ItemState::Advanced => &mut counts.advanced,
            ItemState::Failed => &mut counts.failed,
            ItemState::Removed => &mut counts.removed,
            ItemState::Superseded => &mut counts.superseded,
        } += 1;
        let key = batch.key(item.text);
        assert_eq!(state.item_with_key(id, &key), Some(place), "`{key}` of batch {id} is not found");
        assert!(keys.insert(key), "batch {id} has an item twice");
    }
    assert_eq!(batch.counts, counts, "batch {id} counts wrong");
    assert_eq!(counts.total(), batch.items.len(), "batch {id}");
    assert_eq!(counts.running as usize, batch.flights.len(), "batch {id}: what runs is under way");
    let waiting = |item: u32| batch.items.get(item).is_some_and(|item| item.state == ItemState::Todo);
    assert!(batch.behind.iter().all(|item| waiting(*item) && *item < batch.cursor), "batch {id}: {:?}", batch.behind);
    assert!(batch.later.iter().all(|(_, item)| waiting(*item)), "batch {id}: {:?}", batch.later);
    let is_found = |item: u32| {
        item >= batch.cursor || batch.behind.contains(&item) || batch.later.iter().any(|(_, it)| *it == item)
    };
    let lost = batch.items.from(0).find(|(place, item)| item.state == ItemState::Todo && !is_found(*place));
    assert!(lost.is_none(), "batch {id} will never come to {lost:?}");
}

/// How many items of a batch need no more handling, from event to event.
#[derive(Default)]
pub struct Course {
    finished: BTreeMap<JobId, u32>,
}

impl Course {
    /// Of an event, and the state before it.
    pub fn before(&self, state: &State, event: &Event) {
        let expect = |job: JobId, items: &daybook::core::indices::Indices, states: &[ItemState]| {
            let batch = state.batch(job).unwrap_or_else(|| panic!("{event:?}: there is no such batch"));
            for item in items.iter() {
                let found = batch.items.get(item).unwrap_or_else(|| panic!("{event:?}: there is no such item"));
                assert!(states.contains(&found.state), "{event:?}: item {item} is {:?}", found.state);
            }
        };
        match event {
            Event::ItemsStarted(started) => {
                let states =
                    if started.advance { &[ItemState::Todo, ItemState::Failed][..] } else { &[ItemState::Todo] };
                expect(started.job, &started.items, states);
                let batch = state.batch(started.job).unwrap();
                assert!(batch.loaded && state.job(started.job).is_some(), "{event:?}: it is no time for that");
                assert!(started.first_run > batch.last_run, "{event:?}: a number comes twice");
            }
            Event::ItemsDone(done) => expect(done.job, &done.items, &[ItemState::Running]),
            Event::ItemsReturned(back) => expect(back.job, &back.items, &[ItemState::Running]),
            Event::ItemFailed(failed) => {
                expect(failed.job, &std::iter::once(failed.item).collect(), &[ItemState::Running])
            }
            Event::ItemsSkipped(skipped) => expect(skipped.job, &skipped.items, &[ItemState::Todo, ItemState::Failed]),
            Event::JobCompleted(completed) => {
                if let Some(batch) = state.batch(completed.job) {
                    assert!(batch.loaded && batch.counts.left() == 0, "{event:?}: {:?} are left", batch.counts);
                }
            }
            Event::BatchDropped(dropped) => {
                assert!(state.job(dropped.job).is_none(), "{event:?}: its job is there");
                assert!(state.batch(dropped.job).is_some_and(|batch| batch.flights.is_empty()), "{event:?}");
            }
            _ => {}
        }
    }

    /// Of the state after a commit.
    pub fn after(&mut self, state: &State) {
        for (id, batch) in state.batches().filter(|(_, batch)| batch.loaded) {
            let before = self.finished.insert(id, batch.counts.finished()).unwrap_or(0);
            assert!(batch.counts.finished() >= before, "batch {id} had {before} finished: {:?}", batch.counts);
        }
    }
}

/// When all has come to rest.
pub fn at_the_end(state: &State, ends: &BTreeMap<JobId, Vec<JobState>>) {
    for (id, batch) in state.batches() {
        assert!(batch.flights.is_empty(), "items of batch {id} are under way for ever");
        let end = ends.get(&id).and_then(|ends| ends.last());
        match end {
            Some(JobState::Completed) => assert_eq!(batch.counts.left(), 0, "batch {id} has completed"),
            Some(JobState::Cancelled) => {}
            other => panic!("batch {id} is over and {other:?}"),
        }
    }
}
