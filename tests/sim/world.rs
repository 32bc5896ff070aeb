//! The daemon's loop over a simulated world: gather into one commit while another is in flight, release what waited
//! for a commit once it is on disk. How it is stopped, killed and started again stands in `lives.rs`.

mod lives;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook::clock::{Clock, Now, SimulatedClock};
use daybook::core::command::{AddJob, Answer};
use daybook::core::effect::Effect;
use daybook::core::id::{JobId, Seq};
use daybook::core::rejection::Rejection;
use daybook::core::state::{Durable, picture};
use daybook::core::time::Timestamp;
use daybook::engine::machine::{Machine, Sealed};
use daybook::engine::recover::Projections;
use daybook::engine::release::Release;
use daybook::journal::{Disk, Epoch, Journal, Keep, MemoryJournal};

use self::lives::Fate;
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
}

fn append(journal: &mut MemoryJournal, sealed: &Sealed) {
    assert_eq!(sealed.seq, Seq(journal.tip().seq.0 + 1));
    journal.append(Epoch(1), sealed.seq, sealed.at, sealed.events, &sealed.payload).unwrap();
}
