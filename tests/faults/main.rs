//! The built daemon while something that it stands on is gone: its state folder, free file descriptors, names of hosts.
//!
//! What needs a disk of its own (no room, no power, read-only) is in `tests/power`; databases that are down are in
//! `tests/sql` and `tests/passivate`; clocks that are set are in `tests/core/tables/clocks.txt` and `tests/sim`.

#[path = "../crash/client.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod client;
#[path = "../crash/daemon.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod daemon;

mod deleted;
mod descriptors;
mod names;
