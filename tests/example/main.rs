//! The life of `etc/examples/client-auth`, as it is shipped: 1,000 clients in a real database, whose authentication is
//! turned on, modified and turned off by the built daemon, through all that may happen meanwhile. On SQLite, PostgreSQL
//! and MariaDB; servers are started by `support/servers`, without which their tests say that they are skipped.

#[path = "../sql/base.rs"]
#[macro_use]
#[allow(dead_code, reason = "what other targets need of it")]
mod base;
#[path = "../crash/client.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod client;
#[path = "../crash/daemon.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod daemon;
#[path = "../support/servers/mod.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod servers;

mod site;

mod groups;
mod life;
mod overrides;
mod population;
mod processes;
mod repairs;
mod things;
