//! The invariants of repair that need the file system or the processes: those of `core::repair`, in the same shape.
//!
//! Each is a small function that finds, explains and proposes. What it proposes is a command, which the core decides
//! anew, or an act on a file. Nothing is touched that is not proven dead: the lock of the state folder says that no other
//! daemon is there, the executor which attempts are its own, the kernel which processes live.

pub mod attempts;
pub mod folder;
pub mod items;
pub mod leftovers;
pub mod outputs;
pub mod retention;

use std::fmt;

use crate::core::command::Command;
use crate::core::repair::Finding;

/// What mends something outside of the state.
pub enum Mend {
    /// Nothing that a sweep could do.
    None,
    Run(Command),
    /// Blocks. An error says why it is left as it is.
    Do(Box<dyn FnOnce() -> Result<(), String> + Send>),
}

impl fmt::Debug for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mend::None => f.write_str("None"),
            Mend::Run(command) => command.fmt(f),
            Mend::Do(_) => f.write_str("Do"),
        }
    }
}

/// A finding and what mends it.
#[derive(Debug)]
pub struct Proposal {
    pub finding: Finding,
    pub mend: Mend,
}

impl Proposal {
    fn new(invariant: &str, subject: impl Into<Box<str>>, explanation: String, action: &str, mend: Mend) -> Proposal {
        Proposal { finding: Finding::new(invariant, subject, explanation, action), mend }
    }

    fn act(
        invariant: &str,
        subject: impl Into<Box<str>>,
        explanation: String,
        action: &str,
        act: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> Proposal {
        Proposal::new(invariant, subject, explanation, action, Mend::Do(Box::new(act)))
    }
}
