//! Tasks: list, show, pause, resume, coming and decided occurrences.

use axum::extract::{Request, State};

use super::jobs::{ROWS_DEFAULT, ROWS_MAX};
use super::{App, Name};
use crate::control::body;
use crate::control::problem::Problem;
use crate::control::query::Parameters;
use crate::control::reply::{self, Reply};
use crate::control::service::{NextFilter, OccurrenceFilter, TaskView};
use crate::control::wire::EmptyRequest;
use crate::core::rejection::Rejection;
use crate::core::time::Timestamp;

/// Coming occurrences that are listed by default.
const COMING_DEFAULT: usize = 10;

pub async fn list(State(service): State<App>, request: Request) -> Reply {
    Parameters::of(request.uri())?.finish()?;
    reply::list(&service.tasks().await?, reply::wants_lines(&request))
}

pub async fn show(State(service): State<App>, Name(task): Name) -> Reply {
    reply::json(&view(&service, &task).await?)
}

async fn view(service: &App, task: &str) -> Result<TaskView, Problem> {
    let found = service.tasks().await?.into_iter().find(|view| &*view.task == task);
    found.ok_or_else(|| Problem::from(&Rejection::UnknownTask { task: task.into() }))
}

pub async fn pause(State(service): State<App>, Name(task): Name, request: Request) -> Reply {
    body::parse::<EmptyRequest<'_>>(&body::object(request).await?)?;
    service.pause(task.clone()).await?;
    reply::json(&view(&service, &task).await?)
}

pub async fn resume(State(service): State<App>, Name(task): Name, request: Request) -> Reply {
    body::parse::<EmptyRequest<'_>>(&body::object(request).await?)?;
    service.resume(task.clone()).await?;
    reply::json(&view(&service, &task).await?)
}

pub async fn next(State(service): State<App>, Name(task): Name, request: Request) -> Reply {
    coming(service, Some(task), request).await
}

pub async fn next_of_all(State(service): State<App>, request: Request) -> Reply {
    coming(service, None, request).await
}

async fn coming(service: App, task: Option<Box<str>>, request: Request) -> Reply {
    let mut of = Parameters::of(request.uri())?;
    let count = of.count("count", COMING_DEFAULT, ROWS_MAX)?;
    let from: Option<Timestamp> = of.value("from", "a time like 2026-11-21T09:00:00Z")?;
    of.finish()?;
    let filter = NextFilter { task, from: from.unwrap_or_else(|| service.now()), count };
    reply::list(&service.next(filter).await?, reply::wants_lines(&request))
}

pub async fn occurrences(State(service): State<App>, Name(task): Name, request: Request) -> Reply {
    let mut of = Parameters::of(request.uri())?;
    let filter = OccurrenceFilter {
        task,
        since: of.since("since", service.now())?,
        limit: of.count("limit", ROWS_DEFAULT, ROWS_MAX)?,
    };
    of.finish()?;
    reply::list(&service.occurrences(filter).await?, reply::wants_lines(&request))
}
