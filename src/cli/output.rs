//! `daybook output`

use serde_json::json;

use super::failure::Failure;
use super::session::Session;
use crate::core::id::JobId;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook output 4711
  daybook output 4711 --follow
  daybook output 4711 --attempt 1

Exit codes: 0 done, 1 no such job or output, 4 the daemon cannot be reached"#;

/// Print what a job has printed
///
/// Both its standard output and standard error, in the order in which they came.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The job's number
    job: JobId,
    /// Go on until the attempt is over
    #[arg(short, long)]
    follow: bool,
    /// The attempt, from 1
    ///
    /// Default: the last one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let mut path = format!("/v1/jobs/{}/output?follow={}", args.job, u8::from(args.follow));
    if let Some(attempt) = args.attempt {
        path.push_str(&format!("&attempt={attempt}"));
    }
    let mut answer = session.open(&path).await?;
    if session.json {
        let mut lines = answer.lines();
        while let Some(line) = lines.next().await? {
            let line = json!({ "job": args.job, "line": String::from_utf8_lossy(line) });
            session.out.line(line.to_string())?;
            session.out.flush()?;
        }
        return Ok(Exit::Done);
    }
    while let Some(piece) = answer.piece().await? {
        session.out.raw(&piece)?;
        session.out.flush()?;
    }
    Ok(Exit::Done)
}
