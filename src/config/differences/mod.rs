//! What a reload changes, told in words. Values that may be secrets are named and not shown.

mod batch;
mod handler;
mod words;

pub use words::{after_restart, differences};
