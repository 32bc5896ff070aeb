//! Bodies of requests: read within their bounds, parsed, and, when refused, refused precisely.
//!
//! The fast path parses once into a borrowed struct. Only when that fails the body is looked at again,
//! key by key, to name what is wrong.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::problem::{
    BODY_CUT_OFF, BODY_TOO_LARGE, BODY_TOO_SLOW, INVALID_JSON, INVALID_VALUE, Problem, TOO_MANY_PER_CALL,
    UNKNOWN_FIELD, UNSUPPORTED_MEDIA_TYPE,
};
use super::wire::{AddRequest, Fields, Object, Text};
use crate::core::command::AddJob;
use crate::core::limits;
use crate::core::time::Timestamp;

/// A body must have arrived as a whole after this time.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);

/// Bodies up to this size are read without asking; what they hold is bounded by the number of connections.
const SMALL_BYTES: usize = 64 * 1024;
/// Bytes of all larger bodies that are in memory at once; further ones wait for a place.
const LARGE_BYTES_MAX: usize = 4 * limits::BODY_BYTES_MAX;
/// Places for larger bodies, one for each KiB.
static LARGE: Semaphore = Semaphore::const_new(LARGE_BYTES_MAX / 1024);

/// A body, with the place in memory that it takes.
#[derive(Debug)]
pub struct Received {
    bytes: Bytes,
    _place: Option<SemaphorePermit<'static>>,
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    /// One value a line.
    Lines,
}

/// The content type without its parameters; empty if there is none.
pub fn content_type(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The format that the headers name; JSON if they name none.
pub fn format(headers: &HeaderMap) -> Result<Format, Problem> {
    match content_type(headers).as_str() {
        // `curl -d` calls everything a form; here nothing else is meant by it than JSON.
        "" | "application/json" | "application/x-www-form-urlencoded" => Ok(Format::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Format::Lines),
        other => Err(Problem::new(
            UNSUPPORTED_MEDIA_TYPE,
            format!("the content type is `{other}`; taken are application/json and application/x-ndjson"),
        )),
    }
}

/// The whole body, which is at most [`limits::BODY_BYTES_MAX`] long.
pub async fn read<B>(request: Request<B>) -> Result<Received, Problem>
where
    B: hyper::body::Body<Data = Bytes, Error: Into<axum::BoxError>>,
{
    let too_large = || Problem::new(BODY_TOO_LARGE, format!("at most {} bytes are taken", limits::BODY_BYTES_MAX));
    let body = request.into_body();
    if body.size_hint().lower() > limits::BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    // One that does not say how long it is may be as long as is taken.
    let bytes = body.size_hint().upper().map_or(limits::BODY_BYTES_MAX, |bytes| bytes as usize);
    let place = match bytes {
        0..=SMALL_BYTES => None,
        _ => LARGE.acquire_many(bytes.div_ceil(1024) as u32).await.ok(),
    };
    let whole = Limited::new(body, limits::BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_TIME_MAX, whole).await {
        Ok(Ok(collected)) => Ok(Received { bytes: collected.to_bytes(), _place: place }),
        Ok(Err(e)) if e.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(e)) => Err(Problem::new(BODY_CUT_OFF, format!("the body could not be read: {e}"))),
        Err(_) => {
            let seconds = BODY_TIME_MAX.as_secs();
            Err(Problem::new(BODY_TOO_SLOW, format!("the body did not arrive within {seconds} seconds")))
        }
    }
}

/// The body as one object; an empty body is an object without keys.
pub async fn object(request: Request<Body>) -> Result<Received, Problem> {
    match format(request.headers())? {
        Format::Json => {}
        Format::Lines => return Err(Problem::new(UNSUPPORTED_MEDIA_TYPE, "this route takes application/json only")),
    }
    let mut received = read(request).await?;
    if received.trim_ascii().is_empty() {
        received.bytes = Bytes::from_static(b"{}");
    }
    Ok(received)
}

/// Reads one object.
pub fn parse<'a, T: Fields<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map(|Object(value)| value).map_err(|error| diagnose::<T>(bytes, error))
}

/// What exactly is wrong with an object that was refused with `error`.
#[cold]
fn diagnose<'a, T: Fields<'a>>(bytes: &'a [u8], error: serde_json::Error) -> Problem {
    if !error.is_data() {
        return Problem::new(INVALID_JSON, error.to_string());
    }
    let Ok(object) = serde_json::from_slice::<BTreeMap<Text<'_>, &RawValue>>(bytes) else {
        // What follows a complete but wrong value has not been looked at yet.
        return match serde_json::from_slice::<&RawValue>(bytes) {
            Ok(_) => Problem::new(INVALID_VALUE, "the body is not an object"),
            Err(error) => Problem::new(INVALID_JSON, error.to_string()),
        };
    };
    for (key, raw) in &object {
        if !T::FIELDS.contains(&&*key.0) {
            return Problem::new(UNKNOWN_FIELD, unknown("field", &key.0, T::FIELDS));
        }
        let alone = format!("{{\"{}\":{}}}", key.0, raw.get());
        if let Some(error) = T::probe(&alone) {
            return Problem::new(INVALID_VALUE, format!("`{}`: {}", key.0, without_place(&error)));
        }
    }
    Problem::new(INVALID_VALUE, without_place(&error)) // the same key twice
}

/// The sentence for a name that is not known, with the nearest one that is.
pub fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let shown: String = name.chars().take(64).collect();
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&shown, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min();
    match nearest {
        Some((_, nearest)) => format!("there is no {what} `{shown}`; did you mean `{nearest}`?"),
        None if known.is_empty() => format!("there is no {what} `{shown}`; none is known here"),
        None => format!("there is no {what} `{shown}`; known are {}", known.join(", ")),
    }
}

/// A message of serde_json without the place, which is of no use when only a part was parsed.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// The jobs of a bulk call.
///
/// What the text alone shows to be wrong refuses the call as a whole, with the line, before anything
/// is added; what only the state can refuse is answered for each job.
pub fn jobs(bytes: &[u8], format: Format, now: Timestamp) -> Result<Vec<AddJob>, Problem> {
    match format {
        Format::Json => array(bytes, now),
        Format::Lines => lines(bytes, now),
    }
}

fn too_many() -> Problem {
    Problem::new(TOO_MANY_PER_CALL, format!("at most {} jobs are taken in one call", limits::JOBS_PER_CALL_MAX))
}

fn array(bytes: &[u8], now: Timestamp) -> Result<Vec<AddJob>, Problem> {
    if let Ok(requests) = serde_json::from_slice::<Vec<Object<AddRequest<'_>>>>(bytes) {
        if requests.len() > limits::JOBS_PER_CALL_MAX {
            return Err(too_many());
        }
        let jobs = requests.into_iter().enumerate();
        return jobs
            .map(|(i, Object(request))| request.into_job(now).map_err(|e| e.in_line("element", i + 1)))
            .collect();
    }
    let elements: Vec<&RawValue> =
        serde_json::from_slice(bytes).map_err(|e| Problem::new(INVALID_JSON, e.to_string()))?;
    for (i, element) in elements.iter().enumerate() {
        parse::<AddRequest<'_>>(element.get().as_bytes()).map_err(|e| e.in_line("element", i + 1))?;
    }
    Err(Problem::new(INVALID_JSON, "the array could not be read"))
}

fn lines(bytes: &[u8], now: Timestamp) -> Result<Vec<AddJob>, Problem> {
    let mut jobs = Vec::new();
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', bytes).chain(std::iter::once(bytes.len()));
    for (i, end) in ends.enumerate() {
        let line = bytes[start..end].trim_ascii();
        start = end + 1;
        if line.is_empty() {
            continue;
        }
        if jobs.len() == limits::JOBS_PER_CALL_MAX {
            return Err(too_many());
        }
        let job = parse::<AddRequest<'_>>(line).and_then(|request| request.into_job(now));
        jobs.push(job.map_err(|e| e.in_line("line", i + 1))?);
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (&'static str, String) {
        let problem = parse::<AddRequest<'_>>(text.as_bytes()).map(|_| ()).unwrap_err();
        (problem.kind.code, problem.detail)
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, code, detail) in [
            ("{", "invalid_json", "EOF"),
            (r#"{"task":"t",}"#, "invalid_json", "trailing comma"),
            (r#"{"task":"t"} x"#, "invalid_json", "trailing characters"),
            (r#"{"task":1} x"#, "invalid_json", "trailing characters"),
            ("[]", "invalid_value", "not an object"),
            (r#"["t"]"#, "invalid_value", "not an object"),
            (r#""text""#, "invalid_value", "not an object"),
            (r#"{"task":"t","prioriti":1}"#, "unknown_field", "did you mean `priority`?"),
            (r#"{"task":"t","zzz":1}"#, "unknown_field", "known are task, args"),
            (r#"{"task":7}"#, "invalid_value", "`task`: invalid type: integer `7`"),
            (r#"{"task":"t","priority":300}"#, "invalid_value", "`priority`: invalid value: integer `300`"),
            (r#"{"task":"t","in":[1]}"#, "invalid_value", "`in`: invalid type: sequence"),
            (r#"{"task":"t","task":"u"}"#, "invalid_value", "duplicate field `task`"),
        ] {
            let (found, message) = refused(text);
            assert_eq!(found, code, "{text}: {message}");
            assert!(message.contains(detail), "{text}: {message}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let problem = parse::<AddRequest<'_>>(b"{\"task\":\"t\",\"args\":\"\xff\"}").unwrap_err();
        assert_eq!(problem.kind, INVALID_JSON);
    }

    #[test]
    fn a_bulk_call_names_the_line() {
        let good = r#"{"task":"t"}"#;
        assert_eq!(jobs(format!("{good}\r\n\n{good}").as_bytes(), Format::Lines, Timestamp(0)).unwrap().len(), 2);
        let problem = jobs(format!("{good}\n\n{{\"tsk\":1}}\n").as_bytes(), Format::Lines, Timestamp(0)).unwrap_err();
        assert_eq!((problem.kind, problem.line), (UNKNOWN_FIELD, Some(3)));
        let problem =
            jobs(format!("[{good},{{\"task\":\"t\",\"priority\":10}}]").as_bytes(), Format::Json, Timestamp(0))
                .unwrap_err();
        assert_eq!((problem.kind, problem.line), (INVALID_VALUE, Some(2)));
        let problem = jobs(format!("[{good},[\"t\"]]").as_bytes(), Format::Json, Timestamp(0)).unwrap_err();
        assert_eq!((problem.kind, problem.line), (INVALID_VALUE, Some(2)));
        let problem = jobs(format!("[{good}").as_bytes(), Format::Json, Timestamp(0)).unwrap_err();
        assert_eq!(problem.kind, INVALID_JSON);
        assert!(jobs(b"", Format::Lines, Timestamp(0)).unwrap().is_empty());
        assert!(jobs(b"[]", Format::Json, Timestamp(0)).unwrap().is_empty());
    }

    #[test]
    fn a_bulk_call_is_bounded() {
        let many = vec![r#"{"task":"t"}"#; limits::JOBS_PER_CALL_MAX + 1];
        for (text, format) in [(many.join("\n"), Format::Lines), (format!("[{}]", many.join(",")), Format::Json)] {
            assert_eq!(jobs(text.as_bytes(), format, Timestamp(0)).unwrap_err().kind, TOO_MANY_PER_CALL);
        }
    }

    #[test]
    fn content_types() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            format(&headers).map_err(|e| e.kind.code)
        };
        assert_eq!(format(&HeaderMap::new()), Ok(Format::Json));
        assert_eq!(with("Application/JSON; charset=utf-8"), Ok(Format::Json));
        assert_eq!(with("application/x-ndjson"), Ok(Format::Lines));
        assert_eq!(with("text/xml"), Err("unsupported_media_type"));
    }
}
