//! The API from outside: each route over a real socket, and what a client can get wrong.

#[path = "../support/mod.rs"]
mod support;

mod batches;
mod bulk;
mod connection;
mod live;
mod refusals;
mod routes;
mod things;
mod wire;

use support::Served;
use wire::{Connection, Reply};

/// One request on a connection of its own.
pub fn request(served: &Served, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    Connection::open(&served.socket).request(method, path, headers, body.as_bytes())
}

pub fn get(served: &Served, path: &str) -> Reply {
    request(served, "GET", path, &[], "")
}

pub fn post(served: &Served, path: &str, body: &str) -> Reply {
    request(served, "POST", path, &[("content-type", "application/json")], body)
}
