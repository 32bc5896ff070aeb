//! The pages say what is: their configs pass the check, their command lines are understood, their examples are run,
//! their links lead somewhere.

#[path = "../crash/client.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod client;
#[path = "../crash/daemon.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod daemon;

mod commands;
mod configs;
mod events;
mod links;
mod next;
mod pages;
mod stories;
