//! One sled directory, opened and used safely; the only place that knows sled.
//!
//! Written against what sled 0.34.7 does, not what it says. The rules kept here, each of which was measured:
//! - `flush` ends in `sync_file_range`, which is not durable: an `fdatasync` on `<dir>/db`, through a handle of our own,
//!   follows ([`Database::sync`]). Neither fails on a file that was deleted, so its links are counted after that.
//! - Values stay within [`VALUE_BYTES_MAX`], or sled moves their leaf to a blob file that it never syncs.
//! - Nothing is flushed in the background.
//! - A kill during an opening leaves `snap.*.generating`, which makes the next one fail: those are removed before.
//! - sled panics on damage as often as it answers an error: panics are caught and become [`Error::Damaged`], those of
//!   closing as well ([`caught`]).
//! - A directory that was just closed stays locked for a moment by sled's own threads: opening waits.
//! - sled syncs no directory: a new one, what is in it and its parents are synced here ([`Database::sync_names`],
//!   [`directory`]).
//! - A directory is made under a name in `.new` and renamed when it is complete, and renamed to `.drop` before it is
//!   deleted, so a kill leaves nothing or a whole thing under its proper name.
//! - Deleting a large file at once stalls the commits beside it: it shrinks in steps of 32 MB.
//!
//! Nothing here knows what the keys and values mean, which is the business of `journal` and `history`.

mod caught;
mod database;
pub mod directory;
mod error;

#[cfg(test)]
mod tests;

pub use database::Database;
pub use error::{Error, FileError};

/// Bytes of a value at most. sled puts a leaf above an eighth of a megabyte (about twenty values) into a file of its
/// own which it never syncs, so this must stay small.
pub const VALUE_BYTES_MAX: usize = 6 * 1024;
