//! `passivate-users` on real servers, beside other connections that write the same rows; on SQLite where the three are
//! to behave the same. What is special to SQLite is tested beside the worker's code.

#[path = "../crash/client.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod client;
#[path = "../crash/daemon.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod daemon;
#[path = "../support/servers/mod.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod servers;

mod faults;
mod index;
mod killed;
mod site;
mod tables;
mod writers;
