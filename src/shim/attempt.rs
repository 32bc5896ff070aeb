//! One attempt from the order to the noted end: what it needs is made, its process is started, watched, and all of it
//! is cleared away. How the process is watched stands in `watch.rs`.

use std::fs::DirBuilder;
use std::io::{self, PipeReader};
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::Pid;

use super::cgroup::Cgroup;
use super::child::Main;
use super::enter::Answer;
use super::order::{Order, User};
use super::output::Output;
use super::program::cannot;
use super::run_file::{Ended, Marked, RunFile, Stragglers};
use super::signals::Signals;
use super::tree::Tree;
use super::watch::{Watch, asked};
use super::{child, drain, result, setup};
use crate::config::UMASK_DEFAULT;
use crate::core::limits;
use crate::exec::{Exit, Identity, Outcome, OutputSize, RESULT_DROPPED};

/// An end that cannot be noted is kept, and noted again every second, for so long: a disk may be full that copies on
/// every write.
const NOTE_TRIES: usize = 3600;
const NOTE_AGAIN: Duration = Duration::from_secs(1);
/// Bytes of a reason, of which each may take six in the run file.
const REASON_BYTES_MAX: usize = 900;
/// Bytes of the path of a folder for temporary files that is noted, to be removed if the shim is killed.
const TEMPORARY_BYTES_MAX: usize = 400;
/// Passes of killing after a panic.
const LAST_PASSES: usize = 200;

/// An attempt in the hands of its shim.
struct Attempt<'a> {
    order: Order,
    signals: &'a Signals,
    tree: Tree,
    notes: Vec<String>,
}

/// What `daybook shim` does, started by hand with an order and a run file as its standard streams.
pub(super) fn by_hand() -> ExitCode {
    setup::close_inherited();
    // Before anything else is done: until here a signal ends this process, as if it had never been started.
    let signals = Signals::listen();
    let starter = rustix::process::getppid();
    match setup::take_streams() {
        Ok((order, file)) => {
            let notes = setup::lead().into_iter().collect();
            let ended = run(Order::read(order), &file, starter, signals.as_ref(), notes);
            if ended.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => setup::refused(&error.to_string()),
    }
}

/// Looks after one attempt, and notes its end, which it answers; none if it could not be noted. `parent`: whoever ends
/// with the daemon. `notes`: what went wrong before.
pub(super) fn run(
    order: io::Result<Order>,
    run: &RunFile,
    parent: Option<Pid>,
    signals: Result<&Signals, &io::Error>,
    notes: Vec<String>,
) -> Option<Ended> {
    let ended = match (signals, order) {
        (Ok(signals), Ok(order)) => Attempt { order, signals, tree: Tree::new(), notes }.look_after(run),
        (Err(error), _) => not_started(format!("cannot listen to signals: {error}")),
        (_, Err(error)) => not_started(format!("the daemon's order cannot be read: {error}")),
    };
    for _ in 0..NOTE_TRIES {
        // With the daemon its nursery has gone, and our parent is another one.
        if run.end(&ended, rustix::process::getppid() != parent).is_ok() {
            return Some(ended);
        }
        std::thread::sleep(NOTE_AGAIN);
    }
    None
}

fn not_started(error: String) -> Ended {
    without_process(Outcome::NotStarted { error: limits::cut(error, REASON_BYTES_MAX) })
}

fn without_process(outcome: Outcome) -> Ended {
    Ended { outcome, output: OutputSize::default(), stragglers: Stragglers::default(), notes: Vec::new() }
}

impl Attempt<'_> {
    /// From start to end, whatever happens.
    fn look_after(mut self, run: &RunFile) -> Ended {
        let ended = catch_unwind(AssertUnwindSafe(|| self.attempt(run)));
        let mut ended = ended.unwrap_or_else(|_| {
            // What was read of the output is in its file.
            for _ in 0..LAST_PASSES {
                self.tree.reap();
                if self.tree.is_empty() {
                    break;
                }
                self.tree.kill();
                std::thread::sleep(Duration::from_millis(10));
            }
            let left = self.tree.living().len().try_into().unwrap_or(u32::MAX);
            let exit = Exit::Unknown { error: "what looked after it has panicked".to_owned() };
            let stragglers = Stragglers { count: left, names: Vec::new(), left };
            Ended { stragglers, ..without_process(Outcome::Failed { exit }) }
        });
        self.clear_away();
        ended.notes.append(&mut self.notes);
        ended
    }

    fn attempt(&mut self, run: &RunFile) -> Ended {
        self.signals.hear();
        if self.signals.any() {
            return without_process(asked(self.signals));
        }
        let (output, answer) = match self.start(run) {
            Ok(started) => started,
            Err(error) => return not_started(error),
        };
        let watch = Watch::new(&self.order.spec, self.signals, &mut self.tree, output);
        let (mut outcome, stragglers, mut output) = watch.run();
        // Unless it was ended before it could say so.
        if let Outcome::Failed { .. } | Outcome::Succeeded { .. } = outcome
            && let Some(why) = answer.and_then(Answer::read)
        {
            let error = limits::cut(cannot(&self.order.spec, why), REASON_BYTES_MAX);
            outcome = Outcome::NotStarted { error };
        }
        let (size, note) = output.finish();
        self.notes.extend(note);
        if stragglers.left > 0 && !self.order.spec.leave_background {
            self.notes.push(match stragglers.left {
                1 => "a process that it left behind could not be killed".to_owned(),
                left => format!("{left} processes that it left behind could not be killed"),
            });
        }
        if stragglers.left > 0
            && let Some(pipe) = output.into_open_pipe()
            && let Err(error) = self.signals.let_in(|| drain::start(pipe)).flatten()
        {
            self.notes.push(format!("processes that it left behind can print no more: {error}"));
        }
        Ended { outcome, output: size, stragglers, notes: Vec::new() }
    }

    /// Makes all that the job needs, and its process.
    fn start(&mut self, run: &RunFile) -> Result<(Output, Option<Answer>), String> {
        let cannot = |what: &str, error: io::Error| format!("cannot start: {what}: {error}");
        if let Some(folder) = &self.order.temporary {
            let made = make_temporary(folder, self.order.spec.user.as_ref());
            made.map_err(|error| cannot(&format!("its folder for temporary files, `{}`", folder.display()), error))?;
        }
        self.make_cgroup()?;
        let own = Identity::of(std::process::id()).map_err(|error| cannot("the shim's identity", error))?;
        let cgroup = self.tree.cgroup.as_ref().map(|cgroup| cgroup.path().to_owned());
        // A longer path than any that is made there would leave no room for the rest.
        let temporary = self.order.temporary.clone().filter(|folder| folder.as_os_str().len() <= TEMPORARY_BYTES_MAX);
        // From here on the work may have been done.
        run.mark(&Marked { shim: own, cgroup, temporary }).map_err(|error| cannot("its run file", error))?;
        let (pipe, Main { pid: main, answer }) = self.start_process()?;
        self.tree.begin(main);
        let main = main.as_raw_pid().unsigned_abs();
        // It is not reaped yet, so it is there.
        if let Err(error) = Identity::of(main).and_then(|identity| run.live(&identity)) {
            self.notes.push(format!("its process could not be noted: {error}"));
        }
        let output = Output::new(self.order.output.clone(), pipe, self.order.spec.output_max);
        Ok((output.expect("a pipe can be read without waiting"), answer))
    }

    /// The process, and the pipe that it prints to.
    fn start_process(&mut self) -> Result<(PipeReader, Main), String> {
        let (pipe, writer) = io::pipe().map_err(|error| format!("cannot start: no pipe for its output: {error}"))?;
        let is_inside = self.enter_cgroup()?;
        let preference = setup::lower_our_preference();
        let umask = self.order.spec.umask.unwrap_or(UMASK_DEFAULT);
        let ours = rustix::process::umask(Mode::from_raw_mode(umask));
        let spawned = self.signals.let_in(|| child::spawn(&self.order, writer));
        rustix::process::umask(ours);
        preference.inspect(|before| setup::restore_our_preference(before));
        if is_inside && let Some(cgroup) = &self.tree.cgroup {
            if let Err(error) = cgroup.leave() {
                // To end all that is in it would end us too.
                self.notes.push(format!("its cgroup is of no use, as the shim cannot leave it: {error}"));
                self.tree.cgroup = None;
            } else if let Err(error) = cgroup.bound(&self.order.spec) {
                self.notes.push(format!("it was killed, as its limits cannot be kept: {error}"));
                let _: io::Result<()> = cgroup.kill();
            }
        }
        Ok((pipe, spawned.map_err(|error| format!("cannot start: its signals: {error}"))??))
    }

    fn needs_cgroup(&self) -> bool {
        self.order.spec.memory_max.is_some() || self.order.spec.tasks_max.is_some()
    }

    fn make_cgroup(&mut self) -> Result<(), String> {
        let made = match &self.order.cgroup {
            Some(path) => Cgroup::make(path, &self.order.spec).map(Some),
            None if self.needs_cgroup() => Err(io::Error::other("there is no cgroup that it could be in")),
            None => Ok(None),
        };
        match made {
            Ok(cgroup) => self.tree.cgroup = cgroup,
            Err(error) => self.without_cgroup(error)?,
        }
        Ok(())
    }

    fn enter_cgroup(&mut self) -> Result<bool, String> {
        match self.tree.cgroup.as_ref().map(Cgroup::enter) {
            None => Ok(false),
            Some(Ok(())) => Ok(true),
            Some(Err(error)) => self.without_cgroup(error).map(|()| false),
        }
    }

    /// Goes on without a cgroup, unless the task has limits that need one.
    fn without_cgroup(&mut self, error: io::Error) -> Result<(), String> {
        if let Some(cgroup) = self.tree.cgroup.take() {
            cgroup.remove();
        }
        if self.needs_cgroup() {
            return Err(format!("cannot start: its limits on memory or tasks cannot be kept: {error}"));
        }
        self.notes.push(format!("it ran without a cgroup: {error}"));
        Ok(())
    }

    /// Removes what was made for the job.
    fn clear_away(&mut self) {
        if let Some(cgroup) = &self.tree.cgroup {
            match self.order.spec.memory_max.map_or(0, |_| cgroup.out_of_memory()) {
                0 => {}
                1 => self.notes.push("a process was killed as `memory_max` was reached".to_owned()),
                count => self.notes.push(format!("{count} processes were killed as `memory_max` was reached")),
            }
            cgroup.remove();
        }
        if let Err(why) = result::carry(&self.order) {
            self.notes.push(format!("{RESULT_DROPPED}: {why}"));
        }
        if let Some(folder) = &self.order.temporary
            && let Err(error) = remove_temporary(folder)
        {
            self.notes.push(format!("cannot remove its temporary files in `{}`: {error}", folder.display()));
        }
    }
}

/// Makes the folder, empty, for the job's user alone.
fn make_temporary(folder: &Path, user: Option<&User>) -> io::Result<()> {
    let make = || DirBuilder::new().mode(0o700).create(folder);
    match make() {
        // Of a shim that was killed before it could begin.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_dir_all(folder).and_then(|()| make())?
        }
        made => made?,
    }
    match user {
        None => Ok(()),
        Some(user) => std::os::unix::fs::lchown(folder, Some(user.uid), Some(user.gid)),
    }
}

/// Removes the folder with all that is in it. Most jobs leave nothing.
fn remove_temporary(folder: &Path) -> io::Result<()> {
    let removed = std::fs::remove_dir(folder).or_else(|_| std::fs::remove_dir_all(folder));
    removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
