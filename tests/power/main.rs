//! The built daemon on a disk that loses its power, has no room left, or lets nobody write any more: nothing acknowledged is missing afterwards.
//!
//! The disk is an ext4 image on a loop device, in a mount namespace of the test's own: when the test ends in whatever way,
//! the mount and the loop device go with it. Its power is cut by the file system's own shutdown call, without
//! flushing its log, so that only what was made durable is there when it is mounted again.
//!
//! That takes root, loop devices, `mkfs.ext4`, `mount`, `findmnt` and `setpriv`. Where one is missing, the tests say so and pass;
//! with `CI=true` they fail instead. `DAYBOOK_POWER_ROUNDS` makes them longer, `DAYBOOK_POWER_SEED` another run.

// Starting, stopping and talking is the same as in the crash tests, which use all of it.
#[path = "../crash/client.rs"]
#[allow(dead_code, reason = "the crash tests use the rest")]
mod client;
#[path = "../crash/daemon.rs"]
#[allow(dead_code, reason = "the crash tests use the rest")]
mod daemon;

mod check;
mod checkpoint;
mod cut;
mod disk;
mod full;
mod load;
mod machine;
mod read_only;
