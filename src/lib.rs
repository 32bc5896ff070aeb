//! Daybook: durable cron, job queue and batch runner in one daemon.

#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod core;
pub mod demo;
pub mod engine;
pub mod error;
pub mod exec;
pub mod history;
pub mod journal;
pub mod workers;
