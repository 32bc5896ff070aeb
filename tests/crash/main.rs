//! The built daemon as the world treats it: killed, stopped, asked too much of, its disk damaged or full.
//! A module for each behaviour; `daemon` starts and ends it, `client` talks to it.

mod client;
mod daemon;

mod adopted;
mod batches;
mod batches_torture;
mod checkpoint;
mod damage;
mod disk;
mod drained;
mod execution;
mod history;
mod interrupted;
mod kill;
mod leftovers;
mod many;
mod missed;
mod quarantine;
mod second;
mod stop;
mod torture;
