//! Power cuts at random moments, under load and while a daemon starts.

use crate::check::{TASKS, check, finish};
use crate::load::{Caller, Told};
use crate::machine::{Machine, Random, rounds_and_random};

const ROUNDS: u64 = 6;
/// After so many cuts a new disk is taken, so that what is looked at stays small.
const ROUNDS_PER_DISK: u64 = 6;
const DISK_MEGABYTES: u64 = 256;
/// Clients that add one job a call, and clients that add many.
const SINGLE_CALLERS: u64 = 6;
const BULK_CALLERS: u64 = 2;
const JOBS_PER_CALL: u64 = 40;
/// Jobs that one client has run in one round.
const RUN_PER_ROUND: u64 = 6;

fn callers(random: &mut Random) -> Vec<Caller> {
    let caller = |name: u64| {
        let per_call = if name < SINGLE_CALLERS { 1 } else { JOBS_PER_CALL };
        let filler = "f".repeat(random.below(300) as usize);
        Caller::new(name.to_string(), per_call, RUN_PER_ROUND, filler, random.below(u64::MAX))
    };
    (0..SINGLE_CALLERS + BULK_CALLERS).map(caller).collect()
}

#[test]
fn what_was_acknowledged_is_there_once_after_power_cuts_at_any_moment() {
    let (rounds, mut random) = rounds_and_random(ROUNDS);
    let mut done = 0;
    while done < rounds {
        let Some(machine) = Machine::new(TASKS, DISK_MEGABYTES) else { return };
        let (told, mut callers) = (Told::default(), callers(&mut random));
        let here = ROUNDS_PER_DISK.min(rounds - done);
        for _ in 0..here {
            cut(&machine, &told, &mut callers, &mut random);
        }
        done += here;
        let daemon = machine.start();
        assert!(told.added.lock().unwrap().len() as u64 > 20 * here, "that is no load");
        finish(daemon, &told);
        println!("{done} cuts");
    }
}

/// One round: what was told before is there; then the power goes.
fn cut(machine: &Machine, told: &Told, callers: &mut [Caller], random: &mut Random) {
    let mut daemon = machine.launch();
    // Sometimes it is gone while the daemon starts.
    if random.below(4) == 0 {
        std::thread::sleep(random.millis(250));
        return machine.lose_power(daemon);
    }
    daemon.wait_ready();
    check(&daemon, told);
    machine.place.verify();
    told.during(callers, &machine.place.socket(), || {
        std::thread::sleep(random.millis(1500));
        machine.lose_power(daemon);
    });
}
