//! Makes the job's process.
//!
//! A plain job is made by what the standard library does with `posix_spawn`: no closure runs between fork and exec,
//! and the program is looked up here instead of in the child. One with a user, limits or priorities is made in two
//! steps, see `enter.rs`. Mask of files, signals and the number of open files are inherited from the shim.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeWriter, Seek, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;

use rustix::fs::{MemfdFlags, OFlags};
use rustix::process::Pid;

use super::enter::{self, Answer};
use super::order::{Order, Stdin};
use super::program::{cannot, command, diagnose, plain};
use crate::exec::Spec;

/// The process of a job.
#[derive(Debug)]
pub(super) struct Main {
    pub pid: Pid,
    /// If it is made in two steps: what it says when it fails at the second one.
    pub answer: Option<Answer>,
}

/// Starts the job in a process group of its own, whose number is that of the process. Both its standard output and its
/// standard error are `output`, in the order in which it writes. Whoever calls this waits for the process.
///
/// # Errors
/// A sentence for a person; then there is no process.
pub(super) fn spawn(order: &Order, output: PipeWriter) -> Result<Main, String> {
    let spec = &order.spec;
    if is_entered(spec) {
        let entered = enter::spawn(order, output).map_err(|why| cannot(spec, why))?;
        return Ok(Main { pid: entered.0, answer: Some(entered.1) });
    }
    let start = || {
        let (mut command, program) = command(order)?;
        if let Some(cwd) = &spec.cwd {
            command.current_dir(cwd);
        }
        let errors = output.try_clone().map_err(|error| plain(&error))?;
        command.process_group(0).stdin(stdin(order)?).stdout(output).stderr(errors);
        let child = command.spawn().map_err(|error| diagnose(&error, &program, spec.cwd.as_deref()))?;
        Ok(Main { pid: Pid::from_child(&child), answer: None })
    };
    start().map_err(|why: String| cannot(spec, why))
}

/// Whether something is to be done in the new process before the job's program takes its place.
fn is_entered(spec: &Spec) -> bool {
    spec.user.is_some() || spec.nice.is_some() || spec.io.is_some() || !spec.limits.is_empty()
}

/// What the job reads, opened as whoever calls this.
///
/// # Errors
/// A sentence for a person.
pub(super) fn stdin(order: &Order) -> Result<File, String> {
    match &order.spec.stdin {
        Stdin::Null => File::open("/dev/null").map_err(|error| format!("its standard input: {}", plain(&error))),
        Stdin::Text(text) => {
            in_memory(text.as_bytes()).map_err(|error| format!("its standard input: {}", plain(&error)))
        }
        Stdin::Args => arguments(order).map_err(|error| format!("its standard input: {}", plain(&error))),
        Stdin::File(path) => {
            let wrong = |error| format!("its standard input `{}`: {}", path.display(), plain(&error));
            open_input(path).map_err(wrong)
        }
    }
}

fn arguments(order: &Order) -> io::Result<File> {
    let arguments = order.environment.get("DAYBOOK_ARGS").map(|arguments| arguments.as_encoded_bytes());
    in_memory(arguments.unwrap_or_default())
}

/// A file in memory, as no pipe would hold the whole of it.
fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create(c"daybook-stdin", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// Nothing that could be waited for: neither a pipe without a writer nor a terminal.
fn open_input(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() && !kind.is_char_device() {
        return Err(io::Error::other("it is not a file"));
    }
    // The job is not to find it so.
    let flags = rustix::fs::fcntl_getfl(&file)? - OFlags::NONBLOCK;
    rustix::fs::fcntl_setfl(&file, flags)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use rustix::process::{WaitOptions, waitpid};

    use super::*;
    use crate::core::id::JobId;
    use crate::exec::Program;

    fn order(spec: Spec) -> Order {
        let environment = [("PATH", "/usr/bin:/bin"), ("DAYBOOK_ARGS", "{\"a\":1}")];
        Order {
            job: JobId(7),
            attempt: 1,
            spec,
            environment: environment.map(|(name, value)| (name.to_owned(), value.into())).into(),
            output: "/nowhere".into(),
            cgroup: None,
            temporary: None,
            result: None,
        }
    }

    /// What the job prints.
    fn print(order: &Order) -> Result<String, String> {
        let (mut reader, writer) = io::pipe().unwrap();
        let Main { pid, .. } = spawn(order, writer)?;
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        waitpid(Some(pid), WaitOptions::empty()).unwrap();
        Ok(text)
    }

    fn shell(text: &str) -> Spec {
        Spec::new(Program::Shell(text.into()))
    }

    #[test]
    fn a_job_gets_its_environment_folder_group_and_input_and_nothing_else() {
        let spec = Spec { cwd: Some("/usr".into()), ..shell("env; pwd; readlink /proc/self/fd/0") };
        let text = print(&order(spec)).unwrap();
        let variables: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once('=')).collect();
        // The shell adds two of its own.
        let names: Vec<_> = variables.keys().filter(|name| !["PWD", "_", "SHLVL", "OLDPWD"].contains(name)).collect();
        assert_eq!(names, [&"DAYBOOK_ARGS", &"PATH"], "{text}");
        assert!(text.ends_with("\n/usr\n/dev/null\n"), "{text}");
        let group = print(&order(shell("echo $$ $(cut -d' ' -f5 /proc/self/stat)"))).unwrap();
        let (process, group) = group.trim().split_once(' ').unwrap();
        assert_eq!(process, group);
        assert_eq!(print(&order(shell("echo a; echo b >&2; echo c"))).unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn input_is_the_arguments_or_a_file() {
        let with = |stdin| print(&order(Spec { stdin, ..shell("cat; cat") }));
        assert_eq!(with(Stdin::Args).unwrap(), "{\"a\":1}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("input");
        std::fs::write(&file, "from a file").unwrap();
        assert_eq!(with(Stdin::File(file)).unwrap(), "from a file");
        let wrong = with(Stdin::File("/nowhere/x".into())).unwrap_err();
        assert_eq!(wrong, "cannot start `/bin/sh`: its standard input `/nowhere/x`: no such file or directory");
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for path in [folder.path().to_owned(), fifo] {
            let wrong = with(Stdin::File(path)).unwrap_err();
            assert!(wrong.ends_with("`: it is not a file"), "{wrong}");
        }
    }

    #[test]
    fn why_a_job_cannot_start_is_told_in_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/nowhere/interpreter\n").unwrap();
        let command = |name: &str| Spec::new(Program::Command(vec![name.into()]));
        let said = |spec| print(&order(spec)).unwrap_err();
        assert_eq!(said(command("none")), "cannot start `none`: no such program in the job's PATH (/usr/bin:/bin)");
        assert_eq!(said(command("")), "cannot start ``: its name is empty");
        assert_eq!(said(Spec::new(Program::Command(Vec::new()))), "cannot start: the command is empty");
        let name = script.to_str().unwrap();
        assert_eq!(said(command(name)), format!("cannot start `{name}`: permission denied (is it executable?)"));
        rustix::fs::chmod(&script, 0o755.into()).unwrap();
        assert!(said(command(name)).ends_with("the interpreter in its first line does not exist"));
        let nowhere = Spec { cwd: Some("/nowhere".into()), ..command("true") };
        assert_eq!(said(nowhere), "cannot start `true`: its working directory `/nowhere`: no such file or directory");
    }
}
