//! One run of `passivate-users`: count in pages, then passivate in chunks. No SQL is written here.
//!
//! The table is never locked for long, however large it is: it is read in pages, each a statement of its own, and
//! written in chunks, each a transaction of its own that checks every user again. So a run that is
//! killed leaves whole chunks, and the next run finds the rest by the same condition.

use serde_json::json;

use super::sqlite::Users;
use super::users::{Candidate, Key};
use super::{Context, Error, PassivateUsers};
use crate::core::time::Timestamp;

/// Rows looked at by one statement: some milliseconds.
const PAGE_ROWS: u32 = if cfg!(test) { 64 } else { 5000 };

/// Rows that hold candidates: those behind `after`, up to `last`.
struct Span {
    after: Option<Key>,
    last: Key,
}

/// What a run has counted so far.
#[derive(Default)]
struct Counts {
    checked: u64,
    candidates: u64,
    unreadable: u64,
    passivated: u64,
    chunks: u64,
}

/// Runs once.
pub(super) async fn run(settings: &PassivateUsers, url: &str, context: Context) -> Result<serde_json::Value, Error> {
    let dry_run = context.dry_run(settings.dry_run)?;
    let cutoff = (context.now - settings.inactive_after).0.div_euclid(1000);
    let mut users = Users::open(settings, url, cutoff, context.cancelled.clone()).await?;
    let mut counts = Counts::default();
    let outcome = both_passes(settings, &context, &mut users, &mut counts, dry_run).await;
    users.close().await;
    match outcome {
        Ok(true) => {}
        Ok(false) => return Err(cancelled(&counts)),
        // It stopped waiting for the lock because it was cancelled.
        Err(Error::Busy { .. }) if context.cancelled.is_set() => return Err(cancelled(&counts)),
        Err(error) => return Err(error),
    }
    let kept = counts.candidates.saturating_sub(counts.passivated);
    context.line(&format!(
        "{} {} users of {} looked at, {} unreadable",
        if dry_run { "would passivate" } else { "passivated" },
        counts.passivated,
        counts.checked,
        counts.unreadable
    ));
    Ok(json!({
        "checked": counts.checked,
        "candidates": counts.candidates,
        "passivated": if dry_run { 0 } else { counts.passivated },
        "seen_meanwhile": if dry_run { 0 } else { kept },
        "unreadable": counts.unreadable,
        "chunks": counts.chunks,
        "dry_run": dry_run,
    }))
}

fn cancelled(counts: &Counts) -> Error {
    Error::Cancelled { so_far: format!("{} of {} users done", counts.passivated, counts.candidates) }
}

/// Whether it got to the end, and did not stop because it was cancelled.
async fn both_passes(
    settings: &PassivateUsers,
    context: &Context,
    users: &mut Users<'_>,
    counts: &mut Counts,
    dry_run: bool,
) -> Result<bool, Error> {
    if users.sorts().await? {
        let (table, id) = (&settings.table, &settings.columns.id);
        context
            .line(&format!("note: column `{id}` of table `{table}` has no index; with one, this would take less time"));
    }
    let Some(spans) = count(context, users, counts).await? else { return Ok(false) };
    context.report(0, counts.candidates, "passivating users");
    for span in spans {
        let mut after = span.after;
        loop {
            if context.cancelled.is_set() {
                return Ok(false);
            }
            let chunk = users.candidates(after.as_ref(), &span.last, settings.chunk).await?;
            let Some(last) = chunk.last() else { break };
            after = Some(last.key.clone());
            let short = chunk.len() < settings.chunk as usize;
            passivate(context, users, counts, chunk, dry_run).await?;
            context.cancelled.pause(settings.pause).await;
            if short {
                break;
            }
        }
    }
    Ok(true)
}

/// The first pass: counts, and remembers where candidates are. None when cancelled.
async fn count(context: &Context, users: &mut Users<'_>, counts: &mut Counts) -> Result<Option<Vec<Span>>, Error> {
    let mut spans = Vec::new();
    let mut after = None;
    while let Some(page) = users.page(after.as_ref(), PAGE_ROWS).await? {
        counts.checked += page.rows;
        counts.candidates += page.candidates;
        counts.unreadable += page.unreadable;
        let before = after.replace(page.last.clone());
        if page.candidates > 0 {
            spans.push(Span { after: before, last: page.last });
        }
        context.report(counts.checked, 0, "looking through users");
        if context.cancelled.is_set() {
            return Ok(None);
        }
    }
    Ok(Some(spans))
}

/// One chunk: its transaction, a line for each user, progress.
async fn passivate(
    context: &Context,
    users: &mut Users<'_>,
    counts: &mut Counts,
    chunk: Vec<Candidate>,
    dry_run: bool,
) -> Result<(), Error> {
    let done = if dry_run { chunk } else { users.passivate(&chunk).await? };
    let verb = if dry_run { "would passivate" } else { "passivated" };
    for user in &done {
        let seen = Timestamp(user.seen.saturating_mul(1000));
        context.line(&format!("{verb} {}, last seen {seen}", user.key));
    }
    counts.chunks += 1;
    counts.passivated += done.len() as u64;
    // Users may have become candidates since they were counted, or stopped being so.
    context.report(counts.passivated, counts.candidates.max(counts.passivated), "passivating users");
    Ok(())
}
