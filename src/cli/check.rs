//! `daybook check`

use std::path::Path;

use serde_json::json;

use super::failure::Failure;
use super::render::{Out, count};
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
/// Reads the config as the daemon would, and prints every error with its file, line and key. Needs no
/// running daemon. Exits with 3 if there is an error.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {}

pub fn run(_: &Args, common: &Common) -> Result<Exit, Failure> {
    let path = common.config.as_deref().unwrap_or(Path::new(CONFIG_DEFAULT));
    let mut out = Out::new();
    let exit = match config::load(path) {
        Ok(config) => {
            let tasks = count(config.tasks.len() as u64, "task");
            match common.json {
                true => out.line(json!({ "ok": true, "tasks": config.tasks.len(), "errors": [] }).to_string())?,
                false => out.line(format!("{}: no errors, {tasks}", path.display()))?,
            }
            Exit::Done
        }
        Err(errors) => {
            match common.json {
                true => out.line(as_json(&errors).to_string())?,
                false => eprintln!("{errors}"),
            }
            Exit::Config
        }
    };
    out.flush()?;
    Ok(exit)
}

fn as_json(errors: &config::Errors) -> serde_json::Value {
    let list: Vec<_> = errors
        .problems
        .iter()
        .map(|it| {
            json!({
                "file": it.file, "line": it.line, "column": it.column,
                "key": it.key, "message": it.message, "hint": it.hint,
            })
        })
        .collect();
    json!({ "ok": false, "errors": list, "omitted": errors.omitted })
}
