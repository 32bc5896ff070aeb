//! Waiting for a job: a bar on standard error while it goes on, its end as the answer.

use indicatif::{ProgressBar, ProgressStyle};

use super::failure::Failure;
use super::session::Session;
use super::table::clean;
use crate::core::id::JobId;
use crate::core::lifecycle::JobState;
use crate::core::view::JobView;
use crate::error::Exit;

/// Waits until the job is finished. Done only if it completed.
pub async fn until_finished(id: JobId, session: &mut Session) -> Result<Exit, Failure> {
    let mut changes = session.open(&format!("/v1/jobs/{id}/watch")).await?.lines();
    let bar = Bar::new();
    let job = loop {
        let Some(line) = changes.next().await? else {
            return Err(Failure::new(Exit::Unreachable, format!("the daemon stopped before job {id} was finished"))
                .hint(format!("the job goes on with the next start; `daybook show {id}` tells how it ended")));
        };
        let line = line.to_vec();
        let job: JobView = serde_json::from_slice(&line).map_err(crate::control::client::Error::Garbled)?;
        bar.show(&job);
        if job.state.is_finished() {
            if session.json {
                session.out.line(&line)?;
            }
            break job;
        }
    };
    bar.end();
    if !session.json && job.state == JobState::Completed {
        let result = job.result.as_ref().map_or_else(String::new, |result| format!(": {}", result.as_str()));
        session.out.line(format!("job {id} is completed{result}"))?;
    }
    session.out.flush()?;
    if job.state == JobState::Completed {
        return Ok(Exit::Done);
    }
    let failure = Failure::new(Exit::No, format!("job {id} is {}", job.state));
    let failure = match &job.error {
        Some(error) => failure.because(error.to_string()),
        None => failure,
    };
    Err(match job.output_bytes {
        0 => failure,
        _ => failure.hint(format!("`daybook output {id}` prints what it said")),
    })
}

/// The bar, which is drawn on a terminal only.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Bar {
        Bar(ProgressBar::new_spinner())
    }

    fn show(&self, job: &JobView) {
        let progress = &job.progress;
        let template = match progress.total {
            0 => "{spinner} job {prefix} {elapsed} {msg}",
            _ => "job {prefix} [{bar:30}] {pos}/{len} {elapsed} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
        if progress.total > 0 {
            self.0.set_length(progress.total);
        }
        self.0.set_position(progress.current);
        self.0.set_prefix(job.id.to_string());
        self.0.set_message(match progress.message.is_empty() {
            true => job.state.to_string(),
            false => clean(&progress.message),
        });
        self.0.tick();
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
