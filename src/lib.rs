//! Daybook: durable cron, job queue and batch runner in one daemon.

pub mod core;
pub mod history;
