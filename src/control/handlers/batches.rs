//! Batches: start, list, show, items, repair, advance.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::jobs::{ROWS_DEFAULT, ROWS_MAX};
use super::{App, Job};
use crate::control::batches::{BatchFilter, ItemFilter, Started};
use crate::control::body;
use crate::control::follow;
use crate::control::items::{Format, Lines};
use crate::control::pages::{self, PAGE_ROWS};
use crate::control::problem::{INVALID_VALUE, Problem};
use crate::control::query::Parameters;
use crate::control::reply::{self, Reply};
use crate::control::server::Stop;
use crate::control::wire::{AdvanceRequest, EmptyRequest, StartRequest, Text};
use crate::core::command::AddJob;
use crate::core::id::JobId;
use crate::core::lifecycle::JobState;
use crate::core::limits;
use crate::core::state::batch::ItemState;
use crate::core::texts::Texts;

/// Starts a batch: with items in the body's JSON, or with one item a line and the rest in the query.
pub async fn start(State(service): State<App>, request: Request) -> Reply {
    let format = match body::content_type(request.headers()).as_str() {
        "text/plain" => Format::Plain,
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Format::Json,
        _ => return whole(service, request).await,
    };
    let (head, body) = request.into_parts();
    let mut lines = Lines::new(body, format);
    let started = match asked(&head.uri, &service) {
        Ok(add) => from_lines(service, add, &mut lines).await,
        Err(problem) => Err(problem),
    };
    if !matches!(started, Ok(Started { created: true, .. })) {
        // The answer goes out meanwhile.
        tokio::spawn(lines.waste());
    }
    answer(&started?)
}

async fn whole(service: App, request: Request) -> Reply {
    body::format(request.headers())?;
    Parameters::of(request.uri())?.finish()?;
    let bytes = body::object(request).await?;
    let mut asked = body::parse::<StartRequest<'_>>(&bytes)?;
    let items = asked.items.take();
    let add = asked.into_job(service.now())?;
    let Some(lots) = items else { return answer(&service.start(add).await?) };
    match Opened::open(service, add).await? {
        Ok(mut opened) => {
            for lot in lots.0 {
                opened.give(lot).await?;
            }
            answer(&opened.load().await?)
        }
        Err(known) => answer(&known),
    }
}

/// What the query says of a batch whose items are the body.
fn asked(uri: &axum::http::Uri, service: &App) -> Result<AddJob, Problem> {
    let mut of = Parameters::of(uri)?;
    let text = |value: Option<String>| value.map(|value| Text(value.into()));
    let params = of.text("params")?;
    let params = params.as_deref().map(serde_json::from_str).transpose();
    let request = StartRequest {
        task: text(of.text("task")?),
        op: text(of.text("op")?),
        items: None,
        params: params.map_err(|e| Problem::new(INVALID_VALUE, format!("`params` is no JSON: {e}")))?,
        restore: of.switch("restore")?,
        key: text(of.text("key")?),
        priority: of.value::<u8>("priority", "a number from 0 to 9")?,
    };
    of.finish()?;
    request.into_job(service.now())
}

async fn from_lines(service: App, add: AddJob, lines: &mut Lines) -> Result<Started, Problem> {
    let mut opened = match Opened::open(service, add).await? {
        Ok(opened) => opened,
        Err(known) => return Ok(known),
    };
    loop {
        let lot = lines.lot().await?;
        if lot.is_empty() {
            return opened.load().await;
        }
        opened.give(lot).await?;
    }
}

fn answer(started: &Started) -> Reply {
    reply_with(if started.created { StatusCode::CREATED } else { StatusCode::OK }, started)
}

fn reply_with(status: StatusCode, value: &impl Serialize) -> Reply {
    let mut response: Response<Body> = reply::json(value)?;
    *response.status_mut() = status;
    Ok(response)
}

/// A batch whose items are being given. Unless it is loaded, what has come of it is dropped with this: also when the
/// client goes away, as nobody works on the answer then.
struct Opened {
    service: App,
    add: AddJob,
    id: JobId,
    loaded: bool,
}

impl Opened {
    /// Or the batch that has the same key.
    async fn open(service: App, add: AddJob) -> Result<Result<Opened, Started>, Problem> {
        let added = service.open(add.clone()).await?;
        if added.created {
            return Ok(Ok(Opened { service, add, id: added.id, loaded: false }));
        }
        let known = service.batch(added.id).await.ok();
        let (items, duplicates) = known.map_or((None, 0), |known| (Some(known.total), known.duplicates));
        Ok(Err(Started { id: added.id, created: false, items, duplicates }))
    }

    async fn give(&mut self, items: Texts) -> Result<(), Problem> {
        Ok(self.service.give(self.id, items).await?)
    }

    async fn load(mut self) -> Result<Started, Problem> {
        let started = self.service.load(self.id, self.add.clone()).await?;
        self.loaded = true;
        Ok(started)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Without a runtime the daemon is at its end; the next one drops what has not come in whole.
        if let (false, Ok(runtime)) = (self.loaded, tokio::runtime::Handle::try_current()) {
            let (service, id) = (self.service.clone(), self.id);
            runtime.spawn(async move { service.abandon(id, "its items did not come in whole".into()).await });
        }
    }
}

pub async fn list(State(service): State<App>, request: Request) -> Reply {
    let mut of = Parameters::of(request.uri())?;
    let states = of.list("state").iter().map(|text| text.parse::<JobState>()).collect::<Result<_, _>>();
    let mut filter = BatchFilter {
        states: states.map_err(|e| Problem::new(INVALID_VALUE, format!("`state`: {e}")))?,
        task: of.text("task")?.map(Into::into),
        before: of.value::<JobId>("after", "a batch's number")?,
        limit: of.count("limit", ROWS_DEFAULT, ROWS_MAX)?,
    };
    of.finish()?;
    let lines = reply::wants_lines(&request);
    let limit = std::mem::replace(&mut filter.limit, 0);
    let first = service.batches(BatchFilter { limit: limit.min(PAGE_ROWS), ..filter.clone() }).await?;
    let next = move |last: crate::control::batches::BatchView, limit| {
        let (service, filter) = (service.clone(), BatchFilter { before: Some(last.id), limit, ..filter.clone() });
        async move { Ok(service.batches(filter).await?) }
    };
    Ok(reply::stream(if lines { reply::LINES } else { reply::JSON }, pages::stream(lines, first, limit, next)))
}

/// The batch; with `follow` also as it changes, a line each, until it is over.
pub async fn show(
    State(service): State<App>,
    Job(batch): Job,
    Extension(stop): Extension<Stop>,
    request: Request,
) -> Reply {
    let mut of = Parameters::of(request.uri())?;
    let follow = of.switch("follow")?;
    of.finish()?;
    if !follow {
        return reply::json(&service.batch(batch).await?);
    }
    let feed = service.feed(); // before the first look, so that nothing falls between the two
    let first = service.batch(batch).await?;
    Ok(reply::stream(reply::LINES, follow::batch(service, feed, stop, first)))
}

fn item_state(name: &str) -> Result<ItemState, Problem> {
    let found = ItemState::ALL.into_iter().find(|state| state.name() == name);
    found.ok_or_else(|| {
        let mut names: Vec<&str> = ItemState::ALL.into_iter().map(ItemState::name).collect();
        names.dedup();
        Problem::new(INVALID_VALUE, body::unknown("state", name, &names))
    })
}

/// Items in their order: all of them, unless it is said otherwise.
pub async fn items(State(service): State<App>, Job(batch): Job, request: Request) -> Reply {
    let mut of = Parameters::of(request.uri())?;
    let states = of.list("state").iter().map(|name| item_state(name)).collect::<Result<_, _>>()?;
    let filter = ItemFilter {
        states,
        after: of.text("after")?.map(Into::into),
        only: of.text("item")?.map(Into::into),
        limit: 0,
    };
    let limit = of.count("limit", limits::ITEMS_PER_BATCH_MAX, limits::ITEMS_PER_BATCH_MAX)?;
    of.finish()?;
    let lines = reply::wants_lines(&request);
    let first = service.items(batch, ItemFilter { limit: limit.min(PAGE_ROWS), ..filter.clone() }).await?;
    let next = move |last: crate::control::batches::ItemView, limit| {
        let (service, filter) = (service.clone(), ItemFilter { after: Some(last.item), limit, ..filter.clone() });
        async move { Ok(service.items(batch, filter).await?) }
    };
    Ok(reply::stream(if lines { reply::LINES } else { reply::JSON }, pages::stream(lines, first, limit, next)))
}

pub async fn repair(State(service): State<App>, Job(batch): Job, request: Request) -> Reply {
    let bytes = body::object(request).await?;
    body::parse::<EmptyRequest<'_>>(&bytes)?;
    service.repair_batch(batch).await?;
    reply::json(&service.batch(batch).await?)
}

/// 202 as soon as it is being handled; with `wait` the item once that is over.
pub async fn advance(
    State(service): State<App>,
    Job(batch): Job,
    Extension(stop): Extension<Stop>,
    request: Request,
) -> Reply {
    let mut of = Parameters::of(request.uri())?;
    let wait = of.switch("wait")?;
    of.finish()?;
    let bytes = body::object(request).await?;
    let item = body::parse::<AdvanceRequest<'_>>(&bytes)?.item()?;
    let feed = wait.then(|| service.feed()); // before it begins: its end cannot be missed
    service.advance(batch, item.clone()).await?;
    match feed {
        Some(feed) => reply::json(&follow::item(&service, feed, stop, batch, item).await?),
        None => reply_with(StatusCode::ACCEPTED, &json!({ "item": item, "state": ItemState::Running.name() })),
    }
}
