//! Starts an attempt: makes its run file, locks it, and gives it to a shim with the order.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;

use crate::descriptors::{Purpose, are_short};
use crate::shim::program::plain;
use crate::shim::{self, Order, RunFile};

use super::environment::Prepared;
use super::processes::Shared;
use super::shims::Shim;
use super::spec::Start;

/// What starts the program that this daemon is, also after its file has been replaced by a newer one.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// The result of a job with a user, in its folder for temporary files.
const RESULT: &str = "daybook-result";

/// Gives an attempt to a shim. It blocks, on a thread of the runtime.
///
/// # Errors
/// A sentence for a person: nothing of the attempt was started.
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
    let _turn = shared.nursery.turn();
    // It stays until the end is on disk, and whatever goes wrong: it may be that of another attempt, which lives.
    let run = RunFile::create(&path).map_err(|error| cannot("make the run file", error))?;
    let hand_over = || order.hand_over().map_err(|error| cannot("write the order for", error));
    let mut order = hand_over()?;
    if are_short(&order, Purpose::Attempt) {
        // What waits for another attempt takes no room from one that is to start.
        shared.nursery.empty();
        order = hand_over()?;
        if are_short(&order, Purpose::Attempt) {
            return Err(cannot("start the shim of", rustix::io::Errno::MFILE.into()));
        }
    }
    while let Some(shim) = shared.nursery.waiting(&start.task) {
        // Else it was killed while it waited.
        if shim.give(&order, &run).is_ok() {
            return Ok(shim);
        }
    }
    let shim = shared.nursery.make(&start.task).map_err(|error| cannot("start the shim of", error))?;
    shim.give(&order, &run).map_err(|error| cannot("start the shim of", error))?;
    Ok(shim)
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
