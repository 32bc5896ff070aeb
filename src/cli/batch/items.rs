//! `daybook batch items`

use clap::builder::PossibleValuesParser;

use crate::cli::failure::Failure;
use crate::cli::render::{Colour, say};
use crate::cli::session::Session;
use crate::cli::table::{Column, Row, number, text, word};
use crate::control::batches::ItemView;
use crate::core::id::JobId;
use crate::core::limits;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook batch items 9 --state failed
  daybook batch items 9 --json | jq -r 'select(.state == "failed") | .item'

Exit codes: 0 done, also if there are none; 1 no such batch; 4 the daemon cannot be reached"#;

/// The words for the states of an item.
const STATES: [&str; 6] = ["todo", "running", "done", "advanced", "failed", "skipped"];
/// Rows whose columns are made to fit each other.
const ROWS: usize = 1000;

/// List the items of a batch, in their order
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    /// The batch's number
    #[arg(value_name = "B")]
    batch: JobId,
    /// Only items in this state (can be repeated, or several separated by commas)
    ///
    /// todo, running, done, advanced, failed or skipped.
    #[arg(long, value_name = "S", value_delimiter = ',', value_parser = PossibleValuesParser::new(STATES), hide_possible_values = true)]
    state: Vec<String>,
    /// At most this many
    ///
    /// Default: all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=limits::ITEMS_PER_BATCH_MAX as u64))]
    limit: Option<u64>,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let mut path = format!("/v1/batches/{}/items?state={}", args.batch, args.state.join(","));
    args.limit.iter().for_each(|limit| path.push_str(&format!("&limit={limit}")));
    let mut answer = session.open(&path).await?;
    if session.json {
        while let Some(piece) = answer.piece().await? {
            session.out.raw(&piece)?;
        }
        return Ok(Exit::Done);
    }
    let (mut lines, mut rows) = (answer.lines(), Vec::new());
    let mut columns = [word("STATE"), number("ATTEMPTS"), text("ITEM"), text("ERROR")];
    let mut shown = 0;
    while let Some(item) = lines.value::<ItemView>().await? {
        rows.push(row(&item));
        shown += 1;
        if rows.len() == ROWS {
            print(session, &mut columns, &mut rows)?;
        }
    }
    print(session, &mut columns, &mut rows)?;
    if shown == 0 {
        say("no such items");
    }
    Ok(Exit::Done)
}

/// Prints the rows; the names of the columns only once.
fn print(session: &mut Session, columns: &mut [Column; 4], rows: &mut Vec<Row>) -> Result<(), Failure> {
    if !rows.is_empty() {
        session.out.table(columns, rows)?;
        *columns = [word(""), number(""), text(""), text("")];
        rows.clear();
    }
    Ok(())
}

fn row(item: &ItemView) -> Row {
    let colour = match &*item.state {
        "done" | "advanced" => Some(Colour::Green),
        "running" => Some(Colour::Cyan),
        "failed" => Some(Colour::Red),
        _ => None,
    };
    let error = item.error.as_deref().unwrap_or_default().to_owned();
    Row::new([item.state.to_string(), item.attempts.to_string(), item.item.to_string(), error]).colour(0, colour)
}
