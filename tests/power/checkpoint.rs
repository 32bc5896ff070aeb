//! Power cuts while the journal is switched to a new generation, and while a checkpoint is written.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::check::{TASKS, check, finish};
use crate::daemon::until;
use crate::load::{Caller, Told};
use crate::machine::{Machine, Random, rounds_and_random};

const ROUNDS: u64 = 4;
/// After so many cuts a new disk is taken: each adds some 64 MiB of arguments, which is when a checkpoint is due.
const ROUNDS_PER_DISK: u64 = 4;
const DISK_MEGABYTES: u64 = 1024;
/// Just below the bound of a job's arguments.
const FILLER_BYTES: usize = 60 * 1024;
const JOBS_PER_CALL: u64 = 50;
/// How long after the first sign the cut comes, at most: about what the rest takes, and a little more.
const SWITCH_MILLIS: u64 = 40;
const WRITE_MILLIS: u64 = 3000;

/// Letters that are as hard to compress as `variety` says: 1 is one letter, 64 is six bits of noise in each.
fn filler(random: &mut Random, variety: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..FILLER_BYTES).map(|_| LETTERS[random.below(variety) as usize] as char).collect()
}

/// Waits until something in `folder` was not there before, and has not been seen to be complete.
fn wait_for_new(folder: &Path, before: &[String]) {
    let is_new = |name: &String| !before.contains(name);
    until("something new is made", || names(folder).iter().any(is_new).then_some(()));
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn nothing_is_lost_when_the_cut_comes_amid_a_checkpoint_or_a_new_generation() {
    let (rounds, mut random) = rounds_and_random(ROUNDS);
    let mut done = 0;
    while done < rounds {
        let Some(machine) = Machine::new(TASKS, DISK_MEGABYTES) else { return };
        let told = Told::default();
        let mut callers: Vec<Caller> = Vec::new();
        let here = ROUNDS_PER_DISK.min(rounds - done);
        for round in 0..here {
            if round == 0 {
                let filler = filler(&mut random, [2, 64][(done / ROUNDS_PER_DISK % 2) as usize]);
                let fat = Caller::new("fat", JOBS_PER_CALL, 0, filler, random.below(u64::MAX));
                let lean = (0..4).map(|name: u64| Caller::new(name.to_string(), 1, 4, String::new(), name));
                callers = lean.chain([fat]).collect();
            }
            cut(&machine, &told, &mut callers, &mut random, round % 2 == 0);
        }
        done += here;
        finish(machine.start(), &told);
        println!("{done} cuts");
    }
}

/// One round: what was told before is there; then the power goes, when the journal has been switched or soon after.
fn cut(machine: &Machine, told: &Told, callers: &mut [Caller], random: &mut Random, at_switch: bool) {
    let daemon = machine.start();
    check(&daemon, told);
    let (folder, delay): (_, Duration) = match at_switch {
        true => (machine.place.state().join("journal"), random.millis(SWITCH_MILLIS)),
        false => (machine.place.state().join("checkpoint"), random.millis(WRITE_MILLIS)),
    };
    let t = std::time::Instant::now();
    told.during(callers, &machine.place.socket(), || {
        let before: Vec<String> = names(&folder).into_iter().collect();
        wait_for_new(&folder, &before);
        std::thread::sleep(delay);
        println!(
            "{:?} {:?} {:?}",
            t.elapsed(),
            names(&machine.place.state().join("journal")),
            names(&machine.place.state().join("checkpoint"))
        );
        machine.lose_power(daemon);
    });
    machine.place.verify();
}
