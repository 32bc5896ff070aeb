//! What a command prints to standard error when it fails: `Error:`, the causes, and a `Hint:` with something to type; with
//! `--json` one object on one line.

use std::io;

use serde_json::json;

use super::render::say;
use crate::control::client;
use crate::error::Exit;

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    pub causes: Vec<String>,
    pub hint: Option<String>,
    /// The API's code and title, where the daemon has refused.
    problem: Option<Box<(String, String)>>,
    /// Nothing is to be said: standard output was closed by its reader.
    quiet: bool,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into(), causes: Vec::new(), hint: None, problem: None, quiet: false }
    }

    pub fn because(mut self, cause: impl Into<String>) -> Failure {
        self.causes.push(cause.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it to standard error and answers the exit code.
    pub fn report(self, json: bool) -> Exit {
        match (self.quiet, json) {
            (true, _) => {}
            (false, true) => say(self.as_json()),
            (false, false) => say(&self),
        }
        self.exit
    }

    /// As the API has it (`code`, `title`, `detail`, `errors`), with the hint and the exit code.
    fn as_json(&self) -> serde_json::Value {
        let (code, title) = self.exit.problem();
        let (code, title) = self.problem.as_ref().map_or((code, title), |problem| (&problem.0, &problem.1));
        json!({
            "code": code, "title": title, "detail": self.message, "errors": self.causes, "hint": self.hint,
            "exit_code": self.exit.code(),
        })
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Error: {}", self.message)?;
        for cause in &self.causes {
            write!(f, "\n  {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nHint: {hint}")?;
        }
        Ok(())
    }
}

impl From<io::Error> for Failure {
    /// Writing to standard output failed.
    fn from(error: io::Error) -> Failure {
        let quiet = error.kind() == io::ErrorKind::BrokenPipe;
        let exit = if quiet { Exit::Done } else { Exit::Disk };
        let failure = Failure::new(exit, "failed to write to standard output").because(error.to_string());
        Failure { quiet, ..failure }
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Failure {
        let message = format!("failed to {error}");
        match error {
            client::Error::Unreachable { source, .. } => {
                let hint = match source.kind() {
                    io::ErrorKind::PermissionDenied => "the socket's group may use it: try `sudo daybook ...`",
                    _ => "is the daemon running? `systemctl status daybook` tells; `daybook demo` starts one to try",
                };
                Failure::new(Exit::Unreachable, message).because(source.to_string()).hint(hint)
            }
            client::Error::Lost(source) => Failure::new(Exit::Unreachable, message)
                .because(chain(&*source))
                .hint("the daemon went away; whether it did what was asked, `daybook jobs` shows when it is back"),
            client::Error::Garbled(source) => Failure::new(Exit::Internal, message)
                .because(source.to_string())
                .hint("`daybook --version` and `daybook status` show whether the versions differ"),
            client::Error::Refused(said) => refused(*said),
        }
    }
}

/// An error and what it came from, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn refused(said: client::Said) -> Failure {
    let hint = match said.code.as_str() {
        "unknown_task" => Some("`daybook tasks` lists the tasks"),
        "task_removed" => Some("put the task back and `daybook reload`; `daybook cancel JOB` gives a job of it up"),
        "not_found" => Some("`daybook jobs` lists jobs"),
        "queue_full" => Some("try again when some are done; `daybook tasks` shows how many wait"),
        "too_many_connections" | "too_many_jobs" | "stopping" | "history_unreadable" => {
            Some("try again a little later")
        }
        "already_available" => Some("`daybook why JOB` tells what it waits for"),
        "items_missing" => Some("`daybook batch start TASK --items FILE` starts it"),
        "items_not_taken" => Some("leave `--items` out"),
        "no_batch" => Some("`daybook batch list` lists batches"),
        "no_item" => Some("`daybook batch items B` lists its items"),
        "group_busy" | "batch_running" | "item_held" => Some("try again when that is over"),
        "no_override" => Some("`daybook item overrides` lists them"),
        "no_output" => Some("`daybook show JOB` tells how far the job is"),
        "config_invalid" => Some("mend the files; `daybook check` looks at them without a daemon"),
        "unknown_route" => Some("the daemon is another version; `daybook status` shows which"),
        _ => None,
    };
    let exit = match (said.code.as_str(), said.status) {
        ("config_invalid", _) => Exit::Config,
        ("unknown_route" | "method_not_allowed", _) => Exit::Internal,
        (_, 400 | 413 | 415) => Exit::Usage,
        (_, 500) => Exit::Internal,
        _ => Exit::No,
    };
    let mut failure = Failure::new(exit, said.detail);
    if !said.errors.iter().all(|error| *error == failure.message) {
        failure.causes = said.errors;
    }
    failure.hint = hint.map(str::to_owned);
    failure.problem = Some(Box::new((said.code, said.title)));
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_error() {
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).report(false), Exit::Done);
        assert_eq!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).exit, Exit::Disk);
    }

    #[test]
    fn exit_codes_follow_the_kind_of_no() {
        for (code, status, exit) in [
            ("queue_full", 429, Exit::No),
            ("not_found", 404, Exit::No),
            ("stopping", 503, Exit::No),
            ("invalid_value", 400, Exit::Usage),
            ("config_invalid", 422, Exit::Config),
            ("internal", 500, Exit::Internal),
        ] {
            let said = client::Said {
                code: code.into(),
                status,
                title: String::new(),
                detail: "no".into(),
                line: None,
                errors: vec![],
            };
            assert_eq!(refused(said).exit, exit, "{code}");
        }
    }
}
