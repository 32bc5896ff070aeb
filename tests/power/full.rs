//! A disk without room: the daemon stops and says so, loses nothing, and goes on once there is room again.

use crate::check::{TASKS, check, finish};
use crate::daemon::{Daemon, until};
use crate::load::{Caller, Told};
use crate::machine::{Machine, Random, rounds_and_random};

const ROUNDS: u64 = 3;
const DISK_MEGABYTES: u64 = 64;
/// Bytes left when the load begins, at most.
const ROOM_BYTES: u64 = 6 << 20;
const FILLER_BYTES: usize = 8 * 1024;

/// Hard to compress.
fn filler(random: &mut Random) -> String {
    (0..FILLER_BYTES).map(|_| char::from(b' ' + 3 + random.below(80) as u8)).filter(|letter| *letter != '\\').collect()
}

#[test]
fn a_full_disk_stops_the_daemon_and_loses_nothing() {
    let (rounds, mut random) = rounds_and_random(ROUNDS);
    let Some(machine) = Machine::new(TASKS, DISK_MEGABYTES) else { return };
    let told = Told::default();
    let mut callers: Vec<Caller> = Vec::new();
    for round in 0..rounds {
        let daemon = machine.start();
        check(&daemon, &told);
        machine.disk.fill(random.below(ROOM_BYTES));
        callers = (0..4).map(|name| Caller::new(format!("{round}-{name}"), 1, 40, filler(&mut random), name)).collect();
        let said = told.during(&mut callers, &machine.place.socket(), || stops(&machine, daemon));
        assert!(says_why(&said), "{said}");
        // It does not come up as long as there is no room, or it does with what is left; it loses nothing by it.
        try_start(&machine);
        if random.below(2) == 0 {
            machine.disk.cut();
            machine.boot();
            try_start(&machine);
        }
        machine.disk.clear();
    }
    let daemon = machine.start();
    check(&daemon, &told);
    let before = told.added.lock().unwrap().len();
    told.during(&mut callers, &machine.place.socket(), || {
        until("jobs are taken in again", || (told.added.lock().unwrap().len() > before).then_some(()))
    });
    finish(daemon, &told);
}

fn says_why(said: &str) -> bool {
    said.contains("No space left") || said.contains("code: 28")
}

/// The daemon ends by itself; answers what it said.
#[track_caller]
fn stops(machine: &Machine, mut daemon: Daemon) -> String {
    let status = daemon.wait_exit();
    assert_eq!(status.code(), Some(74), "{status}");
    machine.place.log()
}

/// Starts a daemon on what may be too little room.
#[track_caller]
fn try_start(machine: &Machine) {
    let said_before = machine.place.log().len();
    let mut daemon = machine.launch();
    until("it is up, or has ended", || (!daemon.is_up() || machine.place.socket().exists()).then_some(()));
    if !daemon.is_up() {
        assert_eq!(daemon.wait_exit().code(), Some(74));
        let said = &machine.place.log()[said_before..];
        assert!(says_why(said), "{said}");
    }
}
