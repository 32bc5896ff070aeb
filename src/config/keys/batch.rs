//! The keys of a task with items: where they come from, what is done with each, how fast, and what becomes of failures.

use super::http::HTTP;
use super::process::PROCESS;
use super::task::{DATABASE_NAME, OPERATIONS_MAX, SQL, STATEMENT_BYTES_MAX};
use super::{BACKOFF, HandlerKind, Key, Kind, MILLISECOND, Section, Shown};
use crate::core::limits;

/// Items that one batch handles at once.
const CONCURRENCY_MAX: u64 = 256;
/// Items in one call of the handler.
const CHUNK_MAX: u64 = 1000;
/// Items that stand in the config itself.
const LISTED_MAX: usize = 10_000;

const ITEMS_ONLY: &[HandlerKind] = &[HandlerKind::Batch];

/// Keys of tasks with items.
pub const BATCH: &[Key] = &[
    Key::new(
        "items",
        Kind::TableOrForm(&ITEMS, &["given"]),
        Shown::Required(r#""given""#),
        "What a batch goes over. `given`: whoever starts a batch gives its items. A table: its run reads them, before it \
         handles the first one.",
    )
    .only(ITEMS_ONLY),
    Key::new(
        "each",
        Kind::Table(&EACH),
        Shown::Required(r#"{ shell = "set-auth $DAYBOOK_OP $DAYBOOK_ITEM" }"#),
        "What is done with each item, and how often it is tried.",
    )
    .only(ITEMS_ONLY),
    Key::new(
        "op",
        Kind::Texts { count_max: OPERATIONS_MAX, bytes_max: limits::TASK_NAME_BYTES_MAX },
        Shown::Example(r#"["on", "modify", "off"]"#),
        "The operations that a batch may carry out; whoever starts one names one of them, unless there is one only. \
         Default: no operation is asked for.",
    )
    .only(ITEMS_ONLY),
    Key::new(
        "concurrency",
        Kind::Integer { least: 1, most: CONCURRENCY_MAX },
        Shown::Default("1"),
        "Calls of `each` that one batch runs at once.",
    )
    .only(ITEMS_ONLY),
    Key::new(
        "chunk",
        Kind::Integer { least: 1, most: CHUNK_MAX },
        Shown::Default("1"),
        "Items in one call of `each`, which then answers for each of them.",
    )
    .only(ITEMS_ONLY),
    Key::new(
        "rate",
        Kind::Rate,
        Shown::Example(r#""500/s""#),
        "Items that one batch starts, at most. Default: no such bound.",
    )
    .only(ITEMS_ONLY),
    Key::new(
        "hours",
        Kind::Hours,
        Shown::Example(r#""22:00-06:00""#),
        "Items are started in these hours of the day only, read in `timezone`; what is being handled at their end is \
         finished. Default: at any time.",
    )
    .only(ITEMS_ONLY),
    Key::new(
        "max_failures",
        Kind::ItemsOrPercent { most: limits::ITEMS_PER_BATCH_MAX as u64 },
        Shown::Example(r#""50%""#),
        "More failed items than this, or than this part of all items of the batch, stop the run. Default: it goes over \
         all items, however many fail.",
    )
    .only(ITEMS_ONLY),
    Key::new(
        "exclusive",
        Kind::Text { bytes_max: limits::TASK_NAME_BYTES_MAX },
        Shown::Example(r#""client-auth""#),
        "The name of a group: of all batches of one group, also of other tasks, only one runs at a time. Where two go over \
         the same item, the newer one wins. Default: no group.",
    )
    .only(ITEMS_ONLY),
    Key::new(
        "when_busy",
        Kind::Choice(&["queue", "refuse"]),
        Shown::Default(r#""queue""#),
        "What becomes of a batch that is started while another one of its `exclusive` group runs. `queue`: it waits for \
         its turn. `refuse`: it is not taken, and whoever starts it is told so.",
    )
    .only(ITEMS_ONLY),
    Key::new(
        "repair_attempts",
        Kind::Integer { least: 0, most: limits::ATTEMPTS_MAX as u64 - 1 },
        Shown::Default("10"),
        "How often a batch that ended with failed items is repaired by itself: what is not done is handled again. After \
         that it waits for a person.",
    )
    .only(ITEMS_ONLY),
    Key::new(
        "repair_backoff",
        Kind::TableOrDuration(&BACKOFF),
        Shown::Default(r#"{ first = "5m", factor = 2.0, max = "6h", jitter = 0.0 }"#),
        "The wait between repairs: the first one comes with the next sweep, and this counts from the second one on.",
    )
    .only(ITEMS_ONLY),
];

/// Where the items of a batch come from.
pub const ITEMS: Section = Section {
    doc: "Exactly one of `file`, `list` and `sql`.",
    keys: &[&[
        Key::new(
            "file",
            Kind::Path,
            Shown::Nowhere,
            "A file with an item in each line, or with a JSON array of them. A line or an entry may be a JSON object, \
             whose fields `lock` and statements can name. It is read when a run begins.",
        ),
        Key::new(
            "list",
            Kind::List { count_max: LISTED_MAX, bytes_max: limits::ITEM_BYTES_MAX },
            Shown::Nowhere,
            "The items themselves.",
        ),
        Key::new(
            "sql",
            Kind::Text { bytes_max: STATEMENT_BYTES_MAX },
            Shown::Nowhere,
            "A query on `database`, each row of which is an item: the value where there is one column, else a JSON object \
             of its columns. It is read in a cursor, when a run begins. `:name` in it is a value of the batch's arguments \
             or of `args`.",
        ),
        Key::new(
            "database",
            Kind::Text { bytes_max: limits::TASK_NAME_BYTES_MAX },
            Shown::Nowhere,
            "The name of a `[databases.NAME]`, for `sql`.",
        ),
        Key::new("args", Kind::Arguments, Shown::Nowhere, "Values for names in `sql`, as in a task with `sql`."),
    ]],
};

/// What is done with an item.
pub const EACH: Section = Section {
    doc: "Exactly one of `shell`, `command`, `http` and `sql`, with the other keys that a task with it has: for `shell` and \
          `command` `env`, `cwd`, `user`, `limits`, `success_exit_codes` and so on, for `sql` `database`, `args` and \
          `transaction`. It is written in one line, or as a table `[task.NAME.each]`.",
    keys: &[
        PROCESS,
        &[
            Key::new(
                "http",
                Kind::TableOrForm(&HTTP, &["URL"]),
                Shown::Nowhere,
                "A request for each call, in place of `shell`: a table, or the address alone.",
            ),
            Key::new(
                "attempts",
                Kind::Integer { least: 1, most: limits::ATTEMPTS_MAX as u64 },
                Shown::Default("1"),
                "How often one run handles an item that fails. What is left is for a repair.",
            ),
            Key::new(
                "backoff",
                Kind::TableOrDuration(&BACKOFF),
                Shown::Default(r#"{ first = "1s", factor = 2.0, max = "1m", jitter = 0.0 }"#),
                "The wait between these attempts; the run goes on with other items meanwhile.",
            ),
            Key::new(
                "timeout",
                Kind::Duration { least: MILLISECOND },
                Shown::Default(r#""1m""#),
                "A call that takes longer is ended, and its items have failed. The `timeout` of the task is that of a whole \
                 run.",
            ),
        ],
        DATABASE_NAME,
        SQL,
    ],
};
