//! `daybook check`

use std::path::Path;

use serde_json::json;

use super::failure::Failure;
use super::render::{Out, count, say};
use super::{CONFIG_DEFAULT, Common};
use crate::config;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook check
  daybook check --config ./daybook.toml --json

Exit codes: 0 no errors, 3 errors"#;

/// Check the config files
///
/// Reads the config as the daemon would, and prints every error with its file, line and key, and every warning: a
/// program that is not there, a password that everybody may read. Run it as the user that the daemon runs as: for root
/// a file that others may write to is an error. Needs no running daemon. Exits with 3 if there is an error, and with 0
/// if there are warnings only.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {}

pub fn run(_: &Args, common: &Common) -> Result<Exit, Failure> {
    let path = common.config.as_deref().unwrap_or(Path::new(CONFIG_DEFAULT));
    let mut out = Out::new();
    let exit = match config::load(path) {
        Ok(config) => {
            let (tasks, warnings) = (config.tasks.len(), &config.warnings);
            if common.json {
                let answer = json!({ "ok": true, "tasks": tasks, "errors": [], "warnings": as_json(warnings) });
                out.line(answer.to_string())?;
            } else {
                warnings.iter().for_each(|warning| say(format!("warning: {warning}")));
                let warned = match warnings.len() {
                    0 => String::new(),
                    number => format!(", {}", count(number as u64, "warning")),
                };
                out.line(format!("{}: no errors{warned}, {}", path.display(), count(tasks as u64, "task")))?;
            }
            Exit::Done
        }
        Err(errors) => {
            if common.json {
                let (list, omitted) = (as_json(&errors.problems), errors.omitted);
                out.line(json!({ "ok": false, "errors": list, "warnings": [], "omitted": omitted }).to_string())?;
            } else {
                say(errors);
            }
            Exit::Config
        }
    };
    out.flush()?;
    Ok(exit)
}

fn as_json(problems: &[config::Problem]) -> Vec<serde_json::Value> {
    let one = |it: &config::Problem| {
        json!({
            "file": it.file, "line": it.line, "column": it.column,
            "key": it.key, "message": it.message, "hint": it.hint,
        })
    };
    problems.iter().map(one).collect()
}
