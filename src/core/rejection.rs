//! All reasons for no. A rejection is an answer and not an error: nothing has changed.

use super::id::JobId;
use super::lifecycle::JobState;
use super::limits;

macro_rules! rejections {
    ($($(#[$doc:meta])* $name:ident $({ $($field:ident: $kind:ty),* })? = $code:literal, $text:literal $(, $bound:expr)?;)*) => {
        /// Why a command was refused.
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum Rejection {
            $($(#[$doc])* #[error($text $(, $bound)?)] $name $({ $($field: $kind),* })?,)*
        }

        impl Rejection {
            /// Every code. They are stable: clients script against them.
            pub const CODES: &[&str] = &[$($code,)*];

            /// The stable code of this reason.
            pub fn code(&self) -> &'static str {
                match self { $(Rejection::$name $({ $($field: _),* })? => $code,)* }
            }
        }
    };
}

rejections! {
    UnknownTask { task: Box<str> } = "unknown_task", "there is no task `{task}` in the config";
    TaskRemoved { task: Box<str> } = "task_removed", "task `{task}` is no longer in the config";
    QueueFull { task: Box<str>, size: u32 } = "queue_full", "the queue of task `{task}` is full: {size} jobs wait";
    TooManyJobs = "too_many_jobs", "there are too many live jobs";
    KeyTaken { key: Box<str>, job: JobId, task: Box<str> } = "key_taken",
        "key `{key}` belongs to job {job} of task `{task}`";
    NotFound { job: JobId } = "not_found", "there is no job {job}, neither live nor in the history";
    AlreadyFinished { job: JobId, state: JobState } = "already_finished", "job {job} is already {state}";
    AlreadyStopping { job: JobId } = "already_stopping", "job {job} is already being ended";
    NotRunning { job: JobId, state: JobState } = "not_running", "job {job} is {state}, not running";
    AlreadyRunning { job: JobId } = "already_running", "job {job} is running";
    AlreadyAvailable { job: JobId } = "already_available", "job {job} already waits for a free place";
    AlreadyPaused { task: Box<str> } = "already_paused", "task `{task}` is already paused";
    NotPaused { task: Box<str> } = "not_paused", "task `{task}` is not paused";
    StaleAttempt { job: JobId } = "stale_attempt", "that attempt of job {job} is over";
    UnknownOp { task: Box<str>, op: Box<str>, known: Box<str> } = "unknown_op",
        "task `{task}` has no operation `{op}`; known: {known}";
    BatchArgs { error: Box<str> } = "batch_args", "the arguments of a batch are `op`, `params` and `restore`: {error}";
    OpMissing { task: Box<str>, known: Box<str> } = "op_missing", "task `{task}` has several operations: name one of {known}";
    NotABatch { task: Box<str> } = "not_a_batch", "task `{task}` has no items";
    ItemsMissing { task: Box<str> } = "items_missing",
        "task `{task}` is a batch whose items are given when it starts: `daybook batch start {task} --items FILE`";
    ItemsNotTaken { task: Box<str> } = "items_not_taken", "task `{task}` reads its items itself and takes none";
    TooManyItems = "too_many_items", "there are too many items";
    LockField { task: Box<str>, lock: Box<str> } = "lock_field",
        "the arguments have not what the lock `{lock}` of task `{task}` is made of";
    GroupBusy { group: Box<str>, job: JobId } = "group_busy",
        "exclusive group `{group}` is busy: batch {job} is under way, or waits for its turn";
    NoBatch { job: JobId } = "no_batch", "job {job} is no batch, or its items are no longer known";
    BatchRunning { job: JobId, what: &'static str } = "batch_running", "batch {job} is running: {what} goes on";
    BatchProgress { job: JobId } = "batch_progress",
        "job {job} is a batch: its progress is that of its items, and nobody else reports it";
    NothingToRepair { job: JobId } = "nothing_to_repair", "batch {job} is completed: nothing is left to repair";
    NoItem { job: JobId, item: Box<str> } = "no_item", "batch {job} has no item `{item}`";
    ItemNotWaiting { job: JobId, item: Box<str>, state: &'static str } = "item_not_waiting",
        "item `{item}` of batch {job} is {state}";
    ItemHeld { key: Box<str>, job: JobId } = "item_held", "`{key}` is being handled by job {job}";
    StartsNothing = "starts_nothing", "this daemon starts nothing now: `execution` is false, or it was drained";
    NoOverride { key: Box<str> } = "no_override", "`{key}` has no override";
    OverrideTooLarge { task: Box<str>, bytes: usize } = "override_too_large",
        "task `{task}` marks its things with the parameters of its jobs, and these have {bytes} bytes; at most {} are taken",
        limits::OVERRIDE_BYTES_MAX;
    TooManyOverrides = "too_many_overrides", "there are too many overrides";
    HistoryUnreadable = "history_unreadable", "the history cannot be read, so nobody knows whether that is there already";
    Stopping = "stopping", "the daemon is stopping and takes no work";
}

impl Rejection {
    /// Whether the same command may be accepted later without anybody changing anything.
    pub fn retryable(&self) -> bool {
        match self {
            Rejection::QueueFull { .. }
            | Rejection::TooManyJobs
            | Rejection::TooManyItems
            | Rejection::GroupBusy { .. }
            | Rejection::BatchRunning { .. }
            | Rejection::ItemHeld { .. }
            | Rejection::HistoryUnreadable
            | Rejection::Stopping => true,
            Rejection::UnknownTask { .. }
            | Rejection::TaskRemoved { .. }
            | Rejection::KeyTaken { .. }
            | Rejection::NotFound { .. }
            | Rejection::AlreadyFinished { .. }
            | Rejection::AlreadyStopping { .. }
            | Rejection::NotRunning { .. }
            | Rejection::AlreadyRunning { .. }
            | Rejection::AlreadyAvailable { .. }
            | Rejection::AlreadyPaused { .. }
            | Rejection::NotPaused { .. }
            | Rejection::StaleAttempt { .. }
            | Rejection::UnknownOp { .. }
            | Rejection::BatchArgs { .. }
            | Rejection::OpMissing { .. }
            | Rejection::NotABatch { .. }
            | Rejection::ItemsMissing { .. }
            | Rejection::ItemsNotTaken { .. }
            | Rejection::LockField { .. }
            | Rejection::NoBatch { .. }
            | Rejection::BatchProgress { .. }
            | Rejection::NothingToRepair { .. }
            | Rejection::NoItem { .. }
            | Rejection::ItemNotWaiting { .. }
            | Rejection::StartsNothing
            | Rejection::NoOverride { .. }
            | Rejection::OverrideTooLarge { .. }
            | Rejection::TooManyOverrides => false,
        }
    }
}

/// What is wrong with the input of a command, found before it reaches the state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("`args` has {bytes} bytes; at most {} are taken", limits::ARGS_BYTES_MAX)]
    ArgsTooLarge { bytes: usize },
    #[error("`key` has {bytes} bytes; 1 to {} are taken", limits::KEY_BYTES_MAX)]
    KeyLength { bytes: usize },
    #[error("`priority` is {priority}; 0 to {} are taken", limits::PRIORITY_MAX)]
    Priority { priority: u8 },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut codes = Rejection::CODES.to_vec();
        codes.sort();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
