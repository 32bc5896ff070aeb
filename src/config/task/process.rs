//! What the config says about a process that a task runs. How it is run is `exec`'s business.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::{Action, rights};
use crate::config::outside::Thing;
use crate::config::raw::text;
use crate::config::table::{Table, full_name};
use crate::exec::RunAs;
use crate::shim::{Io, Limit, Stdin};

/// The umask of jobs that name none.
pub const UMASK_DEFAULT: u32 = 0o022;
/// Bytes of `NAME=VALUE`, as the kernel takes them (`MAX_ARG_STRLEN`), less the final zero.
const VARIABLE_BYTES_MAX: usize = 128 * 1024 - 1;
/// Variables of one task.
const VARIABLES_MAX: usize = 1000;
/// Variables with this beginning are Daybook's own.
const RESERVED: &str = "DAYBOOK_";

/// A process to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub action: Action,
    /// The working directory; absolute.
    pub cwd: PathBuf,
    /// Environment variables besides Daybook's own.
    pub env: Environment,
    /// Permission bits that new files do not get; at most 0o777.
    pub umask: u32,
    /// Exit codes that mean success: sorted, each once, at least one.
    pub success_exit_codes: Vec<u8>,
    /// Processes that outlive the main process are left alone.
    pub leave_background: bool,
    /// A file of further environment variables.
    pub env_file: Option<PathBuf>,
    pub stdin: Stdin,
    /// The daemon's own user when absent.
    pub run_as: Option<RunAs>,
    /// -20 to 19.
    pub nice: Option<i8>,
    pub io: Option<Io>,
    /// By names of [`KNOWN`](crate::shim::limits::KNOWN).
    pub limits: BTreeMap<String, Limit>,
    /// Bytes.
    pub memory_max: Option<u64>,
    pub tasks_max: Option<u64>,
}

impl Process {
    /// A process with the defaults of the config.
    pub fn new(action: Action) -> Process {
        Process {
            action,
            cwd: "/".into(),
            env: Environment::default(),
            umask: UMASK_DEFAULT,
            success_exit_codes: vec![0],
            leave_background: false,
            env_file: None,
            stdin: Stdin::Null,
            run_as: None,
            nice: None,
            io: None,
            limits: BTreeMap::new(),
            memory_max: None,
            tasks_max: None,
        }
    }
}

/// Environment variables by name. Values may be secrets: they are not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(pub BTreeMap<String, String>);

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads the keys of `command` and `shell`; `None` if there is nothing to run.
pub(super) fn read(table: &Table<'_>) -> Option<Process> {
    let action = action(table);
    let mut process = Process::new(Action::Shell(String::new()));
    if let Some(cwd) = table.path("cwd") {
        table.names("cwd", Thing::Folder(cwd.clone()));
        process.cwd = cwd;
    }
    process.env = environment(table);
    if let Some(Action::Command(words)) = &action
        && let Some(name) = words.first().filter(|name| !name.is_empty())
    {
        let path = process.env.0.get("PATH").cloned();
        table.names("command", Thing::Program { name: name.clone(), path, cwd: process.cwd.clone() });
    }
    process.umask = table.octal("umask").unwrap_or(process.umask);
    if let Some(codes) = table.integers("success_exit_codes") {
        let codes: std::collections::BTreeSet<u8> = codes.into_iter().filter_map(|code| code.try_into().ok()).collect();
        process.success_exit_codes = codes.into_iter().collect();
    }
    process.leave_background = table.flag("leave_background").unwrap_or(process.leave_background);
    process.env_file = table.path("env_file");
    process.stdin = table.form("stdin", |text| stdin(table, text)).unwrap_or_default();
    process.run_as = rights::run_as(table);
    process.nice = rights::nice(table);
    process.io = rights::io(table);
    process.limits = rights::limits(table);
    process.memory_max = rights::memory_max(table);
    process.tasks_max = rights::tasks_max(table);
    if let Some(path) = &process.env_file {
        // Who runs as root anyway gets nothing from those who may write to the file.
        let is_root = process.run_as.as_ref().is_none_or(|run_as| run_as.user == "root");
        table.names("env_file", Thing::EnvironmentFile { path: path.clone(), is_root });
    }
    Some(Process { action: action?, ..process })
}

fn stdin(table: &Table<'_>, text: &str) -> Option<Stdin> {
    match text {
        "null" => Some(Stdin::Null),
        "args" => Some(Stdin::Args),
        _ => match text.strip_prefix("file:")? {
            "" => None,
            path => Some(Stdin::File(table.context.source.folder.join(path))),
        },
    }
}

fn action(table: &Table<'_>) -> Option<Action> {
    if !table.has("command") {
        let line = table.text("shell")?;
        if line.trim().is_empty() {
            table.report(table.value_place("shell"), "shell", "is empty", "write a line for `/bin/sh -c`");
            return None;
        }
        return Some(Action::Shell(line.to_owned()));
    }
    let arguments = table.texts("command")?;
    if let Some((program, place)) = arguments.first()
        && program.is_empty()
    {
        table.report(*place, "command", "has an empty program", "name a program first, then its arguments");
    }
    Some(Action::Command(arguments.into_iter().map(|(argument, _)| argument.to_owned()).collect()))
}

fn environment(table: &Table<'_>) -> Environment {
    let named = table.named("env");
    if named.len() > VARIABLES_MAX {
        let message = format!("has {} variables, more than {VARIABLES_MAX}", named.len());
        table.report(table.value_place("env"), "env", message, "");
    }
    let mut variables = BTreeMap::new();
    for variable in named.iter().take(VARIABLES_MAX) {
        let key = full_name(&table.full("env"), variable.name);
        let report = |message: &str, hint: &str| table.context.report.add(variable.place, key.as_str(), message, hint);
        if variable.name.is_empty() || variable.name.contains(['=', '\0']) {
            report("is not a variable's name", "names are not empty and have neither `=` nor a zero byte");
        } else if variable.name.starts_with(RESERVED) {
            report("is one of Daybook's own names", "choose a name that does not begin with `DAYBOOK_`");
        }
        let bytes_max = VARIABLE_BYTES_MAX.saturating_sub(variable.name.len() + 1);
        match text(variable.value.get_ref(), bytes_max) {
            Ok(value) => drop(variables.insert(variable.name.to_owned(), value.to_owned())),
            // The value may be a secret and is not quoted, as the hint would.
            Err(wrong) if !variable.value.get_ref().is_str() => report(&wrong.message, "write it in quotes"),
            Err(wrong) => report(&wrong.message, &wrong.hint),
        }
    }
    Environment(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_names_of_variables_only() {
        let environment = Environment([("TOKEN".to_owned(), "secret".to_owned())].into());
        assert_eq!(format!("{environment:?}"), "{\"TOKEN\"}");
    }
}
