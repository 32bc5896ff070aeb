//! The daemon itself: health, status, repair, reload, drain.

use axum::extract::{Request, State};
use serde_json::json;

use super::App;
use crate::control::body;
use crate::control::reply::{self, Reply};
use crate::control::wire::{DrainRequest, ReloadRequest, RepairRequest};

pub async fn health(State(service): State<App>) -> Reply {
    service.health().await?;
    reply::json(&json!({ "ok": true }))
}

pub async fn status(State(service): State<App>) -> Reply {
    reply::json(&service.status().await?)
}

pub async fn repair(State(service): State<App>, request: Request) -> Reply {
    let bytes = body::object(request).await?;
    let asked = body::parse::<RepairRequest<'_>>(&bytes)?;
    reply::json(&service.repair(asked.door.into(), asked.dry_run).await?)
}

pub async fn last_repair(State(service): State<App>) -> Reply {
    reply::json(&service.last_repair().await?)
}

pub async fn reload(State(service): State<App>, request: Request) -> Reply {
    let bytes = body::object(request).await?;
    let asked = body::parse::<ReloadRequest<'_>>(&bytes)?;
    reply::json(&service.reload(asked.wait).await?)
}

pub async fn drain(State(service): State<App>, request: Request) -> Reply {
    let bytes = body::object(request).await?;
    let asked = body::parse::<DrainRequest<'_>>(&bytes)?;
    reply::json(&service.drain(asked.kill).await?)
}
