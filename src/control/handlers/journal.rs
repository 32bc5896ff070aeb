//! The journal: its events as lines, and whether it is sound.

use axum::Extension;
use axum::extract::{Request, State};

use super::App;
use crate::control::lines::Lines;
use crate::control::live::{self, Wanted};
use crate::control::query::Parameters;
use crate::control::reply::{self, Reply};
use crate::control::server::Stop;
use crate::core::id::{JobId, Seq};

/// Events that may be asked for with `limit`.
const EVENTS_MAX: usize = 1_000_000;

/// Events, oldest first: from `from`, or the last `limit` ones, or all that is kept; with `follow`
/// also those to come.
pub async fn read(State(service): State<App>, Extension(stop): Extension<Stop>, request: Request) -> Reply {
    let mut of = Parameters::of(request.uri())?;
    let from = of.value::<Seq>("from", "a commit number")?;
    let job = of.value::<JobId>("job", "a job number")?;
    let limit = of.count_if("limit", EVENTS_MAX)?;
    let follow = of.switch("follow")?;
    of.finish()?;

    let feed = follow.then(|| service.feed()); // before the end is read: nothing falls between the two
    let tail = limit.filter(|_| from.is_none());
    let start = match (from, tail, job) {
        (Some(from), ..) => from,
        // A commit has at least one event, so the last n events are in the last n commits.
        (None, Some(count), None) => Seq((service.last_seq().await?.0 + 1).saturating_sub(count as u64).max(1)),
        (None, _, Some(job)) => service.journal_begin(job).await?,
        (None, None, None) => Seq(1),
    };
    let lines = Lines { names: service.task_names().await?, job };
    let wanted = Wanted { start, limit, tail: tail.is_some(), feed, stop };
    let commits = service.journal(start).await?;
    Ok(reply::stream(reply::LINES, live::journal(service, commits, lines, wanted)))
}

pub async fn verify(State(service): State<App>) -> Reply {
    reply::json(&service.verify().await?)
}
