//! The keys of a task: those that every task has, and those of each handler.

use std::time::Duration;

use super::batch::BATCH;
use super::process::PROCESS;
use super::{BACKOFF, HandlerKind, Key, Kind, MILLISECOND, Section, Shown};
use crate::core::limits;

/// Bytes of a path or a glob.
const PATH_BYTES_MAX: usize = 4096;
/// Bytes of a table's name with its schema, and of a column's name.
const IDENTIFIER_BYTES_MAX: usize = 128;
/// Statements of one task, and bytes of one of them.
const STATEMENTS_MAX: usize = 100;
pub(super) const STATEMENT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a condition or an expression in SQL.
const SQL_BYTES_MAX: usize = 4096;
/// Bytes of the template of a lock.
const LOCK_BYTES_MAX: usize = 256;
/// Operations of one task.
pub(super) const OPERATIONS_MAX: usize = 64;

const STATEMENTS: &[HandlerKind] = &[HandlerKind::Sql];
const PASSIVATE: &[HandlerKind] = &[HandlerKind::PassivateUsers];
const CLEAN: &[HandlerKind] = &[HandlerKind::CleanLogs];

/// One task.
pub const TASK: Section = Section {
    doc: "A task under its name: letters, digits, `-`, `_` and `.`, at most 64 of them, a letter or digit first. \
          It runs exactly one of `command`, `shell`, `sql` and `worker`, or has `items` and does with each of them what `each` \
          says. Without a `schedule` it only runs jobs that are added.",
    keys: &[GENERAL, PROCESS, SQL, DATABASE_NAME, PASSIVATE_USERS, CLEAN_LOGS, DRY_RUN, BATCH, LATER],
};

/// Keys of tasks of any handler.
pub const GENERAL: &[Key] = &[
    Key::new(
        "description",
        Kind::Text { bytes_max: limits::MESSAGE_BYTES_MAX },
        Shown::Example(r#""Copies everything to the vault""#),
        "A sentence for those who read `daybook tasks`.",
    ),
    Key::new(
        "worker",
        Kind::Choice(&["passivate-users", "clean-logs"]),
        Shown::Nowhere,
        "A built-in worker, with keys of its own.",
    ),
    Key::new(
        "schedule",
        Kind::Texts { count_max: limits::SCHEDULES_PER_TASK_MAX, bytes_max: limits::SCHEDULE_BYTES_MAX },
        Shown::Example(r#""30 2 * * *""#),
        "When jobs are created: cron with five or six fields, `@daily` and the like, `@every 90s`, `@reboot`; \
         or a list of them.",
    ),
    Key::new(
        "timezone",
        Kind::Text { bytes_max: 64 },
        Shown::Example(r#""Europe/Berlin""#),
        "The IANA name of the zone in which `schedule`, `from` and `until` are read. Default: the zone of the system, \
         or UTC where it has none.",
    ),
    Key::new(
        "dst",
        Kind::Choice(&["vixie", "wall-clock", "skip"]),
        Shown::Default(r#""vixie""#),
        "What happens when clocks are changed. `vixie`: a fixed time that falls into the gap runs once when the gap \
         ends, one in the overlap runs once, and `*` or a step follows the wall clock. `wall-clock`: none in the gap, \
         two in the overlap. `skip`: none in the gap, only the first in the overlap.",
    ),
    Key::new(
        "jitter",
        Kind::Duration { least: Duration::ZERO },
        Shown::Default(r#""0s""#),
        "Each occurrence is due up to this much later, always the same for the same task and instant, so that many \
         tasks of one schedule do not start at once.",
    ),
    Key::new(
        "from",
        Kind::Instant,
        Shown::Example(r#""2026-12-01T00:00:00+01:00""#),
        "No occurrence before this instant. Without an offset it is read in `timezone`.",
    ),
    Key::new(
        "until",
        Kind::Instant,
        Shown::Example("2027-01-31"),
        "No occurrence at or after this instant. Without an offset it is read in `timezone`, a date as its midnight.",
    ),
    Key::new(
        "missed",
        Kind::Choice(&["skip", "last", "all"]),
        Shown::Default(r#""last""#),
        "What becomes of occurrences that could not start: the daemon was down, the machine suspended, the task \
         paused, or the clock stepped over them. `skip`: none is made up for. `last`: one job for all of them. `all`: \
         a job for each.",
    ),
    Key::new(
        "missed_within",
        Kind::Duration { least: MILLISECOND },
        Shown::Example(r#""12h""#),
        "Missed occurrences older than this are skipped. Default: no such bound.",
    ),
    Key::new(
        "missed_max",
        Kind::Integer { least: 1, most: limits::MISSED_MAX as u64 },
        Shown::Default("100"),
        "With `missed = \"all\"`, the newest so many are made up for and the rest are skipped.",
    ),
    Key::new(
        "overlap",
        Kind::Choice(&["forbid", "queue", "replace", "allow"]),
        Shown::Default(r#""forbid""#),
        "When an occurrence is due while an earlier one is not finished. `forbid`: it is skipped. `queue`: it waits. \
         `replace`: the earlier one is cancelled. `allow`: both run, within `concurrency`.",
    ),
    Key::new(
        "concurrency",
        Kind::Integer { least: 1, most: limits::RUNNING_MAX as u64 },
        Shown::Default("1"),
        "Jobs of this task that run at once. With `overlap = \"allow\"` the default is 16, as 1 would allow nothing.",
    ),
    Key::new(
        "queue_size",
        Kind::Integer { least: 1, most: limits::QUEUE_SIZE_MAX as u64 },
        Shown::Default("50000000"),
        "Jobs of this task that wait. A full queue refuses further ones, and says so.",
    ),
    Key::new(
        "priority",
        Kind::Integer { least: 0, most: limits::PRIORITY_MAX as u64 },
        Shown::Default("5"),
        "0 to 9; 9 goes first.",
    ),
    Key::new(
        "attempts",
        Kind::Integer { least: 1, most: limits::ATTEMPTS_MAX as u64 },
        Shown::Default("100"),
        "A job that failed so often is discarded. An interrupted attempt does not count.",
    ),
    Key::new(
        "backoff",
        Kind::TableOrDuration(&BACKOFF),
        Shown::Default(r#"{ first = "1m", factor = 2.0, max = "2d", jitter = 0.0 }"#),
        "The wait between attempts; a duration such as \"200ms\" in its place is the same wait each time.",
    ),
    Key::new(
        "give_up_after",
        Kind::Duration { least: MILLISECOND },
        Shown::Default(r#""2d""#),
        "A failing job that has been due for this long is discarded, whatever attempts it has left. A batch has no such \
         bound unless it is given.",
    ),
    Key::new(
        "on_interrupt",
        Kind::Choice(&["retry", "hold", "fail"]),
        Shown::Default(r#""retry""#),
        "What becomes of a job that was running when the daemon died: it may have done its work. `retry`: it runs \
         again. `hold`: it waits for a person. `fail`: it is discarded.",
    ),
    Key::new(
        "timeout",
        Kind::Duration { least: MILLISECOND },
        Shown::Example(r#""2h""#),
        "An attempt that runs longer is ended and has failed. Default: no such bound, also for `sql`: to rebuild an index \
         may rightly take hours. Give every `sql` task one, as its statements may wait for the locks of others for ever.",
    ),
    Key::new(
        "grace",
        Kind::Duration { least: Duration::ZERO },
        Shown::Default(r#""10s""#),
        "The time between TERM and KILL when an attempt is ended; for `sql` and workers, the time that they get to end \
         after a time-out.",
    ),
    Key::new(
        "output_max",
        Kind::Size,
        Shown::Default(r#""1MiB""#),
        "Bytes of an attempt's output that are kept; the rest is counted and dropped.",
    ),
    Key::new(
        "lock",
        Kind::Text { bytes_max: LOCK_BYTES_MAX },
        Shown::Example(r#""client:{args.client}""#),
        "Names the thing that a job is about: whoever handles that thing, in this task or in another, holds the lock of \
         this name, and nobody else starts meanwhile. `{args}` stands for the job's arguments and `{args.FIELD}` for one \
         of them; with `items` it is `{item}`, or `{item.FIELD}` of an item that is JSON, and the default is the name of \
         the task with the item: `client-auth:{item}`. Default of other tasks: no lock.",
    ),
    Key::new(
        "custom",
        Kind::Flag,
        Shown::Default("false"),
        "`true`: a completed job marks the thing of its `lock` as custom: what the job's argument `params` says, or all its \
         arguments, are from then on what batches use for this thing. Only for tasks without `items`.",
    ),
    Key::new(
        "clears",
        Kind::Texts { count_max: OPERATIONS_MAX, bytes_max: limits::TASK_NAME_BYTES_MAX },
        Shown::Example(r#"["off"]"#),
        "Operations after which a thing is back at the default, and not custom any more: one of `op`, or what a job \
         has as its argument `op`.",
    ),
];

/// The name of a database, for handlers that use one.
pub const DATABASE_NAME: &[Key] = &[Key::new(
    "database",
    Kind::Text { bytes_max: limits::TASK_NAME_BYTES_MAX },
    Shown::Required(r#""app""#),
    "The name of a `[databases.NAME]`.",
)
.only(&[HandlerKind::PassivateUsers, HandlerKind::Sql])];

/// Keys of tasks that run statements on a database.
pub const SQL: &[Key] = &[
    Key::new(
        "sql",
        Kind::Texts { count_max: STATEMENTS_MAX, bytes_max: STATEMENT_BYTES_MAX },
        Shown::Required(r#""delete from sessions where expires_at < unixepoch() - :days * 86400""#),
        "A statement, or a list of them, which are run in this order. `:name` in one is a value of the job's arguments \
         or of `args`. The number of rows that each one changed is the job's result.",
    )
    .only(STATEMENTS),
    Key::new(
        "args",
        Kind::Arguments,
        Shown::Example("{ days = 30 }"),
        "Values for names in `sql`, where the job has no argument of that name. They are bound, never written into a \
         statement.",
    )
    .only(STATEMENTS),
    Key::new(
        "transaction",
        Kind::Flag,
        Shown::Default("true"),
        "`true`: all statements in one transaction, so that all of them or none is done. `false`: each on its own, which \
         `VACUUM` and `CREATE INDEX CONCURRENTLY` need.",
    )
    .only(STATEMENTS),
];

/// Keys of `worker = "passivate-users"`.
pub const PASSIVATE_USERS: &[Key] = &[
    Key::new(
        "inactive_after",
        Kind::Duration { least: MILLISECOND },
        Shown::Default(r#""30d""#),
        "A user not seen for this long becomes inactive: since the last login, or the creation where there was none.",
    )
    .only(PASSIVATE),
    Key::new(
        "table",
        Kind::Text { bytes_max: IDENTIFIER_BYTES_MAX },
        Shown::Default(r#""users""#),
        "The table of users, with its schema where needed: letters, digits, `_` and one `.`.",
    )
    .only(PASSIVATE),
    Key::new(
        "columns",
        Kind::Table(&COLUMNS),
        Shown::Default(r#"{ id = "id", active = "is_active", last_login = "last_login_at", created = "created_at" }"#),
        "The names of its columns.",
    )
    .only(PASSIVATE),
    Key::new(
        "active",
        Kind::Text { bytes_max: SQL_BYTES_MAX },
        Shown::Default(r#""true""#),
        "What the column `active` of an active user equals, in SQL: `true`, `1`, `'on'`. All others are left alone.",
    )
    .only(PASSIVATE),
    Key::new(
        "set",
        Kind::Assignments { count_max: 32, bytes_max: SQL_BYTES_MAX },
        Shown::Default(r#"{ is_active = "false" }"#),
        "What a user becomes: columns with an expression in SQL each, the column `active` among them, as in \
         `{ status = \"'passive'\", passive_since = \"current_timestamp\" }`. Default: the column `active` becomes `false`.",
    )
    .only(PASSIVATE),
    Key::new(
        "where",
        Kind::Text { bytes_max: SQL_BYTES_MAX },
        Shown::Example(r#""tenant_id = 7""#),
        "A condition in SQL that users must meet as well. Default: every user of every tenant.",
    )
    .only(PASSIVATE),
    Key::new(
        "chunk",
        Kind::Integer { least: 1, most: 10_000 },
        Shown::Default("1000"),
        "Users in one transaction: small enough that nobody waits for it.",
    )
    .only(PASSIVATE),
    Key::new(
        "pause",
        Kind::Duration { least: Duration::ZERO },
        Shown::Default(r#""50ms""#),
        "The rest between two transactions, which leaves the database to others.",
    )
    .only(PASSIVATE),
];

/// The columns of the table of users.
pub const COLUMNS: Section = Section {
    doc: "Letters, digits and `_`; one that is left out has its default.",
    keys: &[&[
        Key::new("id", Kind::Text { bytes_max: IDENTIFIER_BYTES_MAX }, Shown::Nowhere, "The key of the table."),
        Key::new(
            "active",
            Kind::Text { bytes_max: IDENTIFIER_BYTES_MAX },
            Shown::Nowhere,
            "Whether the user is active.",
        ),
        Key::new(
            "last_login",
            Kind::Text { bytes_max: IDENTIFIER_BYTES_MAX },
            Shown::Nowhere,
            "When the user was last seen; may be null.",
        ),
        Key::new(
            "created",
            Kind::Text { bytes_max: IDENTIFIER_BYTES_MAX },
            Shown::Nowhere,
            "When the user was created; counts where `last_login` is null.",
        ),
        Key::new(
            "tenant",
            Kind::Text { bytes_max: IDENTIFIER_BYTES_MAX },
            Shown::Nowhere,
            "To whom the user belongs; if it is given, the result counts users by it.",
        ),
    ]],
};

/// Keys of `worker = "clean-logs"`.
pub const CLEAN_LOGS: &[Key] = &[
    Key::new(
        "paths",
        Kind::Texts { count_max: 256, bytes_max: PATH_BYTES_MAX },
        Shown::Required(r#"["/var/log/app/**/*.log*"]"#),
        "The log files, as globs below some folder; a relative one starts at the folder of the file that names it.",
    )
    .only(CLEAN),
    Key::new(
        "older_than",
        Kind::Duration { least: MILLISECOND },
        Shown::Required(r#""30d""#),
        "Files not written to for this long are deleted. At least one of this, `keep_files`, `keep_size` and `compress` \
         is needed.",
    )
    .only(CLEAN),
    Key::new(
        "keep_files",
        Kind::Integer { least: 1, most: 1_000_000_000 },
        Shown::Example("50"),
        "The newest so many files of a group are kept, older ones deleted; the log itself is one of them. Default: no \
         such bound.",
    )
    .only(CLEAN),
    Key::new(
        "keep_size",
        Kind::Size,
        Shown::Example(r#""2GB""#),
        "Bytes of all files of a group together, as they are before any is compressed; beyond them the oldest are \
         deleted. Default: no such bound.",
    )
    .only(CLEAN),
    Key::new(
        "group",
        Kind::Choice(&["name", "folder", "all"]),
        Shown::Default(r#""name""#),
        "Which files `keep_files` and `keep_size` take together. `name`: a log with its rotations, which are the files of \
         a folder whose names differ only in a number, a date and the compression: `app.log`, `app.log.1`, \
         `app.log-20261101.gz`. `folder`: all files of a folder that match. `all`: all that match.",
    )
    .only(CLEAN),
    Key::new(
        "action",
        Kind::Choice(&["delete", "truncate"]),
        Shown::Default(r#""delete""#),
        "What is done to files beyond a limit. `truncate`: they stay, empty; for a log that is held open, with \
         `open_files = \"include\"`.",
    )
    .only(CLEAN),
    Key::new(
        "compress",
        Kind::Choice(&["none", "gzip", "zstd"]),
        Shown::Default(r#""none""#),
        "Files that are kept are compressed: `app.log.1` becomes `app.log.1.gz` or `app.log.1.zst`, with the same owner, \
         mode and times. Name files that are not written to any more. A file that has that name already is never \
         overwritten.",
    )
    .only(CLEAN),
    Key::new(
        "compress_after",
        Kind::Duration { least: MILLISECOND },
        Shown::Default(r#""1d""#),
        "Only files not written to for this long are compressed.",
    )
    .only(CLEAN),
    Key::new(
        "open_files",
        Kind::Choice(&["leave", "include"]),
        Shown::Default(r#""leave""#),
        "What is done with files that a process has open for writing. `leave`: nothing. `include`: the same as with \
         others.",
    )
    .only(CLEAN),
];

/// A key that both workers have.
pub const DRY_RUN: &[Key] = &[Key::new(
    "dry_run",
    Kind::Flag,
    Shown::Default("false"),
    "`true`: the worker says what it would do and changes nothing.",
)
.only(&[HandlerKind::PassivateUsers, HandlerKind::CleanLogs])];

/// A handler that this version does not have.
const LATER: &[Key] = &[Key::later("http")];
