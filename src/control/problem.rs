//! Every error code of the API, and the body that carries it (RFC 9457, `application/problem+json`).
//!
//! Codes are stable: clients script against them. A code of a [`Rejection`] has its status here; the
//! others are the API's own.

use serde::Serialize;

use super::service::Refusal;
use crate::core::rejection::Rejection;

/// One kind of problem.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    pub code: &'static str,
    pub status: u16,
    pub title: &'static str,
}

macro_rules! kinds {
    ($($name:ident $code:literal $status:literal $title:literal;)*) => {
        $(pub const $name: &Kind = &Kind { code: $code, status: $status, title: $title };)*

        /// Every kind of problem.
        pub const KINDS: &[&Kind] = &[$($name,)*];
    };
}

kinds! {
    // The request is not understood.
    INVALID_JSON "invalid_json" 400 "The body is not valid JSON";
    UNKNOWN_FIELD "unknown_field" 400 "There is no such field";
    INVALID_VALUE "invalid_value" 400 "A value is not accepted";
    UNKNOWN_PARAMETER "unknown_parameter" 400 "There is no such query parameter";
    TOO_MANY_PER_CALL "too_many_per_call" 413 "Too many jobs in one call";
    BODY_TOO_LARGE "body_too_large" 413 "The body is too large";
    BODY_TOO_SLOW "body_too_slow" 408 "The body did not arrive in time";
    BODY_CUT_OFF "body_cut_off" 400 "The body ended too early";
    UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" 415 "The content type is not supported";
    UNKNOWN_ROUTE "unknown_route" 404 "There is no such route";
    METHOD_NOT_ALLOWED "method_not_allowed" 405 "The route does not take this method";
    TOO_MANY_CONNECTIONS "too_many_connections" 503 "Too many connections are open";
    // The core says no.
    UNKNOWN_TASK "unknown_task" 404 "There is no such task";
    TASK_REMOVED "task_removed" 404 "The task is no longer in the config";
    QUEUE_FULL "queue_full" 429 "The queue of the task is full";
    TOO_MANY_JOBS "too_many_jobs" 429 "There are too many live jobs";
    KEY_TAKEN "key_taken" 409 "The key belongs to a job of another task";
    NOT_FOUND "not_found" 404 "There is no such job";
    ALREADY_FINISHED "already_finished" 409 "The job is already finished";
    ALREADY_STOPPING "already_stopping" 409 "The job is already being ended";
    NOT_RUNNING "not_running" 409 "The job is not running";
    ALREADY_RUNNING "already_running" 409 "The job is running";
    ALREADY_AVAILABLE "already_available" 409 "The job already waits for a free place";
    ALREADY_PAUSED "already_paused" 409 "The task is already paused";
    NOT_PAUSED "not_paused" 409 "The task is not paused";
    STALE_ATTEMPT "stale_attempt" 409 "That attempt is over";
    UNKNOWN_OP "unknown_op" 422 "The task has no such operation";
    OP_MISSING "op_missing" 422 "One of several operations is to be named";
    BATCH_ARGS "batch_args" 422 "The arguments are not those of a batch";
    NOT_A_BATCH "not_a_batch" 422 "The task has no items";
    ITEMS_MISSING "items_missing" 422 "The items of the batch are to be given";
    ITEMS_NOT_TAKEN "items_not_taken" 422 "The task reads its items itself";
    LOCK_FIELD "lock_field" 422 "The arguments do not name the thing that the job is about";
    TOO_MANY_ITEMS "too_many_items" 429 "There are too many items";
    GROUP_BUSY "group_busy" 409 "Another batch of the group is under way";
    NO_BATCH "no_batch" 404 "There is no such batch";
    BATCH_RUNNING "batch_running" 409 "The batch is running";
    BATCH_PROGRESS "batch_progress" 409 "The progress of a batch is that of its items";
    NOTHING_TO_REPAIR "nothing_to_repair" 409 "All of the batch is done";
    NO_ITEM "no_item" 404 "The batch has no such item";
    ITEM_NOT_WAITING "item_not_waiting" 409 "The item does not wait to be handled";
    ITEM_HELD "item_held" 409 "Somebody else handles the item";
    STARTS_NOTHING "starts_nothing" 409 "The daemon starts nothing now";
    NO_OVERRIDE "no_override" 404 "There is no such override";
    OVERRIDE_TOO_LARGE "override_too_large" 422 "The parameters of the thing are too large";
    TOO_MANY_OVERRIDES "too_many_overrides" 409 "There are too many overrides";
    HISTORY_UNREADABLE "history_unreadable" 503 "The history cannot be read";
    STOPPING "stopping" 503 "The daemon is stopping";
    // The daemon cannot.
    NO_OUTPUT "no_output" 404 "There is no such output";
    CONFIG_INVALID "config_invalid" 422 "The config is not accepted; the last good one stays";
    INTERNAL "internal" 500 "The daemon failed to answer";
}

/// Seconds after which a client that met a full queue or a stopping daemon may ask again.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// A problem with what is said about this one.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub kind: &'static Kind,
    /// What is wrong, where, and what would be accepted.
    pub detail: String,
    /// In a bulk call, the line or element that is wrong, from 1.
    pub line: Option<usize>,
    /// Further findings, a text each.
    pub errors: Vec<String>,
}

impl Problem {
    pub fn new(kind: &'static Kind, detail: impl Into<String>) -> Problem {
        Problem { kind, detail: detail.into(), line: None, errors: Vec::new() }
    }

    /// The same problem, found in this line or element of a bulk call.
    pub fn in_line(mut self, unit: &str, line: usize) -> Problem {
        self.detail = format!("{unit} {line}: {}; nothing was added", self.detail);
        self.line = Some(line);
        self
    }

    /// Whether the same request may be accepted a little later.
    pub fn retryable(&self) -> bool {
        matches!(self.kind.status, 429 | 503) || [GROUP_BUSY, BATCH_RUNNING, ITEM_HELD].contains(&self.kind)
    }

    /// Appends the body to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: Type,
            title: &'a str,
            status: u16,
            code: &'a str,
            detail: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            line: Option<usize>,
            #[serde(skip_serializing_if = "<[String]>::is_empty")]
            errors: &'a [String],
        }
        let body = Body {
            r#type: Type(self.kind.code),
            title: self.kind.title,
            status: self.kind.status,
            code: self.kind.code,
            detail: &self.detail,
            line: self.line,
            errors: &self.errors,
        };
        serde_json::to_writer(out, &body).expect("strings and numbers can be written to memory");
    }
}

/// The URI that names a kind of problem.
struct Type(&'static str);

impl Serialize for Type {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("urn:daybook:problem:{}", self.0))
    }
}

impl From<&Rejection> for Problem {
    fn from(rejection: &Rejection) -> Problem {
        let code = rejection.code();
        // A new rejection without a line above is found by a test, and still answered until then.
        let kind = KINDS.iter().find(|kind| kind.code == code).copied().unwrap_or(INTERNAL);
        Problem::new(kind, rejection.to_string())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        match refusal {
            Refusal::Rejected(rejection) => Problem::from(&rejection),
            Refusal::NoOutput { job } => Problem::new(NO_OUTPUT, format!("job {job} has no such output")),
            Refusal::Config { errors } => Problem {
                kind: CONFIG_INVALID,
                detail: match errors.as_slice() {
                    [only] => only.clone(),
                    several => format!("{} errors in the config", several.len()),
                },
                line: None,
                errors,
            },
            Refusal::Invalid(detail) => Problem::new(INVALID_VALUE, detail),
            Refusal::Gone => Problem::new(STOPPING, "the daemon has stopped taking commands"),
            Refusal::Failed(detail) => Problem::new(INTERNAL, detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::JobId;

    #[test]
    fn codes_are_unique_and_cover_every_rejection() {
        let mut codes: Vec<_> = KINDS.iter().map(|kind| kind.code).collect();
        codes.sort();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
        for code in Rejection::CODES {
            assert!(codes.binary_search(code).is_ok(), "`{code}` has no line in the table");
        }
    }

    #[test]
    fn what_the_core_calls_retryable_has_a_status_that_says_so() {
        let rejections = [
            Rejection::QueueFull { task: "t".into(), size: 1 },
            Rejection::TooManyJobs,
            Rejection::Stopping,
            Rejection::UnknownTask { task: "t".into() },
            Rejection::NotPaused { task: "t".into() },
            Rejection::TooManyItems,
            Rejection::GroupBusy { group: "g".into(), job: JobId(1) },
            Rejection::BatchRunning { job: JobId(1), what: "its run" },
            Rejection::NothingToRepair { job: JobId(1) },
            Rejection::ItemHeld { key: "k".into(), job: JobId(1) },
            Rejection::TooManyOverrides,
        ];
        for rejection in rejections {
            assert_eq!(Problem::from(&rejection).retryable(), rejection.retryable(), "{rejection}");
        }
    }

    #[test]
    fn the_body_is_a_problem_of_rfc_9457() {
        let mut out = Vec::new();
        Problem::new(INVALID_VALUE, "`in` is \"x\"").in_line("line", 3).write(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"type":"urn:daybook:problem:invalid_value","title":"A value is not accepted","status":400,"#.to_owned()
                + r#""code":"invalid_value","detail":"line 3: `in` is \"x\"; nothing was added","line":3}"#
        );
    }
}
