//! Makes a process of a [`Start`], and says in plain words why it cannot.
//!
//! Everything here keeps to what the standard library can do with `posix_spawn`, which does not copy the daemon's
//! page tables: no closure runs between fork and exec, and programs are looked up here instead of in the child.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::Access;
use rustix::io::Errno;
use tokio::net::unix::pipe;
use tokio::process::Child;

use super::group::Group;
use super::identity::Identity;
use super::spec::{Program, Spec};
use crate::descriptors::{Purpose, are_short};

const SHELL: &str = "/bin/sh";

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

/// The program and its arguments.
pub(crate) fn words(spec: &Spec) -> Vec<&str> {
    match &spec.program {
        Program::Command(words) => words.iter().map(String::as_str).collect(),
        // A text that looks like an option must not be taken for one.
        Program::Shell(text) if text.starts_with(['-', '+']) => vec![SHELL, "-c", "--", text],
        Program::Shell(text) => vec![SHELL, "-c", text],
    }
}

/// Where the program is: by `path` if `name` has no `/`, relative to the working directory of the job if it has one.
///
/// # Errors
/// A sentence for a person. A name with a `/` is not looked for.
pub fn find(name: &str, path: &OsStr, cwd: Option<&Path>) -> Result<PathBuf, String> {
    if name.is_empty() {
        return Err("its name is empty".to_owned());
    }
    if name.contains('/') {
        let program = cwd.unwrap_or(Path::new("")).join(name);
        return std::path::absolute(program).map_err(|error| plain(&error));
    }
    let mut forbidden = None;
    for folder in std::env::split_paths(path).filter(|folder| folder.is_absolute()) {
        let program = folder.join(name);
        match rustix::fs::access(&program, Access::EXEC_OK) {
            Ok(()) if program.is_file() => return Ok(program),
            Err(Errno::ACCESS) if program.is_file() => forbidden = forbidden.or(Some(program)),
            _ => {}
        }
    }
    match forbidden {
        Some(program) => Err(format!("`{}` is not executable", program.display())),
        None => Err(format!("no such program in the job's PATH ({})", path.display())),
    }
}

/// What a failed spawn means. The kernel answers with the same number for several mistakes.
pub(crate) fn diagnose(error: &io::Error, program: &Path, cwd: Option<&Path>) -> String {
    let errno = Errno::from_io_error(error);
    if matches!(errno, Some(Errno::NOENT | Errno::ACCESS | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG))
        && let Some(cwd) = cwd
    {
        match cwd.metadata() {
            Err(error) => return format!("its working directory `{}`: {}", cwd.display(), plain(&error)),
            Ok(metadata) if !metadata.is_dir() => {
                return format!("its working directory `{}` is not a directory", cwd.display());
            }
            Ok(_) if rustix::fs::access(cwd, Access::EXEC_OK).is_err() => {
                return format!("its working directory `{}` may not be entered", cwd.display());
            }
            Ok(_) => {}
        }
    }
    match errno {
        Some(Errno::NOENT) if program.exists() => "the interpreter in its first line does not exist".to_owned(),
        Some(Errno::ACCESS) if program.is_dir() => "it is a directory".to_owned(),
        Some(Errno::ACCESS) if program.is_file() => "permission denied (is it executable?)".to_owned(),
        Some(Errno::NOEXEC) => "exec format error (a script needs a first line such as `#!/bin/sh`)".to_owned(),
        Some(Errno::AGAIN) => "no process may be added: a limit on processes is reached".to_owned(),
        _ => plain(error),
    }
}

/// The text of an error, in lower case and without its number.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_text_is_never_an_option() {
        let check =
            |text: &str, expected: &[&str]| assert_eq!(words(&Spec::new(Program::Shell(text.into()))), expected);
        check("echo hi", &["/bin/sh", "-c", "echo hi"]);
        check("-x", &["/bin/sh", "-c", "--", "-x"]);
    }

    #[test]
    fn programs_are_looked_up_in_absolute_folders_of_path() {
        let find = |name, path: &str, cwd: Option<&str>| find(name, OsStr::new(path), cwd.map(Path::new));
        assert_eq!(find("sh", "/nowhere::.:/bin", None), Ok("/bin/sh".into()));
        assert_eq!(find("./tool", "/bin", Some("/srv/app")), Ok("/srv/app/tool".into()));
        assert_eq!(find("/x/y", "", Some("/srv")), Ok("/x/y".into()));
        assert!(find("no-such-program-here", "/bin", None).unwrap_err().contains("PATH (/bin)"));
        assert!(find("etc", "/", None).is_err(), "a directory is no program");
        assert!(find("", "/bin", None).is_err());
    }

    #[test]
    fn errors_read_as_fragments() {
        assert_eq!(plain(&io::Error::from_raw_os_error(2)), "no such file or directory");
        assert_eq!(plain(&io::Error::other("Odd")), "odd");
    }
}
