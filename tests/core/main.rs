//! The core as tables of text: commands in, expected events out. `world.rs` is the only file that touches the API.
//!
//! `UPDATE=1 cargo test --test core` writes what happens into the tables; read the difference before keeping it.

#[path = "../sim/random.rs"]
mod random;

mod batches;
mod codec;
mod compatibility;
mod lifecycle;
mod samples;
mod show;
mod tables;
mod words;
mod world;
