//! A disk that is full: the end is noted all the same, as there has been room for it from the beginning.

use std::path::Path;
use std::process::Command;

use daybook::exec::{Exit, Outcome};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::bench::{Bench, shell, skip};

/// An ext4 image on a loop device, mounted for this thread and what it starts, and gone with them.
fn mount(folder: &Path, megabytes: u64) -> Result<(), String> {
    // SAFETY: only `UnshareFlags::FILES` lets threads disagree about descriptors, and it is not asked for.
    #[expect(unsafe_code, reason = "rustix has no safe way to ask for a mount namespace")]
    let unshared = unsafe { unshare_unsafe(UnshareFlags::NEWNS) };
    unshared.map_err(|error| format!("cannot have mounts of its own (is this root?): {error}"))?;
    let image = folder.with_extension("image");
    let made = std::fs::File::create(&image).and_then(|file| file.set_len(megabytes << 20));
    made.map_err(|error| error.to_string())?;
    let script = "mount --make-rprivate / && mkfs.ext4 -q -F -m 0 \"$1\" && mount -o loop \"$1\" \"$0\"";
    let output = Command::new("sh").args(["-c", script]).args([folder, &image]).output().unwrap();
    // The device goes with its last mount.
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn the_exit_code_is_noted_and_the_output_counted() {
    let bench = Bench::new();
    if let Err(why) = mount(bench.folder.path(), 8) {
        std::fs::remove_file(bench.folder.path().with_extension("image")).ok();
        return skip(&why);
    }
    let order = bench.order(shell("cat /dev/zero >$FILL 2>/dev/null; head -c 300000 /dev/zero; exit 3"));
    let mut order = order;
    order.environment.insert("FILL".into(), bench.path("fill").into());
    let ended = bench.start(&order).ended();
    let umount = Command::new("umount").arg(bench.folder.path()).status();
    std::fs::remove_file(bench.folder.path().with_extension("image")).unwrap();
    assert!(umount.unwrap().success());
    assert_eq!(ended.outcome, Outcome::Failed { exit: Exit::Code(3) });
    assert_eq!(ended.output.kept + ended.output.dropped, 300_000, "{ended:?}");
    assert!(ended.output.dropped > 0, "{ended:?}");
    assert!(ended.notes.len() == 1 && ended.notes[0].contains("No space left"), "{ended:?}");
}
