//! `daybook repair`

use serde_json::json;

use super::failure::Failure;
use super::render::{Out, count};
use super::session::Session;
use super::table::{Row, text, word};
use super::time::{iso, relative};
use crate::control::service::Swept;
use crate::core::repair::Report;
use crate::core::time::Timestamp;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook repair
  daybook repair --dry-run
  daybook repair --last --json

Exit codes: 0 done, whatever was found; 4 the daemon cannot be reached"#;

/// Sweep now: find what is broken, fix it, and print both
///
/// The same routine runs every five minutes, at start-up and on SIGHUP. Two never run at once: if one runs already, its
/// report is shown.
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
        false => {
            let asked = json!({ "dry_run": args.dry_run, "door": "cli" });
            session.post("/v1/repair", asked.to_string()).await?
        }
    };
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let out = &mut session.out;
    if args.last {
        let Swept { report, earlier } = whole.read()?;
        tell_when(out, "the last sweep", &report, whole.now)?;
        tell(out, &report, "nothing was broken")?;
        if let Some(earlier) = earlier {
            out.line("")?;
            tell_when(out, "the last with findings", &earlier, whole.now)?;
            tell(out, &earlier, "nothing was broken")?;
        }
        return Ok(Exit::Done);
    }
    let report: Report = whole.read()?;
    if report.joined {
        out.line(format!("a sweep ran already ({}); this is what it found", report.door))?;
    }
    tell(out, &report, "nothing is broken")?;
    Ok(Exit::Done)
}

fn tell_when(out: &mut Out, which: &str, report: &Report, now: Timestamp) -> Result<(), Failure> {
    let (at, door) = (report.at, report.door);
    out.line(format!("{which}: {} ({}), by {door}", iso(at), relative(at, now)))?;
    Ok(())
}

fn tell(out: &mut Out, report: &Report, nothing: &str) -> Result<(), Failure> {
    if report.findings.is_empty() {
        out.line(nothing)?;
        return Ok(());
    }
    let rows: Vec<Row> = report
        .findings
        .iter()
        .map(|it| Row::new([&it.invariant, &it.subject, &it.explanation, &it.action].map(|cell| cell.to_string())))
        .collect();
    out.table(&[word("INVARIANT"), text("SUBJECT"), text("FOUND"), text("ACTION")], &rows)?;
    let more = u64::from(report.found).saturating_sub(rows.len() as u64);
    if more > 0 {
        out.line(format!("and {more} more, of which the journal tells"))?;
    }
    let found = count(u64::from(report.found), "finding");
    match report.dry_run {
        true => out.line(format!("{found}; nothing was changed"))?,
        false => out.line(format!("{found}, {} fixed", report.fixed))?,
    }
    Ok(())
}
