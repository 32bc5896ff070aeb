//! Arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    daybook::cli::run(std::env::args_os()).into()
}
