//! Starts the shim of an attempt: makes its run file, locks it, and hands it over with the order.
//!
//! The daemon may be large, so nothing runs between fork and exec (`posix_spawn`); all that is delicate about a job's
//! process is done by the shim, which is small.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::descriptors::{Purpose, are_short};
use crate::shim::program::plain;
use crate::shim::{self, Order, RunFile};

use super::environment::Prepared;
use super::identity::Identity;
use super::processes::Shared;
use super::spec::Start;

/// What starts the program that this daemon is, also after its file has been replaced by a newer one.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// The result of a job with a user, in its folder for temporary files.
const RESULT: &str = "daybook-result";

/// The shim of one attempt, as its daemon knows it.
#[derive(Debug)]
pub(super) struct Shim {
    pub pidfd: OwnedFd,
    /// The shim, if it is a child of ours: then it is to be reaped.
    pub child: Option<Child>,
    pub identity: Identity,
}

/// Starts the shim of an attempt. It blocks.
///
/// # Errors
/// A sentence for a person.
pub(super) fn launch(shared: &Shared, start: &Start) -> Result<Shim, String> {
    let result = shared.outputs.prepare(start.job, start.attempt).map_err(|error| error.to_string())?;
    let temporary = temporary_folder(start);
    // Another user may not write into the folder of outputs.
    let carried = temporary.as_ref().filter(|_| start.spec.run_as.is_some()).map(|folder| folder.join(RESULT));
    let told = carried.as_deref().unwrap_or(&result);
    let Prepared { spec, variables } = shared.environment.prepare(start, told, temporary.as_deref())?;
    let order = Order {
        job: start.job,
        attempt: start.attempt,
        spec,
        environment: variables,
        output: shared.outputs.path(start.job, start.attempt),
        cgroup: shared.cgroup(start.job, start.attempt),
        temporary,
        result: carried.is_some().then_some(result),
    };
    let path = shim::path(&shared.runs, start.job, start.attempt);
    let cannot = |what: &str, error: io::Error| format!("cannot {what} `{}`: {}", path.display(), plain(&error));
    let run = RunFile::create(&path).map_err(|error| cannot("make the run file", error))?;
    spawn(&shared.shim, &order, &run, &path).map_err(|error| {
        // Nothing of it was started.
        let _: io::Result<()> = std::fs::remove_file(&path);
        cannot("start the shim of", error)
    })
}

fn spawn(program: &Path, order: &Order, run: &RunFile, path: &Path) -> io::Result<Shim> {
    let order = order.hand_over()?;
    if are_short(&order, Purpose::Attempt) {
        return Err(rustix::io::Errno::MFILE.into());
    }
    let mut command = Command::new(program);
    command.arg0("daybook").arg("shim").arg(path).env_clear().current_dir("/");
    command.stdin(order).stdout(run.share()?).stderr(Stdio::null());
    let child = command.spawn()?;
    let identity = Identity::of(child.id())?;
    let pid = rustix::process::Pid::from_child(&child);
    // It is not reaped before its `child` is waited for, so the number is still its own.
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
    Ok(Shim { pidfd, child: Some(child), identity })
}

/// A folder of its own for the attempt's temporary files, unless the config names one; with a user always, for the
/// result. Nobody can guess its name, so nobody can make it before.
fn temporary_folder(start: &Start) -> Option<PathBuf> {
    if start.spec.run_as.is_none() && start.spec.env.contains_key("TMPDIR") {
        return None;
    }
    let chance = RandomState::new().hash_one((start.job, start.attempt));
    Some(std::env::temp_dir().join(format!("daybook-{}.{}-{chance:016x}", start.job, start.attempt)))
}
