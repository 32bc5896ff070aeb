//! One run of `passivate-users`: find who is to be passivated, then do it in chunks. No SQL is written here.
//!
//! Where an index leads to them and they are few, candidates are asked for at once: a run with nothing to do costs
//! nothing. Else the table is read in pages, each a statement of its own, so that it is never
//! held for long, however large it is. It is written in chunks, each a transaction of its own that checks every user
//! again. So a run that is killed leaves whole chunks, and the next run finds the rest by the same condition.

use std::collections::BTreeSet;
use std::time::Duration;

use super::tally::Tally;
use super::users::{Candidate, Span, Users};
use super::{Context, Error, PassivateUsers};
use crate::core::time::Timestamp;
use crate::database::{Database, Retry, Timeouts};

/// Rows looked at by one statement: some milliseconds.
const PAGE_ROWS: u32 = if cfg!(test) { 64 } else { 5000 };
/// Candidates that are few.
const FEW: usize = if cfg!(test) { 64 } else { 20_000 };
/// The waits before users who were locked by somebody else are tried again; then they are left to the next run.
const LOCKED_WAITS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600)];

fn limits() -> (Timeouts, Retry) {
    let milliseconds = Duration::from_millis;
    match cfg!(test) {
        true => (
            Timeouts { lock: milliseconds(50), ..Timeouts::default() },
            Retry { tries: 20, first: milliseconds(5), longest: milliseconds(50) },
        ),
        false => (Timeouts::default(), Retry::default()),
    }
}

/// Runs once.
pub(super) async fn run(
    settings: &PassivateUsers,
    database: &Database,
    context: Context,
) -> Result<serde_json::Value, Error> {
    let dry_run = context.dry_run(settings.dry_run)?;
    let cutoff = context.now - settings.inactive_after;
    let mut users = Users::open(settings, database, limits(), cutoff, context.cancelled.clone()).await?;
    let mut run = Run { settings, context: &context, users: &mut users, tally: Tally::default(), dry_run };
    let outcome = run.all().await;
    let tally = run.tally;
    users.close().await;
    match outcome {
        Ok(()) => {}
        // Also one that waited to try again.
        Err(_) if context.cancelled.is_set() => {
            let so_far = format!("{} of {} users done", tally.passivated, tally.candidates);
            return Err(Error::Cancelled { so_far });
        }
        Err(error) => return Err(error),
    }
    let would = if dry_run { "would passivate" } else { "passivated" };
    let unreadable = tally.unreadable.map_or(String::new(), |unreadable| format!(", {unreadable} unreadable"));
    context.line(&format!("{would} {} users of {} looked at{unreadable}", tally.passivated, tally.checked));
    Ok(tally.result(dry_run))
}

struct Run<'r, 'u> {
    settings: &'r PassivateUsers,
    context: &'r Context,
    users: &'r mut Users<'u>,
    tally: Tally,
    dry_run: bool,
}

impl Run<'_, '_> {
    async fn all(&mut self) -> Result<(), Error> {
        if let Some((few, without_key)) = self.users.few(FEW).await? {
            self.leave_without_key(without_key);
            self.tally.checked = few.len() as u64;
            self.tally.candidates = few.len() as u64;
            self.report();
            let mut left = Vec::new();
            for chunk in few.chunks(self.settings.chunk as usize) {
                left.extend(self.chunk(chunk).await?);
            }
            return self.again(left).await;
        }
        if self.users.sorts() {
            let (table, id) = (&self.settings.table, &self.settings.columns.id);
            let note =
                format!("note: column `{id}` of table `{table}` has no index; with one, this would take less time");
            self.context.line(&note);
        }
        let without_key = self.users.without_key().await?;
        self.leave_without_key(without_key);
        let spans = self.count().await?;
        self.report();
        for mut span in spans {
            let mut left = Vec::new();
            loop {
                let chunk = self.users.candidates(&span, self.settings.chunk).await?;
                let Some(last) = chunk.last() else { break };
                span.after = Some(last.key.clone());
                left.extend(self.chunk(&chunk).await?);
                if chunk.len() < self.settings.chunk as usize {
                    break;
                }
            }
            self.again(left).await?;
        }
        Ok(())
    }

    fn leave_without_key(&mut self, users: u64) {
        self.tally.without_key = users;
        if users > 0 {
            let (table, id) = (&self.settings.table, &self.settings.columns.id);
            self.context.line(&format!(
                "left alone {users} users whose key, column `{id}` of table `{table}`, is NULL: nothing tells them apart"
            ));
        }
    }

    /// The first pass: counts, and remembers where candidates are.
    async fn count(&mut self) -> Result<Vec<Span>, Error> {
        let mut spans = Vec::new();
        let mut after = None;
        loop {
            let (span, counts) = self.users.page(after.as_ref(), PAGE_ROWS).await?;
            self.tally.checked += counts.rows;
            self.tally.candidates += counts.candidates;
            *self.tally.unreadable.get_or_insert(0) += counts.unreadable;
            let last = span.last.clone();
            if counts.candidates > 0 {
                spans.push(span);
            }
            self.context.report(self.tally.checked, 0, "looking through users");
            self.unless_cancelled()?;
            match last {
                Some(last) => after = Some(last),
                None => return Ok(spans),
            }
        }
    }

    /// One chunk: its transaction, a line for each user, progress, the pause. Returns those who are left.
    async fn chunk(&mut self, chunk: &[Candidate]) -> Result<Vec<Candidate>, Error> {
        self.unless_cancelled()?;
        let done = if self.dry_run { chunk.to_vec() } else { self.users.passivate(chunk).await? };
        let verb = if self.dry_run { "would passivate" } else { "passivated" };
        for user in &done {
            let seen = Timestamp(user.seen.saturating_mul(1000));
            let tenant =
                user.tenant.as_deref().map_or(String::new(), |tenant| format!(" of {}", tenant.escape_debug()));
            self.context.line(&format!("{verb} {}{tenant}, last seen {seen}", user.key));
        }
        self.tally.add(&done, self.settings.columns.tenant.is_some());
        self.report();
        self.users.pause(self.settings.pause).await;
        let done: BTreeSet<String> = done.iter().map(|user| user.key.to_string()).collect();
        Ok(chunk.iter().filter(|user| !done.contains(&user.key.to_string())).cloned().collect())
    }

    /// Users whose rows were locked get some more chances; those who were seen meanwhile are left alone.
    async fn again(&mut self, mut left: Vec<Candidate>) -> Result<(), Error> {
        for wait in LOCKED_WAITS {
            left = self.still(left).await?;
            if left.is_empty() {
                return Ok(());
            }
            self.users.pause(wait).await;
            let mut locked = Vec::new();
            for chunk in left.chunks(self.settings.chunk as usize) {
                locked.extend(self.chunk(chunk).await?);
            }
            left = locked;
        }
        let locked = self.still(left).await?;
        for user in &locked {
            self.context
                .line(&format!("left alone {}: its row was locked by somebody else, or a trigger kept it", user.key));
        }
        self.tally.locked += locked.len() as u64;
        Ok(())
    }

    async fn still(&mut self, left: Vec<Candidate>) -> Result<Vec<Candidate>, Error> {
        let mut still = Vec::new();
        for chunk in left.chunks(self.settings.chunk as usize) {
            still.extend(self.users.still(chunk).await?);
        }
        Ok(still)
    }

    fn unless_cancelled(&self) -> Result<(), Error> {
        match self.context.cancelled.is_set() {
            true => Err(Error::Cancelled { so_far: String::new() }),
            false => Ok(()),
        }
    }

    fn report(&self) {
        // Users may have become candidates since they were counted, or stopped being so.
        let (current, total) = (self.tally.passivated, self.tally.candidates.max(self.tally.passivated));
        self.context.report(current, total, "passivating users");
    }
}
