//! The built-in workers: periodic handlers that run inside the daemon.
//!
//! A worker is given all it may use in a [`Context`], and its settings as a plain struct. It knows
//! nothing of the engine, of how a job is stored or of the config file: whoever runs it plugs
//! closures into the context. Reading the clock, opening output files and retrying are not done here.

pub mod clean_logs;
mod context;
mod error;
mod http;
mod passivate_users;
mod sql;

use std::future::Future;
use std::pin::Pin;

pub use clean_logs::CleanLogs;
pub use context::{Cancelled, Context, LineSink, ProgressSink};
pub use error::Error;
pub use http::Http;
pub use passivate_users::{Columns, PassivateUsers};
pub use sql::{Sql, stream_items};

/// The names that `worker = "..."` knows.
pub const NAMES: [&str; 2] = [passivate_users::NAME, clean_logs::NAME];

/// A run of a worker: its result as JSON, at most a few hundred bytes, or why it ended early.
pub type Run<'a> = Pin<Box<dyn Future<Output = Result<serde_json::Value, Error>> + Send + 'a>>;

/// A built-in periodic handler. One value may run several times, also at once.
pub trait Worker: Send + Sync {
    /// The name in the config: one of [`NAMES`].
    fn name(&self) -> &'static str;

    /// Starts one run. It looks for cancellation between its chunks and then ends with
    /// [`Error::Cancelled`]. Dropping the future is safe at any point: what is done stays done,
    /// an open transaction is rolled back, and the next run goes on from there.
    fn run(&self, context: Context) -> Run<'_>;
}
