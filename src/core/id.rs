//! Newtypes of the numbers that name things, with how they are parsed and shown.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = String;
            /// Parses a plain decimal number.
            fn from_str(text: &str) -> Result<Self, String> {
                text.parse().map($name).map_err(|_| format!("`{text}` is not {}", $what))
            }
        }
    };
}

number! {
    /// A job's number: given once, in the order of adding, from 1.
    JobId(u64), "a job number"
}
number! {
    /// A task's number: given when its name is first seen in the config, and kept for ever.
    TaskId(u32), "a task number"
}
number! {
    /// The number of a commit in the journal: 1, 2, 3, ... without a gap.
    Seq(u64), "a commit number"
}

impl Seq {
    /// The number of the commit that follows.
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}
