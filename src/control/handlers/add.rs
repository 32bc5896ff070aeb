//! `POST /v1/jobs`: one job, an array of them, or one a line. The path that has to be fast.

use std::io::Write;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use bytes::Bytes;

use super::App;
use crate::control::body::{self, Format};
use crate::control::problem::Problem;
use crate::control::query::Parameters;
use crate::control::reply::{self, Reply};
use crate::control::service::{Added, Service};
use crate::control::wire::AddRequest;
use crate::core::rejection::Rejection;

/// The same for the router, which sees only what the server has not taken itself.
pub async fn add_routed(State(service): State<App>, request: Request) -> Reply {
    add(&*service, request).await
}

/// Adds what the body says.
pub async fn add<B>(service: &dyn Service, request: axum::http::Request<B>) -> Reply
where
    B: hyper::body::Body<Data = Bytes, Error: Into<axum::BoxError>>,
{
    if request.uri().query().is_some() {
        Parameters::of(request.uri())?.finish()?;
    }
    let format = body::format(request.headers())?;
    let bytes = body::read(request).await?;
    match format {
        Format::Json if bytes.trim_ascii_start().first() != Some(&b'[') => one(service, &bytes).await,
        Format::Json | Format::Lines => many(service, &bytes, format).await,
    }
}

async fn one(service: &dyn Service, bytes: &[u8]) -> Reply {
    let job = body::parse::<AddRequest<'_>>(bytes)?.into_job(service.now())?;
    let added = service.add_one(job).await?;
    let mut out = Vec::with_capacity(48);
    write_added(&added, &mut out);
    Ok(reply::bytes(status(added.created), reply::JSON, out))
}

async fn many(service: &dyn Service, bytes: &[u8], format: Format) -> Reply {
    let jobs = body::jobs(bytes, format, service.now())?;
    let added = if jobs.is_empty() { Vec::new() } else { service.add(jobs).await? };
    Ok(answer(&added, format))
}

fn status(created: bool) -> StatusCode {
    if created { StatusCode::CREATED } else { StatusCode::OK }
}

/// In order and in kind.
fn answer(added: &[Result<Added, Rejection>], format: Format) -> Response<Body> {
    let (open, separator, close, kind) = match format {
        Format::Json => ("[", b',', "]", reply::JSON),
        Format::Lines => ("", b'\n', "\n", reply::LINES),
    };
    let mut out = Vec::with_capacity(48 * added.len() + 2);
    out.extend_from_slice(open.as_bytes());
    for (i, one) in added.iter().enumerate() {
        if i > 0 {
            out.push(separator);
        }
        match one {
            Ok(added) => write_added(added, &mut out),
            Err(rejection) => Problem::from(rejection).write(&mut out),
        }
    }
    if !added.is_empty() || format == Format::Json {
        out.extend_from_slice(close.as_bytes());
    }
    let created = added.iter().any(|one| one.as_ref().is_ok_and(|added| added.created));
    reply::bytes(status(created), kind, out)
}

fn write_added(added: &Added, out: &mut Vec<u8>) {
    write!(out, "{{\"id\":{},\"created\":{}}}", added.id, added.created).expect("memory takes it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::JobId;

    #[tokio::test]
    async fn answers_are_in_order_and_in_kind() {
        let added = [
            Ok(Added { id: JobId(7), created: true }),
            Err(Rejection::QueueFull { task: "t".into(), size: 3 }),
            Ok(Added { id: JobId(2), created: false }),
        ];
        for (format, count) in [(Format::Json, 1), (Format::Lines, 3)] {
            let response = answer(&added, format);
            assert_eq!(response.status(), StatusCode::CREATED);
            let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
            let text = std::str::from_utf8(&bytes).unwrap();
            assert_eq!(text.lines().count(), count, "{text}");
            let ids: Vec<_> = text.match_indices("\"id\":").map(|(at, _)| &text[at + 5..at + 6]).collect();
            assert_eq!(ids, ["7", "2"]);
            assert!(text.contains(r#""code":"queue_full""#));
        }
        let empty = axum::body::to_bytes(answer(&[], Format::Lines).into_body(), 10).await.unwrap();
        assert!(empty.is_empty());
    }
}
