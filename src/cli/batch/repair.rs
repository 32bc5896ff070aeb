//! `daybook batch repair`

use super::wait;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::control::batches::BatchView;
use crate::core::id::JobId;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook batch repair 9
  daybook batch repair 9 --wait

Exit codes: 0 it runs or waits for its turn (with --wait: it completed), 1 refused (or not completed), 4 the daemon cannot be reached"#;

/// Handle again what is not done of a batch, now
///
/// One that was interrupted or ended with failed items is repaired by the sweep, too. Refused while its run or
/// another repair goes on.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The batch's number
    #[arg(value_name = "B")]
    batch: JobId,
    /// Wait until the repair is over; exits with 1 unless the batch completed
    #[arg(long)]
    wait: bool,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let whole = session.post(&format!("/v1/batches/{}/repair", args.batch), String::new()).await?;
    if args.wait {
        return wait::until_over(args.batch, session).await;
    }
    if session.json {
        session.out.line(&whole.bytes)?;
        return Ok(Exit::Done);
    }
    let batch: BatchView = whole.read()?;
    let left = batch.total - batch.finished().min(batch.total);
    session.out.line(format!("batch {} is {}: {left} of {} items are not done", batch.id, batch.state, batch.total))?;
    Ok(Exit::Done)
}
