//! A place whose state is on a disk of its own, and daemons on it that die with their disk.

use std::io::{self, Write};
use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::daemon::{Daemon, Place, until};
use crate::disk::Disk;

/// Small and good enough: splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31) % bound
    }

    pub fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_micros(self.below(bound * 1000))
    }
}

/// The number in an environment variable.
pub fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// How many rounds there are to be, and where the randomness begins; both are told.
pub fn rounds_and_random(rounds: u64) -> (u64, Random) {
    let rounds = number_of("DAYBOOK_POWER_ROUNDS").unwrap_or(rounds);
    let seed = number_of("DAYBOOK_POWER_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("DAYBOOK_POWER_SEED={seed} DAYBOOK_POWER_ROUNDS={rounds}");
    (rounds, Random(seed))
}

/// The disk goes before the folder that it is in.
pub struct Machine {
    pub disk: Disk,
    pub place: Place,
}

impl Machine {
    /// `None`, and why, where this machine cannot have one; under CI that is a failure.
    #[track_caller]
    pub fn new(config: &str, megabytes: u64) -> Option<Machine> {
        let place = Place::new(config);
        match Disk::new(place.dir(), &place.state(), megabytes) {
            Ok(disk) => Some(Machine { disk, place }),
            Err(why) => {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "cannot run, which under CI is a failure: {why}");
                // Not by a macro, which would be captured: a test that passes without having run is to be seen.
                let _: io::Result<()> = writeln!(io::stderr(), "SKIPPED, nothing is tested: {why}");
                None
            }
        }
    }

    /// A daemon that may not answer yet. It is killed when the test is, as it would hold the disk for ever.
    pub fn launch(&self) -> Daemon<'_> {
        self.place.launch_limited("exec setpriv --pdeathsig KILL \"$0\" daemon --config \"$1\"")
    }

    #[track_caller]
    pub fn start(&self) -> Daemon<'_> {
        let mut daemon = self.launch();
        daemon.wait_ready();
        daemon
    }

    /// The power is cut: the daemon notices by itself and says that it is the disk. Then the machine boots.
    #[track_caller]
    pub fn lose_power(&self, mut daemon: Daemon<'_>) {
        self.disk.cut();
        let status = daemon.wait_exit();
        assert_eq!(status.code(), Some(74), "{status}");
        self.boot();
    }

    /// No process outlives its machine, and the disk has what was durable.
    pub fn boot(&self) {
        until("no job runs", || {
            // The shims first, as they start jobs.
            let mut left = self.place.shims();
            left.extend(self.place.job_processes());
            for pid in &left {
                // It may have ended meanwhile.
                let _: Result<(), _> = kill_process(*pid, Signal::KILL);
            }
            left.is_empty().then_some(())
        });
        self.disk.remount();
    }
}
