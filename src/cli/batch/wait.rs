//! Waiting for a batch: a bar on standard error while its run goes on, its end as the answer.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::time::length;
use crate::control::batches::BatchView;
use crate::control::client::Error;
use crate::core::id::JobId;
use crate::core::lifecycle::JobState;
use crate::error::Exit;

/// Waits until the run, or the repair, is over. Done only if the batch completed.
pub async fn until_over(id: JobId, session: &mut Session) -> Result<Exit, Failure> {
    let mut changes = session.open(&format!("/v1/batches/{id}?follow=1")).await?.lines();
    let bar = Bar::new();
    let batch = loop {
        let Some(line) = changes.next().await? else {
            return Err(Failure::new(Exit::Unreachable, format!("the daemon stopped before batch {id} was over"))
                .hint(format!("it goes on with the next start; `daybook batch show {id}` tells how far it is")));
        };
        let line = line.to_vec();
        let batch: BatchView = serde_json::from_slice(&line).map_err(Error::Garbled)?;
        bar.show(&batch);
        if is_over(batch.state) {
            if session.json {
                session.out.line(&line)?;
            }
            break batch;
        }
    };
    bar.end();
    if batch.state == JobState::Completed {
        if !session.json {
            session.out.line(format!("batch {id} is completed: {}", counts(&batch)))?;
        }
        return Ok(Exit::Done);
    }
    session.out.flush()?;
    let failure = Failure::new(Exit::No, format!("batch {id} is {}: {}", batch.state, counts(&batch)));
    let failure = batch.error.iter().fold(failure, |failure, error| failure.because(error.to_string()));
    Err(match batch.state {
        JobState::Retryable | JobState::Discarded if batch.failed > 0 => failure.hint(format!(
            "`daybook batch items {id} --state failed` tells why; `daybook batch repair {id}` handles them again"
        )),
        _ => failure.hint(format!("`daybook why {id}` tells more")),
    })
}

/// Whether nothing of it goes on or is about to.
fn is_over(state: JobState) -> bool {
    match state {
        JobState::Scheduled | JobState::Available | JobState::Running => false,
        JobState::Retryable
        | JobState::Interrupted
        | JobState::Completed
        | JobState::Discarded
        | JobState::Cancelled => true,
    }
}

/// `997 of 1000 done, 1 advanced, 2 failed`
fn counts(batch: &BatchView) -> String {
    let mut text = format!("{} of {} done", batch.done, batch.total);
    for (number, word) in [(batch.advanced, "advanced"), (batch.failed, "failed"), (batch.skipped, "skipped")] {
        if number > 0 {
            text.push_str(&format!(", {number} {word}"));
        }
    }
    text
}

/// The bar, which is drawn on a terminal only.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Bar {
        Bar(ProgressBar::new_spinner())
    }

    fn show(&self, batch: &BatchView) {
        // A repair has a bar of its own, of what was left to it.
        let (done, total) = match &batch.repair {
            Some(repair) => (repair.done, repair.total),
            None => (batch.finished() + batch.failed, batch.total),
        };
        let template = match total {
            0 => "{spinner} {prefix} {elapsed} {msg}",
            _ => "{prefix} [{bar:30}] {pos}/{len} {elapsed} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
        self.0.set_length(total);
        self.0.set_position(done);
        self.0.set_prefix(match &batch.repair {
            Some(repair) => format!("batch {}, repair {}", batch.id, repair.number),
            None => format!("batch {}", batch.id),
        });
        self.0.set_message(message(batch));
        self.0.tick();
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}

fn message(batch: &BatchView) -> String {
    let state = match batch.state {
        JobState::Running if !batch.loaded => Some("reading its items".to_owned()),
        JobState::Running => None,
        other => Some(other.to_string()),
    };
    let failed = (batch.failed > 0).then(|| format!("{} failed", batch.failed));
    let rate = batch.rate.map(|rate| format!("{}/s", rate.round()));
    let eta =
        batch.eta.and_then(|eta| Duration::try_from_secs_f64(eta).ok()).map(|eta| format!("{} left", length(eta)));
    [state, failed, rate, eta].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
