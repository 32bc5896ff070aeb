//! All that can be asked of the core. Time, lookups and looks at the outside come with it.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Finished, Process, ScheduleMoved};
use super::id::{JobId, TaskId};
use super::json::Json;
use super::limits;
use super::policy::TaskPolicy;
use super::rejection::Invalid;
use super::repair::{Door, Finding};
use super::texts::Texts;
use super::time::Timestamp;
use super::view::Progress;

/// A request to change the state.
#[derive(Clone, Debug)]
pub enum Command {
    AddJob(AddJob),
    CancelJob {
        job: JobId,
        reason: Box<str>,
    },
    /// `finished`: the job in the history, looked up when it is not live.
    RetryJob {
        job: JobId,
        finished: Option<Box<Finished>>,
    },
    ReportProgress {
        job: JobId,
        attempt: Option<u32>,
        progress: Progress,
    },
    ReportSpawned {
        job: JobId,
        attempt: u32,
        process: Process,
    },
    /// Comes before the attempt's end, if it has printed anything. `bytes`: of its file.
    ReportOutput {
        job: JobId,
        attempt: u32,
        bytes: u64,
    },
    ReportEnded {
        job: JobId,
        attempt: u32,
        ending: Ending,
    },
    /// Time has passed: make available what is due, settle what has lived long enough.
    Tick,
    DecideOccurrences(DueSchedule),
    /// The schedule leaves the config with occurrences that nobody will start.
    LapseOccurrences(DueSchedule),
    DefineTasks {
        tasks: Vec<TaskDefinition>,
    },
    PauseTask {
        task: Box<str>,
    },
    ResumeTask {
        task: Box<str>,
    },
    StartDaemon {
        version: Box<str>,
        pid: u32,
        boot_id: Box<str>,
        /// What there is of the attempts that were under way; those that are left out ended with their daemon.
        found: BTreeMap<JobId, Found>,
        /// The handlings of items that go on, or have ended and will be reported: job and number.
        items: BTreeSet<(JobId, u32)>,
    },
    StopDaemon,
    /// The wall clock was set; `moved`: where schedules go on after it.
    NoteStep {
        milliseconds: i64,
        moved: Vec<ScheduleMoved>,
    },
    NoteSuspend {
        duration: std::time::Duration,
    },
    /// An interrupted job goes on by its task's policy.
    ResolveInterrupted {
        job: JobId,
    },
    /// A place that is taken for a job that does not run with it, or by a job of which nothing runs, becomes free.
    ReleaseAttempt {
        job: JobId,
    },
    /// `job`, of which nothing has begun, is for the same occurrence as the live job `first`.
    CancelTwin {
        job: JobId,
        first: JobId,
    },
    /// A sweep has mended these.
    NoteFound {
        findings: Vec<Finding>,
    },
    FinishSweep {
        door: Door,
        found: u32,
        fixed: u32,
        /// What could not be mended.
        left: Vec<Finding>,
    },
    /// A reload has changed the config: what, in words.
    NoteReload {
        changes: Vec<Box<str>>,
    },
    /// A batch whose items are given: answered by its number, under which they are to come. Nothing runs before
    /// `LoadBatch`.
    OpenBatch(AddJob),
    /// `attempt`: the one that reads the items; none if they are given.
    AddItems {
        job: JobId,
        attempt: Option<u32>,
        items: Texts,
    },
    /// All items are in. `attempt`: the one that has read them; `add`: the job of a batch whose items were given.
    LoadBatch {
        job: JobId,
        attempt: Option<u32>,
        add: Option<AddJob>,
    },
    /// The items that were to be given will not come.
    DropBatch {
        job: JobId,
        reason: Box<str>,
    },
    /// The run of a batch has room for so many more handlings. Ends the run when nothing is left.
    NextItems {
        job: JobId,
        attempt: u32,
        want: u32,
        /// Items in one handling, at least 1: what the run was begun with, whatever the config says now.
        chunk: u32,
    },
    ReportItems {
        job: JobId,
        ended: Vec<ItemEnd>,
    },
    /// Handles one item of a batch now.
    AdvanceItem {
        job: JobId,
        item: Box<str>,
    },
    /// A batch that ended with failed items is repaired, if its time has come.
    RepairBatch {
        job: JobId,
    },
    /// Takes a thing out of all batches in which it waits, and returns it to the default.
    RemoveItem {
        key: Box<str>,
    },
    OverrideItem {
        key: Box<str>,
        params: Json,
    },
    RestoreItem {
        key: Box<str>,
    },
}

/// How the handling of an item ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemEnd {
    /// The item's place in its batch.
    pub item: u32,
    /// The number of the handling.
    pub run: u32,
    pub outcome: ItemOutcome,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ItemOutcome {
    Done,
    Failed {
        error: Box<str>,
    },
    /// It was cut off, or never begun.
    Returned,
}

/// One call of a batch's handler.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemRun {
    pub run: u32,
    pub items: Vec<ItemOrder>,
}

/// One item of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemOrder {
    pub place: u32,
    pub text: Box<str>,
    /// Times that it has been handled, this one among them; up to 255.
    pub attempt: u8,
    /// Its own parameters, instead of the batch's.
    pub params: Option<Json>,
}

/// What a start finds of an attempt that was under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It runs, or has ended and will be reported.
    Kept,
    /// Nothing of it was ever started.
    Unstarted,
    /// Nobody knows how it ended, or whether.
    Lost { reason: Box<str> },
}

/// One job to add.
#[derive(Clone, Debug, Default)]
pub struct AddJob {
    pub task: Box<str>,
    pub args: Json,
    pub key: Option<Box<str>>,
    /// The task's own when absent.
    pub priority: Option<u8>,
    pub when: When,
    /// The finished job that has this key, looked up outside: its number and its task.
    pub known: Option<(JobId, Box<str>)>,
}

/// When a job is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    #[default]
    Now,
    At(Timestamp),
    In(std::time::Duration),
}

impl AddJob {
    /// Checks the bounds of what came from outside.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.args.as_str().len() > limits::ARGS_BYTES_MAX {
            return Err(Invalid::ArgsTooLarge { bytes: self.args.as_str().len() });
        }
        if let Some(bytes) = self.key.as_ref().map(|key| key.len())
            && (bytes == 0 || bytes > limits::KEY_BYTES_MAX)
        {
            return Err(Invalid::KeyLength { bytes });
        }
        match self.priority {
            Some(priority) if priority > limits::PRIORITY_MAX => Err(Invalid::Priority { priority }),
            Some(_) | None => Ok(()),
        }
    }
}

/// How an attempt ended, as the core needs to know it.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    Succeeded {
        result: Option<Json>,
        /// What a person should know of it all the same: its result was too large to keep.
        note: Option<Box<str>>,
    },
    /// It failed, could not be started, or ran out of time.
    Failed { error: Box<str> },
    /// It was ended because somebody asked for that.
    Stopped,
    /// It was cut off: the daemon stops, and the job goes on with the next one, or nobody looks after it any more. `suspect`:
    /// that may have been its own doing, so that it is not to be started without an end.
    Interrupted { reason: Box<str>, suspect: bool },
}

/// A task as the config has it.
#[derive(Clone, Debug)]
pub struct TaskDefinition {
    pub name: Box<str>,
    pub policy: TaskPolicy,
    /// The first instant of each schedule after now; not asked for where the task stays as it is.
    pub next: Vec<Option<Timestamp>>,
}

/// A schedule with the instants that are to be decided, computed outside from
/// (expression, last decided instant, now).
#[derive(Clone, Debug)]
pub struct DueSchedule {
    pub task: TaskId,
    pub schedule: u16,
    /// At most `OCCURRENCES_PER_COMMAND_MAX`, ascending, none after now.
    pub instants: Vec<Timestamp>,
    /// The instant that follows the last of them: due too, when there were more.
    pub next: Option<Timestamp>,
    /// With `missed = "all"`: missed instants before this one are over `missed_max`.
    pub make_up_from: Option<Timestamp>,
}

/// What the asker is told, once it is on disk.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Done,
    Added {
        job: JobId,
        created: bool,
    },
    /// Numbers of the tasks that are new, changed or gone.
    Defined {
        changed: Vec<Box<str>>,
    },
    /// The machine has booted since this state was last used.
    Started {
        new_boot: bool,
    },
    /// Handlings to begin. `wake`: when to ask again, if nothing ends before; else there is nothing to wait for but
    /// locks, or a person.
    Items {
        runs: Vec<ItemRun>,
        wake: Option<Timestamp>,
        /// Items of the batch that are under way besides these.
        under_way: u32,
    },
    /// The run of the batch is over.
    Over,
    /// So many batches have had the item.
    Removed {
        batches: u32,
    },
}
