//! `daybook batch advance`

use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::table::clean;
use crate::control::batches::ItemView;
use crate::core::id::JobId;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook batch advance 9 client-17
  daybook batch advance 9 client-17 --no-wait

Exit codes: 0 it is done (with --no-wait: it is being handled), 1 refused, or it failed; 4 the daemon cannot be reached"#;

/// Handle one item of a batch ahead of its turn, now
///
/// Waits until it is over. When the run comes to it, it is passed over and counted once. Refused if it is being
/// handled or done.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The batch's number
    #[arg(value_name = "B")]
    batch: JobId,
    /// The item, as it was given
    item: String,
    /// Do not wait until it is over
    #[arg(long)]
    no_wait: bool,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let Args { batch, item, no_wait } = args;
    let path = format!("/v1/batches/{batch}/advance?wait={}", u8::from(!no_wait));
    let whole = session.post(&path, json!({ "item": item }).to_string()).await?;
    if session.json {
        session.out.line(&whole.bytes)?;
    }
    let shown = clean(&item);
    if no_wait {
        if !session.json {
            session.out.line(format!("item `{shown}` is being handled"))?;
        }
        return Ok(Exit::Done);
    }
    let item: ItemView = whole.read()?;
    match &*item.state {
        "advanced" | "done" => {
            if !session.json {
                session.out.line(format!("item `{shown}` is done"))?;
            }
            Ok(Exit::Done)
        }
        "failed" => {
            let failure = Failure::new(Exit::No, format!("item `{shown}` failed"));
            Err(item.error.iter().fold(failure, |failure, error| failure.because(clean(error))))
        }
        _ => Err(Failure::new(Exit::No, format!("item `{shown}` is not done: its handling was cut off"))
            .hint("it waits for its turn; advance it again")),
    }
}
