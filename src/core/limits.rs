//! Every bound of Daybook, with its unit. Nothing that comes from outside is without one.

use std::time::Duration;

/// Bytes of a task's name. Letters, digits, `-`, `_` and `.`; it starts with a letter or digit.
pub const TASK_NAME_BYTES_MAX: usize = 64;
/// Tasks in one config.
pub const TASKS_MAX: usize = 200_000;
/// Schedules of one task.
pub const SCHEDULES_PER_TASK_MAX: usize = 64;
/// Bytes of one schedule expression.
pub const SCHEDULE_BYTES_MAX: usize = 256;
/// Occurrences decided by one command; an outage with more of them is worked off in slices.
pub const OCCURRENCES_PER_COMMAND_MAX: usize = 4096;
/// Bytes of a job's arguments (JSON text).
pub const ARGS_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a job's idempotency key.
pub const KEY_BYTES_MAX: usize = 256;
/// Bytes of a job's result (JSON text).
pub const RESULT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an error or a progress message; longer ones are cut at a character.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Jobs in one call.
pub const JOBS_PER_CALL_MAX: usize = 10_000;
/// Bytes of one request's body.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Live jobs in all.
pub const JOBS_MAX: usize = 50_000_000;
/// Items of one batch.
pub const ITEMS_PER_BATCH_MAX: usize = 10_000_000;
/// Items of all batches that are not over.
pub const ITEMS_MAX: usize = 20_000_000;
/// Items of batches that are over, of which is still known how each one ended; the oldest batches lose theirs.
pub const ITEMS_KEPT_MAX: usize = 2_000_000;
/// A batch that is over counts for so many items besides its own: without any it takes room, too.
pub const ITEMS_PER_BATCH_KEPT: usize = 20;
/// Bytes of one item, and of the name of a thing.
pub const ITEM_BYTES_MAX: usize = 1024;
/// Items that one command adds to a batch, or has started.
pub const ITEMS_PER_COMMAND_MAX: usize = 4096;
/// Bytes of what is noted of an item that failed.
pub const ITEM_ERROR_BYTES_MAX: usize = 512;
/// Failed items of one batch of which is noted why.
pub const ITEM_ERRORS_MAX: usize = 10_000;
/// Overrides in all, and bytes of one (JSON text).
pub const OVERRIDES_MAX: usize = 1_000_000;
pub const OVERRIDE_BYTES_MAX: usize = 4 * 1024;
/// Handlings of items are numbered from here, so that they and the attempts of jobs never have the same number.
pub const FIRST_RUN: u32 = 1 << 31;
/// Highest priority; 0 is the lowest.
pub const PRIORITY_MAX: u8 = 9;
/// Attempts of one job.
pub const ATTEMPTS_MAX: u32 = 1000;
/// Attempts that run at once, over all tasks.
pub const RUNNING_MAX: usize = 4096;
/// `queue_size` of one task.
pub const QUEUE_SIZE_MAX: u32 = 50_000_000;
/// `missed_max` of one task: jobs made up for after an outage.
pub const MISSED_MAX: u32 = 100_000;
/// Any duration in a config.
pub const DURATION_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);
/// A due occurrence decided later than this counts as missed, even if the daemon was up.
pub const LATE_AFTER: Duration = Duration::from_secs(60);
/// An attempt that has lived this long did not take the daemon down by starting.
pub const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// Starts of one job in a row that took the daemon down, or its shim, before it is quarantined.
pub const CRASHES_MAX: u8 = 3;
/// Changes of the config that one reload notes in the journal, a sentence each; further ones are counted.
pub const CHANGES_NOTED_MAX: usize = 200;
/// Bytes of all events of one commit; the engine seals a commit before it grows past this.
pub const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of each text of a sweep's finding.
pub const FINDING_TEXT_BYTES_MAX: usize = 512;
/// Findings of one sweep that its asker is told; all are counted.
pub const FINDINGS_LISTED_MAX: usize = 10_000;
/// Findings of the last sweep that are kept; the journal has all that were mended.
pub const FINDINGS_KEPT_MAX: usize = 200;

const _: () = assert!(COMMIT_BYTES_MAX > 2 * (ARGS_BYTES_MAX + KEY_BYTES_MAX + MESSAGE_BYTES_MAX));
const _: () = assert!(JOBS_PER_CALL_MAX <= JOBS_MAX);

/// `text` cut to [`MESSAGE_BYTES_MAX`] at a character.
pub fn message(text: String) -> String {
    cut(text, MESSAGE_BYTES_MAX)
}

/// `text` cut to so many bytes at a character.
pub fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
