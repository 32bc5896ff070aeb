//! Things that items are about, by their names: who handles them, and what is special about them.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::Uri;
use axum::http::request::Parts;
use serde_json::json;

use super::{App, Name};
use crate::control::batches::OverrideFilter;
use crate::control::body;
use crate::control::pages::{self, PAGE_ROWS};
use crate::control::problem::{INVALID_JSON, INVALID_VALUE, Problem};
use crate::control::query::Parameters;
use crate::control::reply::{self, Reply};
use crate::core::item::{check, compact};
use crate::core::json::Json;
use crate::core::limits;

/// The part of a path that is the name of a thing.
pub struct Key(Box<str>);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Key, Problem> {
        let name = Name::from_request_parts(parts, state).await?.0;
        // As long as what a template makes of an item may be.
        let wrong = |error| Problem::new(INVALID_VALUE, format!("the item's key {error}"));
        check(&name, 2 * limits::ITEM_BYTES_MAX).map_err(wrong)?;
        Ok(Key(name))
    }
}

pub async fn show(State(service): State<App>, Key(key): Key, uri: Uri) -> Reply {
    Parameters::of(&uri)?.finish()?;
    reply::json(&service.thing(key).await?)
}

pub async fn remove(State(service): State<App>, Key(key): Key) -> Reply {
    let batches = service.remove_thing(key.clone()).await?;
    reply::json(&json!({ "key": key, "batches": batches }))
}

/// The body is the value.
pub async fn set_override(State(service): State<App>, Key(key): Key, request: Request) -> Reply {
    body::format(request.headers())?;
    let bytes = body::read(request).await?;
    let invalid = |error: String| Problem::new(INVALID_JSON, error);
    let text = std::str::from_utf8(&bytes).map_err(|error| invalid(error.to_string()))?;
    Json::parse(text).map_err(invalid)?;
    let text = compact(text);
    if text.len() > limits::OVERRIDE_BYTES_MAX {
        let (bytes, max) = (text.len(), limits::OVERRIDE_BYTES_MAX);
        return Err(Problem::new(INVALID_VALUE, format!("the override has {bytes} bytes; at most {max} are taken")));
    }
    service.set_override(key.clone(), Json::trusted(text)).await?;
    reply::json(&service.thing(key).await?)
}

pub async fn restore(State(service): State<App>, Key(key): Key) -> Reply {
    service.restore(key.clone()).await?;
    reply::json(&service.thing(key).await?)
}

pub async fn overrides(State(service): State<App>, request: Request) -> Reply {
    let mut of = Parameters::of(request.uri())?;
    let after = of.text("after")?.map(Into::into);
    let limit = of.count("limit", limits::OVERRIDES_MAX, limits::OVERRIDES_MAX)?;
    of.finish()?;
    let lines = reply::wants_lines(&request);
    let first = service.overrides(OverrideFilter { after, limit: limit.min(PAGE_ROWS) }).await?;
    let next = move |last: crate::control::batches::OverrideView, limit| {
        let (service, filter) = (service.clone(), OverrideFilter { after: Some(last.key), limit });
        async move { Ok(service.overrides(filter).await?) }
    };
    Ok(reply::stream(if lines { reply::LINES } else { reply::JSON }, pages::stream(lines, first, limit, next)))
}
