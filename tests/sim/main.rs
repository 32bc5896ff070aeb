//! The engine in a simulation: the real machine, journal format and recovery; a simulated clock, disk, history,
//! executor and clients. One seed decides everything, so a run can be repeated to the byte.
//!
//! | file | what lives there |
//! |---|---|
//! | `world.rs` | the daemon's loop, as `engine::run` has it, and what happens to it |
//! | `clients.rs` | what clients and operators ask for |
//! | `perform.rs` | how it is asked |
//! | `items.rs` | runs of batches, and calls that handle their items |
//! | `laws.rs` | what must hold of batches and locks, always |
//! | `executor.rs` | attempts that succeed, fail, hang, are slow, report twice or late |
//! | `past.rs` | the history in memory, which loses what it had not written |
//! | `checks.rs` | what must hold, after a crash and at the end |
//! | `random.rs` | numbers from the seed |
//! | `real_loop.rs` | the daemon's own loop, over a journal in memory |
//!
//! `DAYBOOK_SIM_SEEDS=1000 cargo test --test sim` runs more seeds. One that fails is printed: it belongs into `FOUND`.

mod checks;
mod clients;
mod executor;
mod items;
mod laws;
mod past;
mod perform;
mod random;
mod real_loop;
mod sweep;
mod world;

use world::{Mode, World};

/// Seeds that have failed once.
const FOUND: &[u64] = &[];
/// Runs with kills and stops in between.
const SEEDS: u64 = 40;
/// Runs in which the disk is cut at every append.
const SEEDS_CUT: u64 = 8;

fn seeds(count: u64, share: u64) -> impl Iterator<Item = u64> {
    let asked = std::env::var("DAYBOOK_SIM_SEEDS").ok().and_then(|count| count.parse::<u64>().ok());
    FOUND.iter().copied().chain(0..asked.map_or(count, |asked| asked.div_ceil(share)))
}

#[track_caller]
fn each(seeds: impl Iterator<Item = u64>, run: impl Fn(u64) -> u64 + std::panic::RefUnwindSafe) {
    for seed in seeds {
        let done = std::panic::catch_unwind(|| run(seed));
        assert!(done.is_ok(), "seed {seed} fails");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in 0..4 {
        let first = World::new(seed, Mode::Lively).live(400);
        assert_eq!(first, World::new(seed, Mode::Lively).live(400), "seed {seed}");
        assert_ne!(first, World::new(seed + 100, Mode::Lively).live(400), "seed {seed} decides nothing");
    }
}

#[test]
fn nothing_is_lost_and_nothing_is_twice_over_kills_and_stops() {
    each(seeds(SEEDS, 1), |seed| World::new(seed, Mode::Lively).live(500));
}

#[test]
fn every_instant_of_a_schedule_has_its_row() {
    each(seeds(SEEDS / 2, 2), |seed| World::new(seed, Mode::Forward).live(500));
}

#[test]
fn a_crash_at_any_flush_is_recovered_from() {
    each(seeds(SEEDS_CUT, 8), |seed| World::new(seed, Mode::Cut).live(150));
}
