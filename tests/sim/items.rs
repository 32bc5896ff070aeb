//! Batches as the executor sees them: runs that ask for items, calls that handle them, and what a crash leaves of these.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daybook::core::command::{Answer, Command, Ending, ItemEnd, ItemOutcome, ItemRun};
use daybook::core::effect::AdvanceItem;
use daybook::core::id::JobId;
use daybook::core::rejection::Rejection;
use daybook::core::state::State;
use daybook::core::state::batch::Batch;

use crate::clients;
use crate::executor::{Executor, Report};
use crate::random::Random;

/// A call for an item, or a chunk of them.
#[derive(Clone, Debug)]
pub struct Call {
    /// The things that it is about, and the place of each.
    items: Vec<(Box<str>, u32)>,
    advance: bool,
    /// How it ended, once the engine has been told, and until that is on disk.
    ended: Option<Vec<ItemEnd>>,
}

/// What the runs of batches know.
#[derive(Default)]
pub struct Items {
    /// The attempt of each batch that runs.
    runs: BTreeMap<JobId, u32>,
    pub calls: BTreeMap<(JobId, u32), Call>,
    /// What is held by single jobs.
    held: BTreeMap<JobId, Box<str>>,
}

impl Items {
    /// Notes that a thing is being handled, which nobody else may be doing.
    fn hold(&self, key: &str, by: &str) {
        let other = self
            .calls
            .iter()
            .find(|(_, call)| call.ended.is_none() && call.items.iter().any(|(held, _)| **held == *key));
        assert!(other.is_none(), "{by} handles `{key}`, and so does {other:?}");
        let other = self.held.iter().find(|(_, held)| ***held == *key);
        assert!(other.is_none(), "{by} handles `{key}`, and so does {other:?}");
    }

    pub fn hold_job(&mut self, job: JobId, key: &str) {
        self.hold(key, &format!("job {job}"));
        self.held.insert(job, key.into());
    }

    pub fn release_job(&mut self, job: JobId) {
        self.held.remove(&job);
    }

    /// The handlings that a new daemon finds alive, or ended: some of those that this one knew.
    pub fn survivors(&self, state: &State, random: &mut Random) -> BTreeMap<(JobId, u32), Call> {
        let calls = self.calls.iter();
        let known =
            calls.filter(|((job, run), _)| state.batch(*job).is_some_and(|it| it.in_run(*run).next().is_some()));
        known.filter(|_| random.once_in(2)).map(|(key, call)| (*key, call.clone())).collect()
    }
}

impl Executor {
    pub fn start_batch(&mut self, (job, attempt): (JobId, u32), state: &State, now: Duration, random: &mut Random) {
        let before = self.items.runs.insert(job, attempt);
        let is_loaded = state.batch(job).is_some_and(|batch| batch.loaded);
        let mut at = now;
        if !is_loaded {
            if before == Some(attempt) && self.obedient && !random.once_in(10) {
                return; // it reads
            }
            for _ in 0..random.below(4) {
                at += self.a_while(random, 500);
                let items = clients::items(random);
                self.tell(at, Command::AddItems { job, attempt: Some(attempt), items });
            }
            if !self.obedient && random.once_in(4) {
                let ending = Ending::Failed { error: "cannot read the items".into() };
                return self.report(at, Report::End { job, attempt, ending });
            }
            self.tell(at, Command::LoadBatch { job, attempt: Some(attempt), add: None });
        }
        self.report(at, Report::Ask { job, attempt, want: 1 + random.below(3) as u32 });
        if !self.obedient && random.once_in(8) {
            let at = at + self.a_while(random, 60_000);
            let ending = Ending::Failed { error: "timed out".into() };
            self.report(at, Report::End { job, attempt, ending });
        }
    }

    fn a_while(&self, random: &mut Random, max: u64) -> Duration {
        Duration::from_millis(if self.obedient { 0 } else { random.below(max) })
    }

    /// What the engine said to a run that asked.
    pub fn answered(
        &mut self,
        (job, attempt): (JobId, u32),
        answer: Result<Answer, Rejection>,
        state: &State,
        now: Duration,
        random: &mut Random,
    ) {
        let is_over = self.items.runs.get(&job) != Some(&attempt);
        match answer {
            Ok(Answer::Items { runs, .. }) => {
                for run in runs {
                    self.begin(job, run, false, state, now, random);
                }
                if is_over {
                    // It came too late for this run: nothing of it has begun.
                    return self.give_back(job, now, |call| !call.advance);
                }
                let at = now + Duration::from_millis(1) + self.a_while(random, 2_000);
                self.report(at, Report::Ask { job, attempt, want: random.below(4) as u32 });
            }
            Ok(_) | Err(_) if is_over => {}
            Ok(_) | Err(_) => drop(self.items.runs.remove(&job)),
        }
    }

    pub fn advance(&mut self, advance: AdvanceItem, state: &State, now: Duration, random: &mut Random) {
        let run = ItemRun { run: advance.run, items: vec![advance.item] };
        self.begin(advance.job, run, true, state, now, random);
    }

    fn begin(&mut self, job: JobId, run: ItemRun, advance: bool, state: &State, now: Duration, random: &mut Random) {
        let key = |batch: &Batch, text: &str| batch.key(text);
        let batch = state.batch(job).expect("a batch with items under way is there");
        let items: Vec<(Box<str>, u32)> = run.items.iter().map(|it| (key(batch, &it.text), it.place)).collect();
        for (key, _) in &items {
            self.items.hold(key, &format!("run {} of batch {job}", run.run));
        }
        let known = self.items.calls.insert((job, run.run), Call { items, advance, ended: None });
        assert!(known.is_none(), "run {} of batch {job} comes twice", run.run);
        self.go_on((job, run.run), now, random);
    }

    /// A call goes on to its end; some never end by themselves.
    fn go_on(&mut self, key: (JobId, u32), now: Duration, random: &mut Random) {
        if !self.obedient && random.once_in(20) {
            return;
        }
        let Some(call) = self.items.calls.get(&key) else { return };
        let is_lost = !self.obedient && random.once_in(15);
        let outcome = |random: &mut Random| match (self.obedient, is_lost) {
            (true, _) => ItemOutcome::Done,
            (false, true) => ItemOutcome::Returned,
            (false, false) if random.once_in(4) => ItemOutcome::Failed { error: "exit code 1".into() },
            (false, false) => ItemOutcome::Done,
        };
        let end = |(_, item): &(Box<str>, u32), random: &mut Random| ItemEnd {
            item: *item,
            run: key.1,
            outcome: outcome(random),
        };
        let ends: Vec<ItemEnd> = call.items.iter().map(|item| end(item, random)).collect();
        let most = if random.once_in(10) { 30_000 } else { 3_000 };
        let at = now + self.a_while(random, most);
        self.report(at, Report::Handled { job: key.0, ends });
    }

    /// Calls are cut off: their items are to do again.
    fn give_back(&mut self, job: JobId, now: Duration, which: impl Fn(&Call) -> bool) {
        let calls = self.items.calls.range((job, 0)..=(job, u32::MAX));
        let cut: Vec<Vec<ItemEnd>> = calls
            .filter(|(_, call)| call.ended.is_none() && which(call))
            .map(|((_, run), call)| {
                let back =
                    |(_, item): &(Box<str>, u32)| ItemEnd { item: *item, run: *run, outcome: ItemOutcome::Returned };
                call.items.iter().map(back).collect()
            })
            .collect();
        for ends in cut {
            self.report(now, Report::Handled { job, ends });
        }
    }

    /// A run ends from outside: what goes on of it is cut off, and then it is over.
    pub fn end_run(&mut self, (job, attempt): (JobId, u32), ending: Ending, now: Duration) {
        if self.items.runs.get(&job) == Some(&attempt) {
            self.items.runs.remove(&job);
            self.give_back(job, now, |call| !call.advance);
            self.tell(now, Command::ReportEnded { job, attempt, ending });
        }
    }

    /// The engine is being told how a call ended. `false`: it was told already.
    pub fn handled(&mut self, job: JobId, ends: &[ItemEnd]) -> bool {
        let call = ends.first().and_then(|end| self.items.calls.get_mut(&(job, end.run)));
        let Some(call) = call.filter(|call| call.ended.is_none()) else { return false };
        call.ended = Some(ends.to_vec());
        true
    }

    /// How a call ended is on disk.
    pub fn forget(&mut self, job: JobId, run: u32) {
        self.items.calls.remove(&(job, run));
    }

    /// Takes over calls of an earlier daemon: those that had ended are told again.
    pub fn adopt(&mut self, calls: BTreeMap<(JobId, u32), Call>, now: Duration, random: &mut Random) {
        for (key, mut call) in calls {
            let ended = call.ended.take();
            self.items.calls.insert(key, call);
            match ended {
                Some(ends) => self.report(now, Report::Handled { job: key.0, ends }),
                None => self.go_on(key, now, random),
            }
        }
    }

    /// Everything that goes on ends well, soon.
    pub fn finish_calls(&mut self, now: Duration, random: &mut Random) {
        let going: BTreeSet<(JobId, u32)> =
            self.items.calls.iter().filter(|(_, call)| call.ended.is_none()).map(|(key, _)| *key).collect();
        for key in going {
            self.go_on(key, now, random);
        }
    }
}
