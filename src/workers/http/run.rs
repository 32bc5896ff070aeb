//! One call: filled with the job's arguments, sent, and waited for until it is cancelled or its time is over.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Url};
use serde_json::{Value as Json, json};
use xxhash_rust::xxh3::xxh3_128;

use super::super::{Context, Error};
use super::{ATTEMPT, Call, IDEMPOTENCY_KEY, JOB, answer, client, template};
use crate::core::limits;

/// Bytes of an item in an idempotency key; of a longer one, its hash is there. Some servers take keys of up to 255.
const KEY_ITEM_BYTES_MAX: usize = 200;

/// Calls once.
pub(super) async fn run(call: &Call, client: &Client, context: Context) -> Result<Json, Error> {
    let arguments = match &context.args {
        Json::Null => json!({}),
        Json::Object(_) => context.args.clone(),
        _ => return Err(Error::Argument { problem: "they must be an object".into() }),
    };
    let refuse = |problem: String| Error::Argument { problem: limits::message(problem) };
    let url = call.url.fill(&arguments).map_err(refuse)?;
    let body = match &call.body {
        Some(body) => Some(body.fill(&arguments).map_err(refuse)?),
        None => call.sends_arguments.then(|| arguments.to_string()),
    };
    let shown = shown(call, &url);
    let mut request = client.request(call.method.clone(), url).headers(headers(call, &context, &arguments));
    if let Some(body) = body {
        request = request.body(body);
    }
    if let Some(timeout) = context.timeout {
        request = request.timeout(timeout);
    }
    let called = async {
        let response = request.send().await.map_err(|error| failed(&shown, error, context.timeout))?;
        answer::read(&shown, response, &context).await.map_err(|error| match error {
            answer::Failed::Answered(problem) => Error::Call { call: shown.clone(), problem },
            answer::Failed::Lost(error) => failed(&shown, error, context.timeout),
        })
    };
    // What is dropped closes its connection, which tells the server.
    tokio::select! {
        biased;
        () = context.cancelled.set() => {
            Err(Error::Cancelled { so_far: format!("`{shown}` was called or not, and its answer not waited for") })
        }
        outcome = called => outcome,
    }
}

/// What may be shown of a call: the path and the query may hold a token.
fn shown(call: &Call, url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{} {}{port}", call.method, url.host_str().unwrap_or_default())
}

fn headers(call: &Call, context: &Context, arguments: &Json) -> HeaderMap {
    let mut headers = call.headers.clone();
    headers.insert(JOB, HeaderValue::from(context.job.0));
    headers.insert(ATTEMPT, HeaderValue::from(context.attempt));
    let key = idempotency_key(context, arguments);
    headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(&key).expect("what is percent-encoded is ASCII"));
    headers
}

/// The job, and behind a `-` the item that is handled, or a hash of several. No two items of a job have the same.
fn idempotency_key(context: &Context, arguments: &Json) -> String {
    let Some(item) = arguments.get("item").or_else(|| arguments.get("items")) else { return context.job.to_string() };
    let item = template::plain(item);
    let encoded = template::encoded(&item);
    match encoded.len() <= KEY_ITEM_BYTES_MAX {
        true => format!("{}-{encoded}", context.job),
        // No encoded text has a `:` in it, so that this is no item's own name.
        false => format!("{}-xxh3:{:032x}", context.job, xxh3_128(item.as_bytes())),
    }
}

/// Why there is no answer.
fn failed(shown: &str, error: reqwest::Error, timeout: Option<Duration>) -> Error {
    let problem = match (error.is_timeout(), error.is_connect(), timeout) {
        (true, true, _) => format!("no connection within {}", humantime::format_duration(client::CONNECT_MAX)),
        (true, false, Some(timeout)) => format!("no answer within {}", humantime::format_duration(timeout)),
        (true, false, None) => "no answer in time".to_owned(),
        (false, true, _) => format!("no connection: {}", cause(error)),
        (false, false, _) => cause(error),
    };
    Error::Call { call: shown.to_owned(), problem }
}

/// The innermost cause: those around it say only that something failed, and may quote the url.
pub(super) fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    limits::message(cause.to_string())
}
