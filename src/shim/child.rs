//! Makes the job's process, and says in plain words why it cannot.

use std::ffi::OsString;
use std::io::PipeWriter;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::Pid;

use super::order::Order;
use crate::exec::{diagnose, find_program, plain, words};

/// Starts it in a group of its own.
///
/// # Errors
/// A sentence for a person.
pub(super) fn spawn(order: &Order, output: PipeWriter) -> Result<Pid, String> {
    let spec = &order.spec;
    let words = words(spec);
    let Some(name) = words.first() else { return Err("cannot start: the command is empty".to_owned()) };
    let cannot = |why: String| format!("cannot start `{name}`: {why}");
    let path = order.environment.get("PATH").map(OsString::as_os_str).unwrap_or_default();
    let program = find_program(name, path, spec.cwd.as_deref()).map_err(cannot)?;
    let mut command = Command::new(&program);
    command.arg0(name).args(&words[1..]).env_clear().envs(&order.environment).process_group(0);
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    let errors = output.try_clone().map_err(|error| cannot(plain(&error)))?;
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    let child = command.spawn().map_err(|error| cannot(diagnose(&error, &program, spec.cwd.as_deref())))?;
    Ok(Pid::from_child(&child))
}
