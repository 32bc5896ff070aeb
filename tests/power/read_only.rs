//! A disk that lets nobody write any more: the daemon stops and says so, loses nothing, and goes on once it may write.

use crate::check::{TASKS, check, finish};
use crate::daemon::until;
use crate::load::{Caller, Told};
use crate::machine::Machine;

const DISK_MEGABYTES: u64 = 128;

fn callers() -> Vec<Caller> {
    (0..4u64).map(|name| Caller::new(name.to_string(), 1 + name * 5, 4, "f".repeat(200), name)).collect()
}

#[test]
fn a_disk_that_turns_read_only_stops_the_daemon_and_loses_nothing() {
    let Some(machine) = Machine::new(TASKS, DISK_MEGABYTES) else { return };
    let (told, mut callers) = (Told::default(), callers());
    let mut daemon = machine.start();
    let acknowledged = || told.added.lock().unwrap().len();
    let more = |what| {
        let before = acknowledged();
        until(what, || (acknowledged() > before + 20).then_some(()));
    };
    told.during(&mut callers, &machine.place.socket(), || {
        more("jobs are taken in");
        // The kernel takes no disk away from whom it has let write; a daemon that was asked about in vain goes on.
        let refused = machine.disk.ask_for_read_only().unwrap_err();
        assert!(refused.contains("busy"), "{refused}");
        more("jobs are still taken in");
        machine.disk.fail();
        let status = daemon.wait_exit();
        assert_eq!(status.code(), Some(74), "{status}");
    });
    let said = machine.place.log();
    assert!(said.contains("Read-only file system"), "{said}");
    drop(daemon);
    // As long as it may not write it does not come up, and says why.
    let said_before = said.len();
    let mut daemon = machine.launch();
    assert_eq!(daemon.wait_exit().code(), Some(74));
    let said = &machine.place.log()[said_before..];
    assert!(said.contains("Read-only file system"), "{said}");
    drop(daemon);
    machine.boot();
    let daemon = machine.start();
    check(&daemon, &told);
    told.during(&mut callers, &machine.place.socket(), || more("jobs are taken in again"));
    finish(daemon, &told);
}
