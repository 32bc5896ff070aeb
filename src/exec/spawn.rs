//! Makes a process of a [`Start`], and says in plain words why it cannot.
//!
//! Everything here keeps to what the standard library can do with `posix_spawn`, which does not copy the daemon's
//! page tables: no closure runs between fork and exec, and programs are looked up here instead of in the child.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use tokio::net::unix::pipe;
use tokio::process::Child;

use super::group::Group;
use super::identity::Identity;
use super::spec::Spec;
use crate::descriptors::{Purpose, are_short};
use crate::shim::program::{SHELL, diagnose, find, plain, words};

/// A process that has just been started.
pub(super) struct Spawned {
    pub child: Child,
    pub group: Group,
    pub identity: Identity,
    /// Its standard output and standard error, in the order in which they were written.
    pub output: pipe::Receiver,
}

/// Starts the process in a group of its own. It blocks, and needs the runtime's context.
///
/// # Errors
/// A sentence for a person.
pub(super) fn spawn(spec: &Spec, environment: BTreeMap<String, OsString>) -> Result<Spawned, String> {
    let words = words(spec);
    let Some(name) = words.first() else { return Err("cannot start: the command is empty".to_owned()) };
    let cannot = |why: String| format!("cannot start `{name}`: {why}");
    let path = environment.get("PATH").map(OsString::as_os_str).unwrap_or_default();
    let program = find(name, path, spec.cwd.as_deref()).map_err(cannot)?;

    let mut command = match spec.umask {
        None => {
            let mut command = Command::new(&program);
            command.arg0(name);
            command
        }
        Some(umask) => {
            let mut command = Command::new(SHELL);
            command.args(["-c", &format!("umask {:04o}; exec \"$@\"", umask & 0o777), SHELL]).arg(&program);
            command
        }
    };
    command.args(&words[1..]).env_clear().envs(environment).process_group(0);
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    let (reader, writer) = io::pipe().map_err(|error| cannot(plain(&error)))?;
    if are_short(&writer, Purpose::Attempt) {
        return Err(cannot(plain(&Errno::MFILE.into())));
    }
    let output = pipe::Receiver::from_owned_fd(reader.into()).map_err(|error| cannot(plain(&error)))?;
    let errors = writer.try_clone().map_err(|error| cannot(plain(&error)))?;
    command.stdin(Stdio::null()).stdout(writer).stderr(errors);

    let child = tokio::process::Command::from(command).spawn();
    let child = child.map_err(|error| cannot(diagnose(&error, &program, spec.cwd.as_deref())))?;
    let pid = child.id().unwrap_or_default();
    let group = Group::of_leader(pid).ok_or_else(|| cannot(format!("the kernel gave it the number {pid}")))?;
    // It cannot have been reaped yet. Without /proc it has no identity, and will never be taken for a leftover.
    let identity = Identity::of(pid).unwrap_or(Identity { pid, start_time: 0, boot_id: 0 });
    Ok(Spawned { child, group, identity, output })
}
