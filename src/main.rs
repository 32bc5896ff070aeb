//! Arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    // Before anything else is set up: a shim is started for each attempt, and is to cost next to nothing.
    if arguments.nth(1).is_some_and(|word| word == "shim") {
        return daybook::shim::run(arguments);
    }
    daybook::cli::run(std::env::args_os()).into()
}
