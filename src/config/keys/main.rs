//! The keys outside of tasks.

use std::time::Duration;

use super::{Key, Kind, MILLISECOND, SECOND, Section, Shown, TASK};

/// The main file. Included files have `databases` and `task` only.
pub const MAIN: Section = Section {
    doc: "The daemon itself. A relative path starts at the folder of the file that names it.",
    keys: &[&[
        Key::new(
            "state_dir",
            Kind::Path,
            Shown::Default(r#""/var/lib/daybook""#),
            "The folder of the journal, the history and the outputs. One daemon at a time; a change takes a restart.",
        ),
        Key::new(
            "socket",
            Kind::Path,
            Shown::Default(r#""/run/daybook/control.sock""#),
            "The control socket. Who may write to it may do everything; a change takes a restart.",
        ),
        Key::new(
            "include",
            Kind::Texts { count_max: 100, bytes_max: 4096 },
            Shown::Default(r#"["tasks.d/*.toml"]"#),
            "Further files, as globs without `**`, each sorted by name; they hold tasks and databases. \
             At most 1000 files of at most 1 MiB each; hidden files and leftovers, as `*~` and `*.dpkg-new`, are left out.",
        ),
        Key::new(
            "execution",
            Kind::Flag,
            Shown::Default("true"),
            "`false`: this daemon takes jobs in and starts none.",
        ),
        Key::new(
            "stop_timeout",
            Kind::Duration { least: Duration::ZERO },
            Shown::Default(r#""30s""#),
            "How long a stop waits for built-in workers; those left are resumed at the next start. Processes are not \
             waited for: they go on without the daemon, and the next one takes them over. systemd is told how long that may take, so its own limit need not be raised.",
        ),
        Key::new("log", Kind::Table(&LOG), Shown::Section, "What the daemon says about itself."),
        Key::new("repair", Kind::Table(&REPAIR), Shown::Section, "The sweep."),
        Key::new("journal", Kind::Table(&JOURNAL), Shown::Section, "The record of every change of state."),
        Key::new("history", Kind::Table(&HISTORY), Shown::Section, "Finished jobs and occurrences."),
        Key::new("outputs", Kind::Table(&OUTPUTS), Shown::Section, "What attempts wrote."),
        Key::new("databases", Kind::Tables(&DATABASE), Shown::Section, "Databases that tasks use, each under a name."),
        Key::new("task", Kind::Tables(&TASK), Shown::Section, "Tasks, each under its name."),
    ]],
};

const LOG: Section = Section {
    doc: "What the daemon says about itself. Where its standard error is the journal of systemd, lines go there with \
          their fields (`journalctl DAYBOOK_TASK=backup`); else to standard error. Arguments, results, outputs, \
          environments and addresses are in no line, at no level. What happens to jobs is in Daybook's own journal.",
    keys: &[&[
        Key::new(
            "level",
            Kind::Choice(LOG_LEVELS),
            Shown::Default(r#""info""#),
            "The least important kind of line that is written. Libraries say what is at least `warn`. Of warnings and \
             errors from one and the same place, ten a minute are written and the rest is counted.",
        ),
        Key::new(
            "levels",
            Kind::Table(&LOG_PARTS),
            Shown::Example(r#"{ engine = "debug", sqlx = "error" }"#),
            "Other levels for single parts.",
        ),
        Key::new(
            "format",
            Kind::Choice(&["text", "json"]),
            Shown::Default(r#""text""#),
            "How a line is written to standard error: `text` for people, `json` for one object a line. \
             A change takes a restart.",
        ),
    ]],
};

const LOG_LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];

const fn part(name: &'static str, doc: &'static str) -> Key {
    Key::new(name, Kind::Choice(LOG_LEVELS), Shown::Nowhere, doc)
}

/// Parts of the daemon that have a level of their own: our modules, and libraries that log.
pub const LOG_PARTS: Section = Section {
    doc: "Parts with a level of their own, each `error`, `warn`, `info`, `debug` or `trace`.",
    keys: &[&[
        part("config", "Reading the config."),
        part("control", "The control socket."),
        part("daemon", "Start, stop, reload, sweeps and retention."),
        part("database", "Connections to databases; never the statements."),
        part("disk", "The directories of the embedded store."),
        part("engine", "The owner of the state: commits, checkpoints, recovery."),
        part("exec", "Attempts as processes."),
        part("history", "Finished jobs and occurrences on disk."),
        part("journal", "Commits on disk."),
        part("logging", "What was left out of the log."),
        part("workers", "The built-in workers."),
        part("sqlx", "The library that talks to databases; never the statements."),
        part("tokio_cron_scheduler", "The library that ticks for the daemon's housekeeping."),
    ]],
};

const REPAIR: Section = Section {
    doc: "The sweep: finds what is broken, fixes it, and says so.",
    keys: &[&[Key::new(
        "every",
        Kind::Duration { least: SECOND },
        Shown::Default(r#""5m""#),
        "The time from one sweep to the next. It also runs at start, on SIGHUP and on `daybook repair`.",
    )]],
};

const JOURNAL: Section = Section {
    doc: "The record of every change of state.",
    keys: &[&[Key::new(
        "keep",
        Kind::Table(&KEEP),
        Shown::Default(r#"{ age = "30d", size = "1GB" }"#),
        "How much of it stays readable. What is needed to recover is always kept.",
    )]],
};

const HISTORY: Section = Section {
    doc: "Finished jobs, and what became of each occurrence.",
    keys: &[&[Key::new(
        "keep",
        Kind::Table(&KEEP),
        Shown::Default(r#"{ age = "90d", size = "1GB" }"#),
        "How much of it stays searchable. The `key` of a job is known as long as the job is in here, and at least for a day.",
    )]],
};

const OUTPUTS: Section = Section {
    doc: "What attempts wrote to their standard output and error.",
    keys: &[&[Key::new(
        "keep",
        Kind::Table(&KEEP),
        Shown::Default(r#"{ age = "30d", size = "1GB" }"#),
        "How much of it is kept. The outputs of live jobs are always kept.",
    )]],
};

/// How much of something is kept.
pub const KEEP: Section = Section {
    doc: "Whichever bound is reached first; one that is left out has its default.",
    keys: &[&[
        Key::new("age", Kind::Duration { least: SECOND }, Shown::Nowhere, "What is older goes."),
        Key::new("size", Kind::Size, Shown::Nowhere, "Bytes; beyond them the oldest goes."),
    ]],
};

/// One database.
pub const DATABASE: Section = Section {
    doc: "A database that tasks use, under a name of its own. One of `url`, `url_file` and `credential`.",
    keys: &[&[
        Key::new(
            "url",
            Kind::Text { bytes_max: 4096 },
            Shown::Required(r#""sqlite:///var/lib/app/app.db""#),
            "Where it is: `sqlite:///path`, `postgres://user:password@host/name` or `mysql://user:password@host/name`. \
             It is shown nowhere.",
        ),
        Key::new(
            "url_file",
            Kind::Path,
            Shown::Example(r#""/etc/daybook/app.url""#),
            "A file that holds the url and nothing else, so that a password need not be in here. \
             It is read when a connection is made. Nobody but the daemon's user should be able to read it.",
        ),
        Key::new(
            "credential",
            Kind::Text { bytes_max: 255 },
            Shown::Example(r#""app-url""#),
            "The name of a systemd credential that holds the url and nothing else, as `LoadCredential=app-url:/etc/app.url` \
             in the unit gives it to the service. It is read when a connection is made.",
        ),
    ]],
};

/// The wait between attempts.
pub const BACKOFF: Section = Section {
    doc: "The wait before attempt n+1 is `first * factor^(n-1)`, at most `max`.",
    keys: &[&[
        Key::new("first", Kind::Duration { least: MILLISECOND }, Shown::Nowhere, "The wait after the first attempt."),
        Key::new(
            "factor",
            Kind::Number { least: 1.0, most: 1000.0 },
            Shown::Nowhere,
            "What each further wait is multiplied by; at least 1.",
        ),
        Key::new("max", Kind::Duration { least: MILLISECOND }, Shown::Nowhere, "No wait is longer, before `jitter`."),
        Key::new(
            "jitter",
            Kind::Number { least: 0.0, most: 1.0 },
            Shown::Nowhere,
            "A part of the wait, 0 to 1, by which it is longer or shorter at random, so that jobs that failed together do not return together.",
        ),
    ]],
};
