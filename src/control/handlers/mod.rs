//! The routes, with a handler each.

pub mod add;
mod batches;
mod daemon;
pub mod jobs;
mod journal;
mod tasks;
mod things;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::middleware::map_response_with_state;
use axum::response::Response;
use axum::routing::{get, post, put};

use super::problem::{INVALID_VALUE, METHOD_NOT_ALLOWED, Problem, UNKNOWN_ROUTE};
use super::reply;
use super::service::Service;
use crate::core::id::JobId;

/// The daemon as handlers are given it.
pub type App = Arc<dyn Service>;

/// Everything but `POST /v1/jobs`, which the server hands to [`add`] without looking any further.
pub fn router(service: App) -> Router {
    Router::new()
        .route("/healthz", get(daemon::health))
        .route("/v1/status", get(daemon::status))
        .route("/v1/repair", get(daemon::last_repair).post(daemon::repair))
        .route("/v1/reload", post(daemon::reload))
        .route("/v1/drain", post(daemon::drain))
        .route("/v1/jobs", get(jobs::list).post(add::add_routed))
        .route("/v1/jobs/{job}", get(jobs::show))
        .route("/v1/jobs/{job}/output", get(jobs::output))
        .route("/v1/jobs/{job}/why", get(jobs::why))
        .route("/v1/jobs/{job}/watch", get(jobs::watch))
        .route("/v1/jobs/{job}/cancel", post(jobs::cancel))
        .route("/v1/jobs/{job}/retry", post(jobs::retry))
        .route("/v1/jobs/{job}/progress", post(jobs::progress))
        .route("/v1/next", get(tasks::next_of_all))
        .route("/v1/tasks", get(tasks::list))
        .route("/v1/tasks/{task}", get(tasks::show))
        .route("/v1/tasks/{task}/pause", post(tasks::pause))
        .route("/v1/tasks/{task}/resume", post(tasks::resume))
        .route("/v1/tasks/{task}/next", get(tasks::next))
        .route("/v1/tasks/{task}/occurrences", get(tasks::occurrences))
        .route("/v1/batches", get(batches::list).post(batches::start))
        .route("/v1/batches/{batch}", get(batches::show))
        .route("/v1/batches/{batch}/items", get(batches::items))
        .route("/v1/batches/{batch}/repair", post(batches::repair))
        .route("/v1/batches/{batch}/advance", post(batches::advance))
        .route("/v1/items/{key}", get(things::show).delete(things::remove))
        .route("/v1/items/{key}/override", put(things::set_override).delete(things::restore))
        .route("/v1/overrides", get(things::overrides))
        .route("/v1/journal", get(journal::read))
        .route("/v1/journal/verify", get(journal::verify))
        .fallback(unknown_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(map_response_with_state(service.clone(), dated))
        .with_state(service)
}

async fn unknown_route(request: Request) -> Problem {
    Problem::new(UNKNOWN_ROUTE, format!("there is no `{}`; the API is under /v1", shown(&request)))
}

async fn method_not_allowed(request: Request) -> Problem {
    Problem::new(METHOD_NOT_ALLOWED, format!("`{}` does not take {}", shown(&request), request.method()))
}

/// The path, cut to what fits a line.
fn shown(request: &Request) -> String {
    request.uri().path().chars().take(120).collect()
}

async fn dated(axum::extract::State(service): axum::extract::State<App>, mut response: Response) -> Response {
    if let Some(date) = reply::date(service.now()) {
        response.headers_mut().insert(axum::http::header::DATE, date);
    }
    response
}

/// The part of a path that is a name.
pub struct Name(pub Box<str>);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Name, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(name)| Name(name.into())).map_err(|e| Problem::new(INVALID_VALUE, e.to_string()))
    }
}

/// The part of a path that is a job's number.
pub struct Job(pub JobId);

impl<S: Send + Sync> FromRequestParts<S> for Job {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Job, Problem> {
        let name = Name::from_request_parts(parts, state).await?.0;
        name.parse().map(Job).map_err(|e| Problem::new(INVALID_VALUE, e))
    }
}
