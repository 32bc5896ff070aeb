//! How a daemon of the simulated world ends, and how the next one begins: stops, kills, power cuts, and the rest at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daybook::clock::{Clock, SimulatedClock};
use daybook::core::command::Command;
use daybook::core::id::JobId;
use daybook::core::policy::TaskPolicy;
use daybook::engine::machine::Machine;
use daybook::engine::recover::recover;
use daybook::journal::{Disk, Journal, MemoryJournal};

use super::{Flight, Mode, World, append};
use crate::checks::{self, Model};
use crate::clients::{self, Ask};
use crate::executor::Executor;
use crate::laws;
use crate::random::Random;

/// What becomes of a commit that is in flight when the daemon is killed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Lost,
    /// Its last parts are missing.
    Torn(usize),
    There,
}

impl World {
    pub(super) fn stop(&mut self) {
        self.turn(vec![]);
        self.machine.begin(self.clock.now());
        self.machine.drain();
        self.land();
        self.machine.begin(self.clock.now());
        self.machine.close();
        while self.flight.is_some() || self.machine.is_gathering() {
            self.land();
            self.turn_around();
        }
        self.kill(Fate::Lost);
    }

    /// The daemon is gone, from one instant to the next, and some time later there is another.
    pub(super) fn kill(&mut self, fate: Fate) {
        if let Some(Flight { sealed, picture }) = self.flight.take() {
            match fate {
                Fate::Lost => {}
                Fate::Torn(parts) => {
                    append(&mut self.journal, &sealed);
                    let mut disk = self.journal.disk();
                    disk.tear(parts);
                    let (_, opened) = MemoryJournal::open(disk.clone()).unwrap();
                    assert!(opened.tip.seq < sealed.seq, "a torn commit is none");
                    return self.restart(disk);
                }
                Fate::There => {
                    append(&mut self.journal, &sealed);
                    self.model.take(&sealed, picture);
                }
            }
        }
        self.restart(self.journal.disk());
    }

    pub(super) fn restart(&mut self, disk: Disk) {
        self.past.crash();
        self.told.lock().unwrap().clear();
        self.answered.lock().unwrap().clear();
        self.opened.clear();
        self.flight = None;
        self.checkpoint = None;
        let before = std::mem::take(&mut self.executor);
        self.pass = None;
        self.clock.pass(Duration::from_millis(self.random.below(90_000)));
        let rebooted = self.random.once_in(3);
        self.boot(disk, rebooted, before);
    }

    /// `before`: what the executor of the last daemon knew; processes for items live on, unless the machine went down.
    pub(super) fn boot(&mut self, disk: Disk, rebooted: bool, before: Executor) {
        self.boots += u32::from(rebooted);
        let (journal, _) = MemoryJournal::open(disk).unwrap();
        self.journal = journal;
        let recovered = recover(&*self.journal.reader(), &*self.journal.upkeep(), &self.past).unwrap();
        checks::recovered(&self.model, &recovered.state, self.past.rows());
        self.machine = Machine::new(recovered.state, true);
        let earlier = self.machine.state().picture();
        let boot_id = format!("boot-{}", self.boots).into();
        let kept = match rebooted {
            true => BTreeMap::new(),
            false => before.items.survivors(self.machine.state(), &mut self.random),
        };
        let start = Command::StartDaemon {
            version: "0".into(),
            pid: 1,
            boot_id,
            found: BTreeMap::new(),
            items: kept.keys().copied().collect(),
        };
        let sweep = self.machine.boot(self.clock.now(), start, self.config.clone().into_iter().collect());
        let report = sweep.rest(&mut self.machine);
        checks::healthy(&report);
        checks::booted(&earlier, self.machine.state(), self.clock.now().wall);
        let awake = self.now().awake;
        laws::taken_over(self.machine.state(), &kept);
        self.executor.adopt(kept, awake, &mut self.random);
        self.seal();
        self.land();
    }

    /// The same world as a crash with this disk would leave it, for a short life of its own.
    pub(super) fn branch(&mut self, disk: Disk, model: Model) {
        let (journal, _) = MemoryJournal::open(Disk::default()).unwrap();
        let mut branch = World {
            mode: Mode::Branch,
            random: Random::new(self.random.next()),
            clock: SimulatedClock::at(self.now().wall),
            config: self.config.clone(),
            machine: Machine::new(Default::default(), true),
            journal,
            past: self.past.clone(),
            flight: None,
            executor: Executor::default(),
            pass: None,
            model,
            answered: Arc::default(),
            opened: Vec::new(),
            told: Arc::default(),
            checkpoint: None,
            boots: self.boots,
            hash: 0,
        };
        branch.restart(disk);
        branch.live(8);
    }

    /// Lets everything end: no more schedules, nobody asks, every attempt succeeds.
    pub(super) fn rest(&mut self) {
        self.executor.obedient = true;
        if self.mode == Mode::Cut {
            self.mode = Mode::Branch; // a branch of its own would bring back the schedule that is taken away here
        }
        self.config.extend(clients::missing(&self.config, &mut self.random));
        for policy in self.config.values_mut() {
            *policy = TaskPolicy { schedules: Vec::new(), queue_size: 1000, ..policy.clone() };
        }
        let config = self.config.clone();
        self.turn(Vec::new());
        self.land();
        let mut asks = vec![Ask::Reload(config.clone())];
        asks.extend(config.into_keys().map(Ask::Resume));
        self.turn(asks);
        self.abandon_all();
        let mut rounds = 0;
        while !self.machine.state().jobs().is_empty()
            || !self.unfinished().is_empty()
            || self.flight.is_some()
            || self.machine.is_gathering()
        {
            self.land();
            let state = self.machine.state();
            let held: Vec<JobId> = state.index().interrupted.iter().copied().collect();
            let running: Vec<(JobId, u32)> =
                state.durable().running.iter().map(|(id, running)| (*id, running.attempt)).collect();
            let awake = self.now().awake;
            for (job, attempt) in running {
                self.start_again(job, attempt);
            }
            self.executor.finish_calls(awake, &mut self.random);
            self.clock.pass(Duration::from_secs(10));
            let mut asks: Vec<Ask> = held.into_iter().map(Ask::Retry).collect();
            // It leaves a trace each time.
            asks.extend((!self.machine.state().jobs().is_empty()).then_some(Ask::Sweep { dry_run: false }));
            asks.extend(self.unfinished().into_iter().map(Ask::Retry));
            self.turn(asks);
            rounds += 1;
            let left = (self.machine.state().jobs().iter().next(), self.unfinished());
            assert!(rounds < 20_000, "it does not come to rest: {left:?}");
        }
        self.past.flush();
    }

    /// Batches that were given up, and not by a person.
    pub(super) fn unfinished(&self) -> Vec<JobId> {
        let state = self.machine.state();
        let over = state.batches().filter(|(id, _)| state.job(*id).is_none());
        over.filter(|(id, _)| self.past.was_discarded(*id)).map(|(id, _)| id).collect()
    }
}
