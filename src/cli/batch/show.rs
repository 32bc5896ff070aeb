//! `daybook batch show`

use std::time::Duration;

use crate::cli::failure::Failure;
use crate::cli::render::state_colour;
use crate::cli::session::Session;
use crate::cli::table::clean;
use crate::cli::time::{iso, length, relative};
use crate::control::batches::BatchView;
use crate::core::id::JobId;
use crate::core::time::Timestamp;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook batch show 9
  daybook batch show 9 --json | jq .failed

Exit codes: 0 done, 1 no such batch, 4 the daemon cannot be reached"#;

/// Show a batch and how far it is
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The batch's number
    #[arg(value_name = "B")]
    batch: JobId,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.get(&format!("/v1/batches/{}", args.batch)).await?;
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let batch: BatchView = whole.read()?;
    let state = match state_colour(batch.state) {
        Some(colour) => session.out.coloured(batch.state.name(), colour),
        None => batch.state.to_string(),
    };
    session.out.facts(&facts(&batch, state, whole.now))?;
    Ok(Exit::Done)
}

fn facts(batch: &BatchView, state: String, now: Timestamp) -> Vec<(&'static str, String)> {
    let at = |at: Option<Timestamp>| at.map_or_else(String::new, |at| format!("{} ({})", iso(at), relative(at, now)));
    let some = |number: u64| if number == 0 { String::new() } else { number.to_string() };
    let text = |text: &Option<Box<str>>| clean(text.as_deref().unwrap_or_default());
    let share = match batch.total {
        0 => String::new(),
        total => format!(", {}% over", u128::from(batch.finished()) * 100 / u128::from(total)),
    };
    let repair = batch.repair.map(|repair| {
        let left = repair.total - repair.done.min(repair.total);
        format!("number {} goes on: {} of {} handled, {left} left", repair.number, repair.done, repair.total)
    });
    let eta = batch.eta.and_then(|eta| Duration::try_from_secs_f64(eta).ok());
    vec![
        ("batch", batch.id.to_string()),
        ("task", batch.task.to_string()),
        ("state", if batch.loaded { state } else { format!("{state}, its items are still to be read") }),
        ("op", text(&batch.op)),
        ("params", batch.params.as_ref().map_or_else(String::new, |params| clean(params.as_str()))),
        ("restore", if batch.restore { "returns its items to the default".to_owned() } else { String::new() }),
        ("group", text(&batch.exclusive)),
        ("items", format!("{}{share}", batch.total)),
        ("done", batch.done.to_string()),
        ("advanced", some(batch.advanced)),
        ("failed", some(batch.failed)),
        ("skipped", some(batch.skipped)),
        ("to do", some(batch.todo)),
        ("running", some(batch.running)),
        ("duplicates", some(batch.duplicates)),
        ("rate", batch.rate.map_or_else(String::new, |rate| format!("{rate} items/s"))),
        ("left", eta.map_or_else(String::new, length)),
        ("repairs", some(batch.repairs.into())),
        ("repair", repair.unwrap_or_default()),
        ("error", text(&batch.error)),
        ("created", at(Some(batch.created_at))),
        ("started", at(batch.started_at)),
        ("finished", at(batch.finished_at)),
    ]
}
