//! `daybook shim` as a process, with the test in the place of the daemon: it makes the run file and the order, starts
//! the shim, and looks at the run file afterwards. Each module is named after a behaviour.
//!
//! The jobs that do all they can to escape are files in `jobs/`. They run in a pid namespace of their own, so that one
//! which does escape is seen there and dies with it.

mod bench;
mod disk;
mod enters;
mod escapes;
mod inherits;
mod limits;
mod noted;
mod output;
mod set_uid;
mod shutdown;
mod stops;
