//! The keys of tasks that run a process: `command` and `shell`.

use super::{HandlerKind, Key, Kind, Section, Shown};
use crate::shim::limits::Unit;

/// Bytes of one argument or environment entry: what Linux takes (`MAX_ARG_STRLEN`), less the final zero.
const ARGUMENT_BYTES_MAX: usize = 128 * 1024 - 1;
/// Bytes of the name of a user or a group.
const USER_BYTES_MAX: usize = 256;

const PROCESSES: &[HandlerKind] = &[HandlerKind::Command, HandlerKind::Shell];

/// Keys of tasks that run a process: `command` and `shell`.
pub const PROCESS: &[Key] = &[
    Key::new(
        "shell",
        Kind::Text { bytes_max: ARGUMENT_BYTES_MAX },
        Shown::Required(r#""/usr/local/bin/backup --all""#),
        "A line for `/bin/sh -c`.",
    ),
    Key::new(
        "command",
        Kind::List { count_max: 4096, bytes_max: ARGUMENT_BYTES_MAX },
        Shown::Example(r#"["/usr/local/bin/backup", "--all"]"#),
        "A program and its arguments, in place of `shell`; nothing in them is expanded.",
    ),
    Key::new(
        "cwd",
        Kind::Path,
        Shown::Default(r#""/""#),
        "The working directory. A relative one starts at the folder of the file that names it.",
    )
    .only(PROCESSES),
    Key::new(
        "env",
        Kind::Environment,
        Shown::Default("{}"),
        "Environment variables besides those that Daybook sets, which begin with `DAYBOOK_`. Values are shown nowhere.",
    )
    .only(PROCESSES),
    Key::new("umask", Kind::Octal, Shown::Default(r#""0022""#), "Permission bits that new files do not get, in octal.")
        .only(PROCESSES),
    Key::new(
        "success_exit_codes",
        Kind::Integers { least: 0, most: 255 },
        Shown::Default("[0]"),
        "Exit codes that mean success.",
    )
    .only(PROCESSES),
    Key::new(
        "leave_background",
        Kind::Flag,
        Shown::Default("false"),
        "`true`: processes that outlive the job's main process are left alone; `false`: they are ended with it.",
    )
    .only(PROCESSES),
    Key::new(
        "env_file",
        Kind::Path,
        Shown::Example(r#""/etc/daybook/backup.env""#),
        "A file of further environment variables, NAME=VALUE in each line, as systemd's `EnvironmentFile=`; `env` goes \
         before it. The daemon reads it each time an attempt starts, so a secret in it can be replaced; an attempt for \
         which it cannot be read fails.",
    )
    .only(PROCESSES),
    Key::new(
        "stdin",
        Kind::Form(&["null", "args", "file:PATH"]),
        Shown::Default(r#""null""#),
        "What the job reads: nothing; its arguments, as JSON; a file, which is opened as the job's user.",
    )
    .only(PROCESSES),
    Key::new(
        "user",
        Kind::Text { bytes_max: USER_BYTES_MAX },
        Shown::Example(r#""www-data""#),
        "Whom the job runs as, with the environment variables HOME, USER, LOGNAME and SHELL of this user. Only in a daemon \
         that runs as root. Default: the user of the daemon.",
    )
    .only(PROCESSES),
    Key::new(
        "group",
        Kind::Text { bytes_max: USER_BYTES_MAX },
        Shown::Example(r#""www-data""#),
        "The group of the job. Default: that of its `user`.",
    )
    .only(PROCESSES),
    Key::new(
        "groups",
        Kind::Texts { count_max: 64, bytes_max: USER_BYTES_MAX },
        Shown::Example(r#"["adm"]"#),
        "The supplementary groups of the job, in place of those that its `user` is in.",
    )
    .only(PROCESSES),
    Key::new(
        "nice",
        Kind::Signed { least: -20, most: 19 },
        Shown::Example("10"),
        "Its priority for processors: 19 is last; below 0, before others, only in a daemon that runs as root. Default: \
         that of the daemon.",
    )
    .only(PROCESSES),
    Key::new(
        "ionice",
        Kind::Form(&["idle", "best-effort:LEVEL", "realtime:LEVEL"]),
        Shown::Example(r#""best-effort:7""#),
        "Its priority for disks, where their scheduler knows any. LEVEL is 0 to 7, which is last of its class, and 4 if it is \
         left out; `idle` comes after all others; `realtime` only in a daemon that runs as root. Default: that of the daemon.",
    )
    .only(PROCESSES),
    Key::new(
        "limits",
        Kind::Table(&LIMITS),
        Shown::Example(r#"{ nofile = "1024:4096", core = 0, as = "2GiB" }"#),
        "What each of its processes may use; more than the daemon itself may have only if that runs as root.",
    )
    .only(PROCESSES),
    Key::new(
        "memory_max",
        Kind::Size,
        Shown::Example(r#""1GiB""#),
        "Memory of all its processes together, at least 1 MiB and without swap; beyond it the kernel kills one of them. Only where systemd delegates the \
         controller `memory` to the daemon (`Delegate=yes` and `DelegateSubgroup=`).",
    )
    .only(PROCESSES),
    Key::new(
        "tasks_max",
        Kind::Integer { least: 1, most: 4_194_304 },
        Shown::Example("200"),
        "Its processes and threads together; beyond it none can be added. Only where systemd delegates the controller \
         `pids` to the daemon.",
    )
    .only(PROCESSES),
];

/// Limits of a process.
pub const LIMITS: Section = Section {
    doc: "As `ulimit` and systemd name them. A number is both the soft limit, which the job may change, and the hard one, \
          up to which it may; `\"soft:hard\"` are two; `\"unlimited\"` is none.",
    keys: &[&[
        limit("as", Unit::Bytes, "Address space."),
        limit("core", Unit::Bytes, "A core dump; 0 is none."),
        limit("cpu", Unit::Seconds, "Time of processors, in seconds; a process that has used up more is killed."),
        limit("data", Unit::Bytes, "Data segment."),
        limit("fsize", Unit::Bytes, "A file that it writes."),
        limit("memlock", Unit::Bytes, "Memory that is not swapped out."),
        limit("msgqueue", Unit::Bytes, "Message queues of its user."),
        limit("nofile", Unit::Pieces, "Open files."),
        limit("nproc", Unit::Pieces, "Processes and threads of its user, of this job or not."),
        limit("rtprio", Unit::Pieces, "The highest real-time priority that it may take."),
        limit("sigpending", Unit::Pieces, "Signals that wait, of its user."),
        limit("stack", Unit::Bytes, "Stack."),
    ]],
};

const fn limit(name: &'static str, unit: Unit, doc: &'static str) -> Key {
    Key::new(name, Kind::Limit(unit), Shown::Nowhere, doc)
}
