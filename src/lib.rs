//! # Daybook: durable cron, job queue and batch runner in one daemon
//!
//! The daemon is a **pure state machine behind a journal**:
//!
//! ```text
//!  socket, CLI ───────┐  commands                          ┌─▶ replies (only after the flush)
//!  timers, clock ─────┼──▶ engine: decide ─▶ journal ─▶ apply ─┼─▶ effects: start, stop
//!  attempts' reports ─┘   (pure)     append+flush   (pure)     └─▶ feed: followers, history
//! ```
//!
//! ## Map
//! | place | what lives there |
//! |---|---|
//! | [`core`] | what is decided: commands, events, state, schedules, repair. Pure |
//! | [`engine`] | the sole owner of the state: gather, commit, release; recovery, checkpoints |
//! | [`journal`] | commits and checkpoints on disk: the trait, sled, memory |
//! | [`history`] | projections behind the journal: a store of rows, found by term or time |
//! | `disk` | one sled directory, opened and used safely; the two above stand on it |
//! | [`exec`] | attempts as processes: gives each to a shim, adopts those of an earlier daemon, keeps outputs |
//! | [`shim`] | the process that looks after one attempt at a time and outlives the daemon |
//! | [`database`] | named databases: addresses, connections with time-outs, causes of errors |
//! | [`workers`] | the built-in periodic handlers, statements of `sql`, calls of `http` |
//! | [`control`] | the API on the socket: server, client, error codes |
//! | [`cli`] | a file per subcommand |
//! | [`config`] | keys, files, checks, differences |
//! | [`daemon`] | wiring: start, stop, signals, housekeeping, `journal verify` |
//! | [`repair`] | the invariants of repair that need files and processes; those of the state are in the core |
//! | [`demo`] | what `daybook demo` works on |
//! | [`clock`] | the only reader of the machine's clocks |
//! | `descriptors` | keeps some file descriptors for the disk |
//!
//! ## Words
//! A **task** is a named definition in the config. A **job** is one durable piece of work of a task; an
//! **attempt** is one execution of it. A **schedule** creates jobs; an **occurrence** is one instant of
//! it. The **journal** is the ordered record of every change of state; **history** is finished jobs.
//! A **sweep** is one repair pass. A **handler** is what a task runs; a **worker** is a built-in one.
//!
//! ## Invariants
//! - `core` imports nothing else of ours, and neither clocks, randomness, I/O nor async: the same commands at
//!   the same instants give the same bytes. `tests/tidy.rs` holds it.
//! - Nobody is told of a change before it is flushed; nothing is started before its start is flushed.
//! - Nothing outside `engine` changes the state. What is applied has been journaled, or the daemon ends.
//! - Replay evaluates no schedule: the instants that were decided are in the events.
//! - Events have numbers that are never reused; what was written can be read by every later version.
//! - Only `disk` knows of sled. The journal never deletes row by row.
//! - Only `clock` reads clocks, only `exec` and `shim` start processes, only `daemon` wires.
//! - Every input has a bound in [`core::limits`] or beside the config's keys.

#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod core;
pub mod daemon;
pub mod database;
pub mod demo;
mod descriptors;
mod disk;
pub mod engine;
pub mod error;
pub mod exec;
pub mod history;
pub mod journal;
pub mod logging;
pub mod repair;
pub mod shim;
pub mod workers;
