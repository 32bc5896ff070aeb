//! Tasks of `sql` from outside: the built daemon, and each kind of database for real. SQLite is a file; PostgreSQL and
//! MariaDB are servers that this program starts (`support/servers`), without which their tests say that they are skipped.

#[path = "../crash/client.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod client;
#[path = "../crash/daemon.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod daemon;
#[path = "../support/servers/mod.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod servers;

mod arguments;
mod base;
mod deadlock;
mod ends;
mod items;
mod outage;
mod secrets;
mod statements;
