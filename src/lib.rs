//! Daybook: durable cron, job queue and batch runner in one daemon.

pub mod clock;
pub mod core;
pub mod engine;
