//! The sole owner of the state: commands in, one commit for many, answers and orders out after the flush.
//!
//! Nothing outside changes the state; nothing in here runs a process or answers HTTP.

pub mod calendar;
pub mod machine;
pub mod release;
