//! Attempts as real processes: each module is named after a behaviour, and waits for what it asserts
//! (a report, a line of output, a file), never for time. No job in here starts more than a handful of processes.

mod background;
mod bench;
mod environment;
mod exits;
mod leftovers;
mod output;
mod result;
mod starts;
mod stops;
mod successors;
mod user;
