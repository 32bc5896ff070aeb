//! The exit codes of `daybook`, and which kind of failure each stands for.
//!
//! Scripts rely on them: a number is never given another meaning. `daybook --help` prints this table.

use std::process::ExitCode;

/// How a run of `daybook` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The answer is no: the job failed, was not found, or the daemon refused.
    No = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The config is wrong.
    Config = 3,
    /// The daemon cannot be reached.
    Unreachable = 4,
    /// A fault of Daybook's own.
    Internal = 70,
    /// The disk or the journal: nothing more can be promised.
    Disk = 74,
}

impl Exit {
    /// The table as `--help` prints it.
    pub const HELP: &str = "Exit codes:
  0   done
  1   the answer is no: the job failed, was not found, or the daemon refused
  2   the command line is wrong
  3   the config is wrong
  4   the daemon cannot be reached
  70  a fault of Daybook's own
  74  disk or journal: nothing more can be promised";

    /// The code and the title of an error that the daemon had no part in, as `--json` prints them.
    pub fn problem(self) -> (&'static str, &'static str) {
        match self {
            Exit::Done => ("done", "Done"),
            Exit::No => ("no", "The answer is no"),
            Exit::Usage => ("usage", "The command line is wrong"),
            Exit::Config => ("config_invalid", "The config is not accepted"),
            Exit::Unreachable => ("unreachable", "The daemon cannot be reached"),
            Exit::Internal => ("internal", "A fault of Daybook's own"),
            Exit::Disk => ("disk", "The disk or the journal failed"),
        }
    }

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_code() {
        for exit in [Exit::Done, Exit::No, Exit::Usage, Exit::Config, Exit::Unreachable, Exit::Internal, Exit::Disk] {
            assert!(Exit::HELP.lines().any(|line| line.starts_with(&format!("  {:<4}", exit.code()))), "{exit:?}");
        }
    }
}
