//! Starts the shim of an attempt: makes its run file, locks it, and hands it over with the order.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::descriptors::{Purpose, are_short};
use crate::shim::program::plain;
use crate::shim::{self, Order, RunFile};

use super::adopt::{self, What};
use super::environment::Prepared;
use super::identity::Identity;
use super::processes::Shared;
use super::spec::Start;

/// What starts the program that this daemon is, also after its file has been replaced by a newer one.
pub const OWN_PROGRAM: &str = "/proc/self/exe";
/// How often a nursery may be killed over one start.
const TRIES: usize = 3;

/// The result of a job with a user, in its folder for temporary files.
const RESULT: &str = "daybook-result";

/// The shim of one attempt, as its daemon knows it.
#[derive(Debug)]
pub(super) struct Shim {
    pub pidfd: OwnedFd,
    /// None if it has ended already.
    pub identity: Option<Identity>,
}

/// Starts the shim of an attempt; none if it has ended by now. It blocks.
///
/// # Errors
/// A sentence for a person: nothing of the attempt was started.
pub(super) fn launch(shared: &Shared, start: &Start) -> Result<Option<Shim>, String> {
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
    for _ in 0..TRIES {
        match ask(shared, &order, &path) {
            Ok(shim) => return Ok(Some(shim)),
            Err(Refused::Gone) => {}
            // The run file stays until the end is on disk: it may be that of another attempt, which lives.
            Err(Refused::Not(why)) => return Err(why),
        }
        // Whether the nursery had made a shim before it was killed, the run file says.
        match adopt::look(&path) {
            Ok(What::NeverStarted) => {}
            Ok(What::Alive(alive)) => return Ok(Some(alive.0)),
            Ok(What::Ended | What::Lost(..) | What::Forged) => return Ok(None),
            Err(error) => return Err(format!("cannot read the run file `{}`: {}", path.display(), plain(&error))),
        }
    }
    Err("what starts processes is killed again and again".to_owned())
}

/// Why there is no shim.
enum Refused {
    /// The nursery was killed over it.
    Gone,
    Not(String),
}

fn ask(shared: &Shared, order: &Order, path: &Path) -> Result<Shim, Refused> {
    let cannot = |what: &str, error: io::Error| format!("cannot {what} `{}`: {}", path.display(), plain(&error));
    let turn = shared.nursery.turn();
    let run = RunFile::create(path).map_err(|error| Refused::Not(cannot("make the run file", error)))?;
    let order = order.hand_over().map_err(|error| Refused::Not(cannot("write the order for", error)))?;
    if are_short(&order, Purpose::Attempt) {
        return Err(Refused::Not(cannot("start the shim of", rustix::io::Errno::MFILE.into())));
    }
    match turn.ask(&order, &run) {
        Ok((number, pidfd)) => {
            let identity = Identity::of(number).ok().filter(|_| !has_ended(&pidfd));
            Ok(Shim { pidfd, identity })
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => Err(Refused::Gone),
        Err(error) => Err(Refused::Not(cannot("start the shim of", error))),
    }
}

/// Whether a process has ended: until then its number was its own.
pub(super) fn has_ended(pidfd: &OwnedFd) -> bool {
    let mut it = [PollFd::new(pidfd, PollFlags::IN)];
    rustix::event::poll(&mut it, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
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
