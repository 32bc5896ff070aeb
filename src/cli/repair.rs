//! `daybook repair`

use serde_json::json;

use super::failure::Failure;
use super::render::count;
use super::session::Session;
use super::table::{Row, text, word};
use super::time::{iso, relative};
use crate::control::service::Swept;
use crate::core::repair::Report;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook repair
  daybook repair --dry-run
  daybook repair --last --json

Exit codes: 0 done, whatever was found; 4 the daemon cannot be reached"#;

/// Sweep now: find what is broken, fix it, and print both
///
/// The same routine runs every five minutes, at start-up and on SIGHUP; two never run at once.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// Only print what would be done
    #[arg(long)]
    dry_run: bool,
    /// Only show what the last sweep found and did, whoever asked for it
    #[arg(long, conflicts_with = "dry_run")]
    last: bool,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = match args.last {
        true => session.get("/v1/repair").await?,
        false => session.post("/v1/repair", json!({ "dry_run": args.dry_run }).to_string()).await?,
    };
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let report: Report = whole.read()?;
    let out = &mut session.out;
    if args.last {
        let at = whole.read::<Swept>()?.at;
        out.line(format!("the last sweep was at {} ({})", iso(at), relative(at, whole.now)))?;
    }
    if report.findings.is_empty() {
        out.line(if args.last { "nothing was broken" } else { "nothing is broken" })?;
        return Ok(Exit::Done);
    }
    let rows: Vec<Row> = report
        .findings
        .iter()
        .map(|it| Row::new([&it.invariant, &it.subject, &it.explanation, &it.action].map(|cell| cell.to_string())))
        .collect();
    out.table(&[word("INVARIANT"), text("SUBJECT"), text("FOUND"), text("ACTION")], &rows)?;
    let found = count(report.findings.len() as u64, "finding");
    match report.dry_run {
        true => out.line(format!("{found}; nothing was changed"))?,
        false => out.line(format!("{found}, {} fixed", report.fixed))?,
    }
    Ok(Exit::Done)
}
