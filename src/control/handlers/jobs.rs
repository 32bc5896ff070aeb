//! Jobs: list, show, output, why, watch, cancel, retry, progress.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::Uri;
use futures_util::{FutureExt, StreamExt};
use serde_json::json;

use super::{App, Job};
use crate::control::body;
use crate::control::live;
use crate::control::problem::{INVALID_VALUE, Problem};
use crate::control::query::Parameters;
use crate::control::reply::{self, Reply};
use crate::control::server::{Caller, Stop};
use crate::control::service::{JobFilter, JobPage};
use crate::control::wire::{CancelRequest, EmptyRequest, ProgressRequest};
use crate::core::id::JobId;
use crate::core::lifecycle::JobState;
use crate::core::limits;
use crate::core::view::JobView;

/// Rows that a list has, and may have at most.
pub const ROWS_DEFAULT: usize = 100;
pub const ROWS_MAX: usize = 10_000;

fn filter(service: &App, uri: &Uri) -> Result<JobFilter, Problem> {
    let mut of = Parameters::of(uri)?;
    let states = of.list("state").iter().map(|text| text.parse::<JobState>()).collect::<Result<_, _>>();
    let filter = JobFilter {
        states: states.map_err(|e| Problem::new(INVALID_VALUE, format!("`state`: {e}")))?,
        task: of.text("task")?.map(Into::into),
        since: of.since("since", service.now())?,
        before: of.value::<JobId>("after", "a job number")?,
        orphaned: of.switch("orphaned")?,
        limit: of.count("limit", ROWS_DEFAULT, ROWS_MAX)?,
    };
    of.finish()?;
    Ok(filter)
}

/// Newest first, live and finished ones in one list. It is read and sent in pages.
pub async fn list(State(service): State<App>, request: Request) -> Reply {
    let filter = filter(&service, request.uri())?;
    let lines = reply::wants_lines(&request);
    // What is refused is refused with the first page.
    let first = page(&service, &filter).await?;
    let kind = if lines { reply::LINES } else { reply::JSON };
    Ok(reply::stream(kind, live::jobs(service, filter, first, lines)))
}

/// The next page of a list.
pub async fn page(service: &App, filter: &JobFilter) -> Result<JobPage, Problem> {
    let live = if filter.wants(false) { service.live_jobs(filter.clone()).await? } else { JobPage::default() };
    let finished = if filter.wants(true) { service.finished_jobs(filter.clone()).await? } else { JobPage::default() };
    Ok(merged(live, finished, filter.limit))
}

/// A job that is in both lists has finished, or been retried, in between: its live self is as of the
/// earlier look, like the rest of that list.
fn merged(live: JobPage, finished: JobPage, limit: usize) -> JobPage {
    // Below the end of a list that goes on, the other one alone would leave holes.
    let end = |page: &JobPage| page.jobs.last().filter(|_| page.more).map(|job| job.id);
    let end = end(&live).max(end(&finished));
    let mut jobs: BTreeMap<JobId, JobView> = finished.jobs.into_iter().map(|job| (job.id, job)).collect();
    jobs.extend(live.jobs.into_iter().map(|job| (job.id, job)));
    let known = jobs.len();
    let above = |job: &JobView| end.is_none_or(|end| job.id >= end);
    let jobs: Vec<JobView> = jobs.into_values().rev().take_while(above).take(limit).collect();
    JobPage { more: live.more || finished.more || jobs.len() < known, jobs }
}

pub async fn show(State(service): State<App>, Job(job): Job) -> Reply {
    reply::json(&service.job(job).await?)
}

pub async fn why(State(service): State<App>, Job(job): Job) -> Reply {
    reply::json(&json!({ "id": job, "why": service.why(job).await? }))
}

pub async fn output(State(service): State<App>, Job(job): Job, Extension(stop): Extension<Stop>, uri: Uri) -> Reply {
    let mut of = Parameters::of(&uri)?;
    let attempt = of.count_if("attempt", limits::ATTEMPTS_MAX as usize)?.map(|attempt| attempt as u32);
    let follow = of.switch("follow")?;
    of.finish()?;
    let output = service.output(job, attempt, follow).await?;
    Ok(reply::stream(reply::TEXT, output.take_until(stop.asked().boxed())))
}

/// The job, then the job at each change, a line each, until it is finished.
pub async fn watch(State(service): State<App>, Job(job): Job, Extension(stop): Extension<Stop>) -> Reply {
    let feed = service.feed(); // before the first look, so that nothing falls between the two
    let first = service.job(job).await?;
    Ok(reply::stream(reply::LINES, live::watch(service, feed, stop, first)))
}

pub async fn cancel(
    State(service): State<App>,
    Job(job): Job,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Reply {
    let bytes = body::object(request).await?;
    let asked = body::parse::<CancelRequest<'_>>(&bytes)?.reason;
    let reason = match asked {
        Some(reason) => format!("cancelled by {caller}: {}", reason.0),
        None => format!("cancelled by {caller}"),
    };
    service.cancel(job, limits::message(reason).into()).await?;
    reply::json(&service.job(job).await?)
}

pub async fn retry(State(service): State<App>, Job(job): Job, request: Request) -> Reply {
    let bytes = body::object(request).await?;
    body::parse::<EmptyRequest<'_>>(&bytes)?;
    service.retry(job).await?;
    reply::json(&service.job(job).await?)
}

pub async fn progress(State(service): State<App>, Job(job): Job, request: Request) -> Reply {
    let bytes = body::object(request).await?;
    let asked = body::parse::<ProgressRequest<'_>>(&bytes)?;
    let progress = asked.progress()?;
    service.progress(job, asked.attempt, progress.clone()).await?;
    reply::json(&progress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::json::Json;
    use crate::core::time::Timestamp;

    fn job(id: u64, state: JobState) -> JobView {
        JobView {
            id: JobId(id),
            task: "t".into(),
            state,
            attempts: 0,
            priority: 5,
            key: None,
            args: Json::null(),
            progress: Default::default(),
            result: None,
            error: None,
            output_bytes: 0,
            scheduled_at: None,
            created_at: Timestamp(0),
            due_at: Timestamp(0),
            started_at: None,
            finished_at: None,
            orphaned: false,
        }
    }

    #[test]
    fn lists_are_merged_newest_first_without_doubles() {
        let live = vec![job(9, JobState::Running), job(4, JobState::Running)];
        let finished = vec![job(8, JobState::Completed), job(4, JobState::Completed), job(1, JobState::Completed)];
        let page = |jobs: &[JobView], more| JobPage { jobs: jobs.to_vec(), more };
        let found = |live_more, finished_more, limit| {
            let merged = merged(page(&live, live_more), page(&finished, finished_more), limit);
            (merged.jobs.iter().map(|job| (job.id.0, job.state)).collect::<Vec<_>>(), merged.more)
        };
        let (running, completed) = (JobState::Running, JobState::Completed);
        assert_eq!(found(false, false, 3), (vec![(9, running), (8, completed), (4, running)], true));
        assert_eq!(found(false, false, 9), (vec![(9, running), (8, completed), (4, running), (1, completed)], false));
        assert_eq!(found(true, false, 9), (vec![(9, running), (8, completed), (4, running)], true), "3 may be live");
    }
}
