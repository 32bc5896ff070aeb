//! `daybook add`

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::render::say;
use super::session::Session;
use super::{each, wait};
use crate::control::service::Added;
use crate::control::wire::Wait;
use crate::core::time::Timestamp;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook add mail --arg to=ada@example.org --key welcome:42
  daybook add mail --args '{"to": "ada@example.org"}' --in 5m
  daybook add backup --wait
  jq -c '.[]' people.json | daybook add mail --each -

Exit codes: 0 it is on disk (with --wait: it completed), 1 refused (or not completed), 2 wrong arguments, 4 the daemon cannot be reached"#;

/// Add a job, or many
///
/// Prints the job's number once it is on disk. With `--key`, the same key always means the same job: a
/// second call adds nothing and prints the number of the first.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The task's name
    pub task: String,
    /// An argument (can be repeated); V is taken as JSON if it is, else as text
    #[arg(long = "arg", value_name = "K=V", value_parser = argument)]
    arguments: Vec<(String, Box<RawValue>)>,
    /// All arguments, as JSON
    #[arg(long, value_name = "JSON", value_parser = json_text, conflicts_with = "arguments")]
    args: Option<Box<RawValue>>,
    /// A key that makes adding happen once
    #[arg(long, value_name = "K")]
    key: Option<String>,
    /// 0 to 9, 9 first
    ///
    /// Default: the task's own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub priority: Option<u8>,
    /// When it is due (RFC 3339)
    #[arg(long, value_name = "T", conflicts_with = "wait_for")]
    pub at: Option<Timestamp>,
    /// How long it waits before it is due, such as `5m`
    #[arg(long = "in", id = "wait_for", value_name = "D", value_parser = Wait::parse)]
    pub wait_for: Option<Wait>,
    /// Wait until it is finished; exits with 1 unless it completed
    #[arg(long)]
    wait: bool,
    /// One job for each line of JSON arguments in FILE, or standard input for `-`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["arguments", "args", "key", "wait"])]
    each: Option<PathBuf>,
}

/// The body of a call, or one line of it.
#[derive(Serialize)]
pub struct Body<'a> {
    task: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#in: Option<f64>,
}

impl Args {
    /// The job with these arguments.
    pub fn body<'a>(&'a self, args: Option<&'a RawValue>) -> Body<'a> {
        Body {
            task: &self.task,
            args,
            key: self.key.as_deref(),
            priority: self.priority,
            at: self.at,
            r#in: self.wait_for.map(|wait| wait.0.as_secs_f64()),
        }
    }
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    if let Some(file) = &args.each {
        return each::run(&args, file, session).await;
    }
    let given = match (&args.args, args.arguments.is_empty()) {
        (Some(raw), _) => Some(raw.clone()),
        (None, true) => None,
        (None, false) => {
            let object: BTreeMap<_, _> = args.arguments.iter().map(|(name, value)| (name, value)).collect();
            Some(serde_json::value::to_raw_value(&object).map_err(internal)?)
        }
    };
    let body = serde_json::to_string(&args.body(given.as_deref())).map_err(internal)?;
    let whole = session.post("/v1/jobs", body).await?;
    let added: Added = whole.read()?;
    if args.wait {
        return wait::until_finished(added.id, session).await;
    }
    match (session.json, added.created) {
        (true, _) => session.out.line(&whole.bytes)?,
        (false, true) => session.out.line(added.id.to_string())?,
        (false, false) => {
            session.out.line(added.id.to_string())?;
            say("it was there already");
        }
    }
    Ok(Exit::Done)
}

fn internal(error: serde_json::Error) -> Failure {
    Failure::new(Exit::Internal, "failed to write the request").because(error.to_string())
}

/// The value is passed on as it is written: a number that a machine word cannot hold stays what it is.
fn argument(text: &str) -> Result<(String, Box<RawValue>), String> {
    let (name, value) = text.split_once('=').ok_or("an argument is written K=V")?;
    if name.is_empty() {
        return Err("an argument is written K=V; K is missing".to_owned());
    }
    let as_text = |_| serde_json::value::to_raw_value(value).map_err(|e| e.to_string());
    Ok((name.to_owned(), serde_json::from_str(value).or_else(as_text)?))
}

pub fn json_text(text: &str) -> Result<Box<RawValue>, String> {
    serde_json::from_str(text).map_err(|e| format!("it is not JSON: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_json_or_text() {
        for (text, value) in [
            ("a=1", "1"),
            ("a=true", "true"),
            ("a=[1,2]", "[1,2]"),
            ("a=\"1\"", "\"1\""),
            ("a=b=c", "\"b=c\""),
            ("a=", "\"\""),
            ("a=99999999999999999999", "99999999999999999999"),
            ("a=1e999", "1e999"),
            ("a=0.10", "0.10"),
        ] {
            let (name, read) = argument(text).unwrap();
            assert_eq!((name.as_str(), read.get()), ("a", value), "{text}");
        }
        assert!(argument("a").is_err());
        assert!(argument("=1").is_err());
    }
}
