//! Which program a job runs, where it is, and in plain words why it cannot be started. Nothing is started here.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::Access;
use rustix::io::Errno;

use super::order::Order;
use crate::exec::{Program, Spec};

pub const SHELL: &str = "/bin/sh";

/// The command line of a job, with its program looked up; its environment is set, its folder and files are not.
///
/// # Errors
/// A sentence for a person. It has no `cannot start` at its beginning: see [`cannot`].
pub(super) fn command(order: &Order) -> Result<(Command, PathBuf), String> {
    use std::os::unix::process::CommandExt;
    let words = words(&order.spec);
    let Some(name) = words.first() else { return Err("the command is empty".to_owned()) };
    let path = order.environment.get("PATH").map(OsString::as_os_str).unwrap_or_default();
    let program = find(name, path, order.spec.cwd.as_deref())?;
    let mut command = Command::new(&program);
    command.arg0(name).args(&words[1..]).env_clear().envs(&order.environment);
    Ok((command, program))
}

/// The sentence about an attempt that could not be started.
pub(super) fn cannot(spec: &Spec, why: impl std::fmt::Display) -> String {
    match words(spec).first() {
        Some(name) => format!("cannot start `{name}`: {why}"),
        None => format!("cannot start: {why}"),
    }
}

/// The program and its arguments.
pub fn words(spec: &Spec) -> Vec<&str> {
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
pub fn diagnose(error: &io::Error, program: &Path, cwd: Option<&Path>) -> String {
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
pub fn plain(error: &io::Error) -> String {
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
