//! Power cuts while the journal is switched to a new generation, and while a checkpoint is written.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::check::{TASKS, check, finish};
use crate::daemon::until;
use crate::load::{Caller, Told};
use crate::machine::{Machine, Random, rounds_and_random};

/// Each adds some 64 MiB of arguments, which is when a checkpoint is due, and takes ten seconds or so.
const ROUNDS: u64 = 2;
/// After so many cuts a new disk is taken.
const ROUNDS_PER_DISK: u64 = 4;
const DISK_MEGABYTES: u64 = 1024;
/// Just below the bound of a job's arguments.
const FILLER_BYTES: usize = 60 * 1024;
const JOBS_PER_CALL: u64 = 50;
/// How long after the first sign of it the cut comes, at most: about what the rest takes, and a little more.
const SWITCH_MILLIS: u64 = 40;
const WRITE_MILLIS: u64 = 2000;

/// Letters that are as hard to compress as `variety` says: 1 is always the same, 64 is six bits of noise in each.
fn filler(random: &mut Random, variety: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..FILLER_BYTES).map(|_| char::from(LETTERS[random.below(variety) as usize])).collect()
}

/// Generations or checkpoints, and what is to become one.
fn folders(root: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(root).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with("head")).collect()
}

#[test]
fn nothing_is_lost_when_the_cut_comes_amid_a_checkpoint_or_a_new_generation() {
    let (rounds, mut random) = rounds_and_random(ROUNDS);
    let mut done = 0;
    while done < rounds {
        let Some(machine) = Machine::new(TASKS, DISK_MEGABYTES) else { return };
        let told = Told::default();
        let filler = filler(&mut random, [2, 64][(done / ROUNDS_PER_DISK % 2) as usize]);
        let fat = Caller::new("fat", JOBS_PER_CALL, 0, filler, random.below(u64::MAX));
        let lean = (0..4u64).map(|name| Caller::new(name.to_string(), 1, 4, String::new(), name));
        let mut callers: Vec<Caller> = lean.chain([fat]).collect();
        let here = ROUNDS_PER_DISK.min(rounds - done);
        for round in 0..here {
            cut(&machine, &told, &mut callers, &mut random, round % 2 == 0);
        }
        done += here;
        finish(machine.start(), &told);
        println!("{done} cuts");
    }
}

/// One round: what was told before is there; then the power goes, when a generation or a checkpoint has begun or
/// soon after.
fn cut(machine: &Machine, told: &Told, callers: &mut [Caller], random: &mut Random, at_switch: bool) {
    let daemon = machine.start();
    check(&daemon, told);
    let (folder, delay) = match at_switch {
        true => ("journal", random.millis(SWITCH_MILLIS)),
        false => ("checkpoint", random.millis(WRITE_MILLIS)),
    };
    let folder = machine.place.state().join(folder);
    let before = folders(&folder);
    told.during(callers, &machine.place.socket(), || {
        until("something new is made", || (!folders(&folder).is_subset(&before)).then_some(()));
        std::thread::sleep(delay);
        let found = folders(&folder);
        machine.lose_power(daemon);
        // It may have been completed meanwhile, but not given up.
        assert!(!found.is_subset(&before), "{found:?}");
        println!("cut at {found:?}");
    });
}
