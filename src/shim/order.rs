//! What the daemon tells a shim: everything about one attempt. Handed over as an open file and read once; both are of the
//! same version, as the daemon starts its own program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;

use rustix::fs::MemfdFlags;
use serde::{Deserialize, Serialize};

use crate::core::codec;
use crate::core::id::JobId;
use crate::exec::Spec;

/// An attempt to look after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub job: JobId,
    /// Counted from 1.
    pub attempt: u32,
    pub spec: Spec,
    /// The whole environment of the job.
    pub environment: BTreeMap<String, OsString>,
    /// Where its output goes; made when the first byte comes.
    pub output: PathBuf,
    /// The cgroup to make for the job, below one that is ours; none where there is no such.
    pub cgroup: Option<PathBuf>,
    /// The folder to make for the job's temporary files, its `TMPDIR`.
    pub temporary: Option<PathBuf>,
    /// Where to put what the job leaves in its `DAYBOOK_RESULT`; none if that is the place itself.
    pub result: Option<PathBuf>,
}

/// Where a job's standard input comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// Nothing: `/dev/null`.
    #[default]
    Null,
    /// The job's arguments as JSON, as in `DAYBOOK_ARGS`.
    Args,
    /// A file, opened as the job's user.
    File(PathBuf),
    /// The items of a chunk, one JSON value a line.
    Text(String),
}

/// Whom a job runs as, looked up when it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// All supplementary groups.
    pub groups: Vec<u32>,
}

/// A bound of `setrlimit(2)`; none is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    pub soft: Option<u64>,
    pub hard: Option<u64>,
}

/// A priority for disks, as `ionice(1)` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Io {
    pub class: IoClass,
    /// 0 (first) to 7, for all but `Idle`.
    pub level: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IoClass {
    RealTime,
    BestEffort,
    Idle,
}

impl Order {
    /// A file in memory that holds the order.
    ///
    /// # Errors
    /// When there is no memory or no descriptor for it.
    pub fn hand_over(&self) -> io::Result<File> {
        let mut bytes = Vec::new();
        codec::put(self, &mut bytes).map_err(io::Error::other)?;
        let mut file = File::from(rustix::fs::memfd_create(c"daybook-order", MemfdFlags::CLOEXEC)?);
        file.write_all(&bytes)?;
        file.rewind()?;
        Ok(file)
    }

    /// Where the daemon looks for the job's result.
    pub(super) fn result_path(&self) -> Option<PathBuf> {
        self.result.clone().or_else(|| self.environment.get("DAYBOOK_RESULT").map(PathBuf::from))
    }

    /// Reads what was handed over.
    ///
    /// # Errors
    /// When it is no order of this version.
    pub fn read(mut from: impl Read) -> io::Result<Order> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        codec::take(&mut bytes.as_slice()).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::Program;

    #[test]
    fn an_order_is_read_as_it_was_written() {
        let order = Order {
            job: JobId(7),
            attempt: 2,
            spec: Spec::new(Program::Shell("true".into())),
            environment: [("LANG".to_owned(), OsString::from("C"))].into(),
            output: "/x".into(),
            cgroup: None,
            temporary: None,
            result: None,
        };
        assert_eq!(Order::read(order.hand_over().unwrap()).unwrap(), order);
        assert!(Order::read(&b"no order"[..]).is_err());
    }
}
