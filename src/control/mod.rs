//! The control API: HTTP/1.1 with JSON under `/v1` on a Unix socket, and its client.
//!
//! [`serve`] answers requests by asking a [`Service`], which the daemon implements (and the tests, in
//! memory). `wire` and `body` say what goes over the socket, `problem` lists every error code, `handlers`
//! holds a file for each group of routes. Nothing here knows the engine, the journal or a config file,
//! and nothing here decides: what may be done is the core's business.

pub mod batches;
mod body;
pub mod client;
mod follow;
mod handlers;
mod items;
mod lines;
mod live;
mod pages;
mod places;
pub mod problem;
mod query;
mod reply;
mod server;
pub mod service;
pub mod status;
pub mod wire;

pub use batches::Batches;
pub use places::CONNECTIONS_MAX;
pub use server::serve;
pub use service::{Refusal, Service};
