//! Projections behind the journal: rows that are only ever added, found again by term or by
//! time, and dropped a whole partition at a time. Finished jobs are one store, occurrences another.
//!
//! A [`Store`] knows nothing of jobs: a row is an instant, a few numbers under which it is found,
//! and bytes. Rows come in by commit, are visible at once from memory, and are written behind by
//! the store's own thread, together with the commit up to which the projection is complete
//! ([`Store::applied`]). What a crash took is handed in again from the journal, and changes
//! nothing that is there already.
//!
//! On disk (`DIR/<start ms>-<first commit>/`, each a sled directory of its own):
//! - rows lie in compressed chunks (`chunk`); the last one is rewritten until it is full;
//! - the index of the open partition is in memory, and packed when the partition is sealed (`index`);
//! - a sealed partition has a file `sealed` beside its database: what it spans, and a filter that
//!   says without touching the database which terms are not in it (`filter`);
//! - `DIR/applied` holds the commit reached while there is no open partition.
//!
//! Deleting a store's whole directory is always safe: it is projected again as far as the journal
//! reaches. No clock is read here: roll-over and retention go by the instants handed in.

mod buffer;
mod chunk;
mod codec;
mod error;
mod filter;
mod filters;
mod index;
mod locks;
mod partition;
mod read;
mod recover;
mod retain;
mod sealed;
mod store;
mod writer;

pub use error::Error;
pub use read::{Found, Rows};
pub use store::{Dropped, Options, Row, Stats, Store};
