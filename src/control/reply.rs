//! Answers: JSON, lines of JSON, plain text, problems.

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use serde::Serialize;

use super::problem::{INTERNAL, Problem, RETRY_AFTER_SECONDS};
use crate::core::time::Timestamp;

/// What a handler answers.
pub type Reply = Result<Response<Body>, Problem>;

pub const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// An answer of `kind` with this body.
pub fn bytes(status: StatusCode, kind: HeaderValue, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// 200 with one value.
pub fn json(value: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(value).map_err(|e| Problem::new(INTERNAL, e.to_string()))?;
    Ok(bytes(StatusCode::OK, JSON, body))
}

/// 200 with a list: an array, or one value a line for those who ask for it.
pub fn list<T: Serialize>(values: &[T], lines: bool) -> Reply {
    if !lines {
        return json(&values);
    }
    let mut body = Vec::new();
    for value in values {
        serde_json::to_writer(&mut body, value).map_err(|e| Problem::new(INTERNAL, e.to_string()))?;
        body.push(b'\n');
    }
    Ok(bytes(StatusCode::OK, LINES, body))
}

/// 200 with pieces as they come.
pub fn stream<S>(kind: HeaderValue, pieces: S) -> Response<Body>
where
    S: futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static,
{
    bytes(StatusCode::OK, kind, Body::from_stream(pieces))
}

/// Whether the request asks for one value a line.
pub fn wants_lines<B>(request: &Request<B>) -> bool {
    let accepted = request.headers().get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| {
        let essence = kind.split(';').next().unwrap_or_default().trim();
        ["application/x-ndjson", "application/ndjson", "application/jsonl"].contains(&essence)
    })
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut body = Vec::with_capacity(256);
        self.write(&mut body);
        let status = StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = bytes(status, PROBLEM, body);
        if self.retryable() {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        }
        response
    }
}

/// The `Date` of an answer, so that a client reckons ages by the daemon's clock.
pub fn date(now: Timestamp) -> Option<HeaderValue> {
    let time = chrono::DateTime::from_timestamp_millis(now.0)?;
    HeaderValue::from_str(&time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_asked_for_by_accept() {
        let with = |value: &str| wants_lines(&Request::builder().header(header::ACCEPT, value).body(()).unwrap());
        assert!(with("application/x-ndjson"));
        assert!(with("text/html, application/ndjson;q=0.5"));
        assert!(!with("application/json"));
        assert!(!wants_lines(&Request::new(())));
    }

    #[test]
    fn the_date_is_as_http_has_it() {
        assert_eq!(date(Timestamp(0)).unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
