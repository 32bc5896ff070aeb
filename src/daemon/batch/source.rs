//! Reads the items of a batch that nobody gave: from the config, a file, a query. In lots, each of which the engine has on
//! disk before the next one is read.

use std::path::{Path, PathBuf};

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::config::{Config, ItemSource};
use crate::core::command::Command;
use crate::core::id::JobId;
use crate::core::item::{self, Form};
use crate::core::limits;
use crate::core::texts::Texts;
use crate::daemon::executor::database;
use crate::engine::{Handle, Refusal};
use crate::workers::{self, Sql, stream_items};

/// Items in one lot, and bytes of them: little enough that other jobs hardly wait.
const LOT_ITEMS: usize = 1000;
const LOT_BYTES: usize = 64 * 1024;
/// Bytes of a file that is one JSON array: it is parsed as a whole.
const ARRAY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why the items could not be read. Told to whoever looks at the batch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the items from `{}`: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("cannot read the items from `{}`: item {number} {what}", path.display())]
    Item { path: PathBuf, number: u64, what: String },
    #[error("cannot read the items from `{}`: {error}", path.display())]
    Json { path: PathBuf, error: String },
    #[error("cannot read the items: {0}")]
    Query(#[from] workers::Error),
    #[error("cannot read the items: {0}")]
    Database(String),
    #[error("cannot read the items: row {number} of the query {what}")]
    Row { number: usize, what: String },
    #[error("cannot take the items in: {0}")]
    Refused(#[from] Refusal),
}

/// Reads all items of a batch on behalf of this attempt, and says to the engine that they are all. `names`: an object
/// of values that a query may name, besides those of the config.
///
/// # Errors
/// When they cannot be read, one of them cannot be an item, or there are too many. The batch then has some of them, and
/// the next attempt reads them anew.
pub async fn read(
    engine: &Handle,
    (job, attempt): (JobId, u32),
    source: &ItemSource,
    names: &Value,
    config: &Config,
) -> Result<(), Error> {
    let mut lots = Lots { engine, job, attempt, lot: Texts::new() };
    match source {
        // Those that are given have come before the batch could run.
        ItemSource::Given => {}
        ItemSource::List(items) => {
            for item in items {
                lots.push(item).await?;
            }
        }
        ItemSource::File(path) => read_file(path, &mut lots).await?,
        ItemSource::Sql(sql) => read_rows(sql, names, config, &lots).await?,
    }
    lots.send().await?;
    engine.ask(Command::LoadBatch { job, attempt: Some(attempt), add: None }).await?;
    Ok(())
}

/// Takes items in, lot by lot.
struct Lots<'a> {
    engine: &'a Handle,
    job: JobId,
    attempt: u32,
    lot: Texts,
}

impl Lots<'_> {
    /// One more item, which is known to be one.
    async fn push(&mut self, item: &str) -> Result<(), Error> {
        self.lot.push(item);
        if self.lot.len() >= LOT_ITEMS || self.lot.bytes() >= LOT_BYTES {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Error> {
        let items = std::mem::take(&mut self.lot);
        if !items.is_empty() {
            let command = Command::AddItems { job: self.job, attempt: Some(self.attempt), items };
            self.engine.ask(command).await?;
        }
        Ok(())
    }
}

async fn read_rows(sql: &Sql, names: &Value, config: &Config, lots: &Lots<'_>) -> Result<(), Error> {
    let database = database(&sql.database, config).map_err(Error::Database)?;
    // The config has exactly one.
    let query = sql.statements.first().map_or("", String::as_str);
    let mut args = sql.args.clone();
    let names = names.as_object().into_iter().flatten().filter(|(_, value)| !value.is_object());
    args.extend(names.map(|(name, value)| (name.clone(), value.clone())));
    let (engine, job, attempt) = (lots.engine, lots.job, lots.attempt);
    let mut before = 0;
    let take = |lot: Vec<String>| {
        let found = (before + 1..).zip(&lot).find_map(|(number, item)| wrong(item).map(|what| (number, what)));
        before += lot.len();
        async move {
            if let Some((number, what)) = found {
                return Err(Error::Row { number, what });
            }
            let items = lot.iter().map(String::as_str).collect();
            engine.ask(Command::AddItems { job, attempt: Some(attempt), items }).await?;
            Ok(())
        }
    };
    stream_items(&database, query, &args, take).await?;
    Ok(())
}

/// Why a text can be no item.
fn wrong(text: &str) -> Option<String> {
    item::check(text, limits::ITEM_BYTES_MAX).err()
}

/// One item in a line, or one JSON array of them; empty lines are left out.
async fn read_file(path: &Path, lots: &mut Lots<'_>) -> Result<(), Error> {
    let cannot = |error| Error::File { path: path.to_owned(), error };
    let invalid = |error| Error::Json { path: path.to_owned(), error };
    let mut file = BufReader::new(tokio::fs::File::open(path).await.map_err(cannot)?);
    let mut head = Vec::new();
    let (form, skipped) = loop {
        let piece = file.fill_buf().await.map_err(cannot)?;
        let length = piece.len();
        head.extend_from_slice(piece);
        file.consume(length);
        if let Some(found) = item::form(&head, length == 0).map_err(invalid)? {
            break found;
        }
    };
    let mut file = head[skipped..].chain(file);
    match form {
        Form::Lines => read_lines(path, &mut file, lots).await,
        Form::Array => {
            let mut text = String::new();
            file.take(ARRAY_BYTES_MAX).read_to_string(&mut text).await.map_err(cannot)?;
            let items: Vec<&RawValue> = serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?;
            for (number, raw) in (1..).zip(items) {
                let not_an_item = |what| Error::Item { path: path.to_owned(), number, what };
                lots.push(&item::of_json(raw.get()).map_err(not_an_item)?).await?;
            }
            Ok(())
        }
    }
}

async fn read_lines(path: &Path, file: &mut (impl AsyncBufRead + Unpin), lots: &mut Lots<'_>) -> Result<(), Error> {
    let not_an_item = |number, what| Error::Item { path: path.to_owned(), number, what };
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        // A line that is far too long is not read to its end.
        let mut bounded = (&mut *file).take(8 * limits::ITEM_BYTES_MAX as u64);
        let read = bounded.read_until(b'\n', &mut line).await;
        if read.map_err(|error| Error::File { path: path.to_owned(), error })? == 0 {
            return Ok(());
        }
        number += 1;
        let text = std::str::from_utf8(&line).map_err(|_| not_an_item(number, "is not UTF-8".to_owned()))?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.trim().is_empty() {
            continue;
        }
        match wrong(text) {
            Some(what) => return Err(not_an_item(number, what)),
            None => lots.push(text).await?,
        }
    }
}
