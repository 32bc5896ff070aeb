//! The daemon's loop over a simulated world: gather into one commit while another is in flight, release what waited
//! for a commit once it is on disk, and stop, be killed and start again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook::clock::{Clock, Now, SimulatedClock};
use daybook::core::command::{AddJob, Answer, Command};
use daybook::core::effect::Effect;
use daybook::core::id::{JobId, Seq};
use daybook::core::policy::TaskPolicy;
use daybook::core::rejection::Rejection;
use daybook::core::state::{Durable, picture};
use daybook::core::time::Timestamp;
use daybook::engine::machine::{Machine, Sealed};
use daybook::engine::recover::{Projections, recover};
use daybook::engine::release::Release;
use daybook::journal::{Disk, Epoch, Journal, Keep, MemoryJournal};

use crate::checks::{self, Model};
use crate::clients::{self, Ask, Config};
use crate::executor::Executor;
use crate::laws;
use crate::past::Past;
use crate::random::Random;
use crate::sweep::Pass;

/// 2026-01-01T00:00:00Z.
const BEGIN: Timestamp = Timestamp(1_767_225_600_000);

/// What happens in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything, also a clock that is set back.
    Lively,
    /// The clock is never set back, so no instant can come twice.
    Forward,
    /// As before; and at every append the disk is cut, and what is recovered from it lives on for a while.
    Cut,
    /// What lives on after a cut.
    Branch,
}

/// What a client was told, once its commit was on disk.
#[derive(Clone, Debug)]
pub enum Told {
    Added {
        job: JobId,
        created: bool,
        key: Option<Box<str>>,
    },
    Cancelled(JobId),
    /// Its items are to come.
    Opened {
        job: JobId,
        add: Box<AddJob>,
    },
    /// Anything else: it counts for the hash.
    Other(#[expect(dead_code, reason = "shown, and so hashed, by Debug")] String),
}

/// What a run of a batch is told, once it is on disk.
pub enum Answered {
    Next {
        job: JobId,
        attempt: u32,
        answer: Result<Answer, Rejection>,
    },
    /// How a call ended.
    Known {
        job: JobId,
        run: u32,
    },
}

/// A commit on its way to the disk, and the state as of it.
struct Flight {
    sealed: Sealed,
    picture: Durable,
}

/// What becomes of a commit that is in flight when the daemon is killed.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Lost,
    /// Its last parts are missing.
    Torn(usize),
    There,
}

pub struct World {
    mode: Mode,
    pub random: Random,
    clock: SimulatedClock,
    pub config: Config,
    pub machine: Machine,
    journal: MemoryJournal,
    pub past: Past,
    flight: Option<Flight>,
    pub executor: Executor,
    /// The sweep that runs.
    pass: Option<Pass>,
    pub model: Model,
    /// What runs of batches are answered, once it is on disk.
    pub answered: Arc<Mutex<Vec<Answered>>>,
    /// Batches whose items are still to come, and what their job is to be.
    pub opened: Vec<(JobId, AddJob)>,
    pub told: Arc<Mutex<Vec<Told>>>,
    /// A picture that is being written: its checksum, and in how many steps it is done.
    checkpoint: Option<(Durable, u64, u64)>,
    boots: u32,
    hash: u64,
}

impl World {
    pub fn new(seed: u64, mode: Mode) -> World {
        let mut random = Random::new(seed ^ 0xdab0_0000);
        let config = clients::config(&mut random);
        let (journal, _) = MemoryJournal::open(Disk::default()).unwrap();
        let mut world = World {
            mode,
            clock: SimulatedClock::at(BEGIN + Duration::from_millis(random.below(100_000))),
            random,
            config,
            machine: Machine::new(Default::default(), true),
            journal,
            past: Past::default(),
            flight: None,
            executor: Executor::default(),
            pass: None,
            model: Model::default(),
            answered: Arc::default(),
            opened: Vec::new(),
            told: Arc::default(),
            checkpoint: None,
            boots: 0,
            hash: 0,
        };
        world.boot(Disk::default(), true, Executor::default());
        world
    }

    /// Lives for so many steps, comes to rest, and returns a hash of all that was stored, told and ordered.
    pub fn live(mut self, steps: usize) -> u64 {
        for _ in 0..steps {
            self.step();
        }
        self.rest();
        checks::at_the_end(&self.model, self.past.rows(), self.mode != Mode::Lively);
        self.hash
    }

    pub fn now(&self) -> Now {
        self.clock.now()
    }

    pub fn note(&mut self, bytes: &[u8]) {
        self.hash = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.hash);
    }

    fn step(&mut self) {
        match self.random.below(40) {
            0..=15 => {
                let last = self.machine.state().scalars().last_job;
                let asks = (0..1 + self.random.below(4))
                    .map(|_| clients::ask(&mut self.random, &self.config, last, self.clock.now().wall))
                    .collect();
                self.turn(asks);
            }
            16..=27 => self.wait(),
            28..=31 => self.land(),
            32 => self.past.flush(),
            33 => drop(self.journal.upkeep().mark_head().unwrap()),
            34 => self.picture(),
            35 => {
                let keep = Keep { after: self.past.applied(), since: Timestamp(i64::MAX), bytes_max: 0 };
                self.journal.upkeep().drop_before(keep).unwrap();
            }
            36 => self.disturb_the_clock(),
            37 if self.random.once_in(3) => self.stop(),
            38 if self.random.once_in(2) => {
                let fate = *self.random.pick(&[Fate::Lost, Fate::Torn(1), Fate::Torn(2), Fate::There]);
                self.kill(fate);
            }
            _ => self.turn(vec![Ask::Look]),
        }
        self.write_picture();
        if self.random.once_in(2) {
            self.land();
        }
    }

    /// Lets time pass, mostly up to the instant when something is to be done.
    fn wait(&mut self) {
        let now = self.now();
        let timer = self.machine.state().next_due().map(|due| due.since(now.wall));
        let report = self.executor.next().map(|at| at.saturating_sub(now.awake));
        let next = timer.into_iter().chain(report).min().unwrap_or(Duration::from_secs(1));
        let most = Duration::from_millis(match self.random.below(12) {
            0 => self.random.below(150_000), // the engine was kept from its work
            1..=3 => self.random.below(1_000),
            _ => 20_000,
        });
        self.clock.pass(if self.random.once_in(12) { most } else { next.min(most) });
        self.turn(Vec::new());
    }

    fn disturb_the_clock(&mut self) {
        let most = *self.random.pick(&[2_000, 100_000, 20_000_000]);
        let length = self.random.below(most) as i64;
        match self.random.below(3) {
            0 => self.clock.suspend(Duration::from_millis(length as u64 / 50)),
            1 if self.mode == Mode::Lively => self.clock.step(-length),
            _ => self.clock.step(length / 50),
        }
        self.turn(Vec::new());
    }

    /// One turn of the loop: reports and asks are gathered, and committed unless a commit is in flight.
    fn turn(&mut self, asks: Vec<Ask>) {
        let reports = self.executor.due(self.now().awake);
        if self.flight.is_some() && asks.is_empty() && reports.is_empty() {
            return;
        }
        self.machine.begin(self.clock.now());
        reports.into_iter().for_each(|report| self.report(report));
        for ask in asks {
            self.perform(ask);
        }
        self.sweep();
        if self.flight.is_none() {
            self.seal();
        }
    }

    /// The next slice of the sweep that runs; now and then one begins.
    fn sweep(&mut self) {
        if self.pass.is_none() && self.random.once_in(25) {
            self.pass = Some(Pass::begin(&mut self.machine, self.random.once_in(4)));
        }
        match self.pass.take().map(|pass| pass.step(&mut self.machine)) {
            Some(Ok(pass)) => self.pass = Some(pass),
            Some(Err(report)) => checks::healthy(&report),
            None => {}
        }
    }

    /// Ends the gathering. A commit with events goes on its way; one without waits for nothing.
    fn seal(&mut self) {
        let Some(sealed) = self.machine.seal() else { return };
        if sealed.events == 0 {
            return self.release(sealed.release);
        }
        let picture = self.machine.state().picture();
        if sealed.seq.0.is_multiple_of(4) {
            laws::of_state(self.machine.state());
        }
        self.flight = Some(Flight { sealed, picture });
    }

    /// The commit in flight gets to the disk, and what waited for it is let out.
    fn land(&mut self) {
        let Some(flight) = self.flight.take() else { return };
        let before = (self.mode == Mode::Cut).then(|| self.journal.disk());
        let Flight { sealed, picture } = flight;
        append(&mut self.journal, &sealed);
        self.note(&sealed.payload);
        if let Some(before) = before {
            let mut torn = self.journal.disk();
            torn.tear(1 + self.random.below(3) as usize);
            self.branch(before, self.model.clone());
            self.branch(torn, self.model.clone());
        }
        self.model.take(&sealed, picture);
        if self.mode == Mode::Cut {
            self.branch(self.journal.disk(), self.model.clone());
        }
        self.release(sealed.release);
        // What was gathered meanwhile goes next.
        self.turn_around();
    }

    fn turn_around(&mut self) {
        if self.machine.is_gathering() {
            self.seal();
        }
    }

    fn release(&mut self, mut release: Release) {
        assert!(release.seq <= self.journal.tip().seq, "commit {} is let out and not on disk", release.seq);
        self.past.append(release.seq, release.at, std::mem::take(&mut release.rows)).unwrap();
        self.machine.released(release.seq);
        let awake = self.now().awake;
        for effect in release.effects.drain(..) {
            self.note(format!("{effect:?}").as_bytes());
            match effect {
                Effect::StartAttempt(start) => {
                    self.model.start(start.job, start.attempt);
                    self.start(start.job, start.attempt);
                }
                Effect::StopAttempt { job, attempt } => {
                    let is_batch = self.machine.state().job(job).is_some_and(|job| job.is_batch);
                    self.executor.stop((job, attempt), is_batch, awake, &mut self.random);
                }
                Effect::AdvanceItem(advance) => {
                    self.executor.advance(advance, self.machine.state(), awake, &mut self.random);
                }
            }
        }
        release.replies.drain(..).for_each(|reply| reply());
        self.hear_answers();
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        for told in told {
            self.note(format!("{told:?}").as_bytes());
            if let Told::Opened { job, add } = &told {
                self.opened.push((*job, (**add).clone()));
            }
            self.model.hear(told);
        }
    }

    /// Begins a checkpoint, as the engine does: between two commits, and the journal goes on in a new generation.
    fn picture(&mut self) {
        if self.flight.is_some() || self.machine.gathered_bytes() > 0 || self.checkpoint.is_some() {
            return;
        }
        self.journal.rotate().unwrap();
        let picture = self.machine.state().picture();
        self.checkpoint = Some((picture, self.journal.tip().checksum, 1 + self.random.below(20)));
    }

    fn write_picture(&mut self) {
        let Some((picture, checksum, left)) = &mut self.checkpoint else { return };
        *left -= 1;
        if *left > 0 {
            return;
        }
        self.past.flush();
        let (head, mut chunks) = (picture::head(picture), picture::chunks(picture));
        self.journal.upkeep().put_checkpoint(picture.scalars.seq, *checksum, &head, &mut chunks).unwrap();
        drop(chunks);
        self.checkpoint = None;
    }

    fn stop(&mut self) {
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
    fn kill(&mut self, fate: Fate) {
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

    fn restart(&mut self, disk: Disk) {
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
    fn boot(&mut self, disk: Disk, rebooted: bool, before: Executor) {
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
    fn branch(&mut self, disk: Disk, model: Model) {
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
    fn rest(&mut self) {
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
    fn unfinished(&self) -> Vec<JobId> {
        let state = self.machine.state();
        let over = state.batches().filter(|(id, _)| state.job(*id).is_none());
        over.filter(|(id, _)| self.past.was_discarded(*id)).map(|(id, _)| id).collect()
    }
}

fn append(journal: &mut MemoryJournal, sealed: &Sealed) {
    assert_eq!(sealed.seq, Seq(journal.tip().seq.0 + 1));
    journal.append(Epoch(1), sealed.seq, sealed.at, sealed.events, &sealed.payload).unwrap();
}
