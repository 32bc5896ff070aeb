//! What is made of an answer: the result of the job, or why it failed. Of a long one, only the beginning is read.

use reqwest::header::{self, HeaderMap};
use reqwest::{Response, StatusCode};
use serde_json::Value as Json;

use super::super::Context;
use crate::core::limits::{self, RESULT_BYTES_MAX};

/// Lines of an answer that an error shows.
const LINES_MAX: usize = 3;
/// Bytes of them.
const LINES_BYTES_MAX: usize = 512;

/// Why an answer is no success.
pub(super) enum Failed {
    /// The server said no; the text says how.
    Answered(String),
    /// The rest of the answer did not come.
    Lost(reqwest::Error),
}

/// Reads an answer: its body as JSON, or as a text where it is none or does not fit.
pub(super) async fn read(shown: &str, mut response: Response, context: &Context) -> Result<Json, Failed> {
    let status = response.status();
    let mut body = Vec::new();
    // With one byte more it is known that there is more.
    while body.len() <= RESULT_BYTES_MAX
        && let Some(chunk) = response.chunk().await.map_err(Failed::Lost)?
    {
        body.extend_from_slice(&chunk[..chunk.len().min(RESULT_BYTES_MAX + 1 - body.len())]);
    }
    context.line(&format!("{shown}: {status}"));
    if !status.is_success() {
        return Err(Failed::Answered(refusal(status, response.headers(), &body)));
    }
    let (result, whole) = result(response.headers(), &body);
    if !whole {
        context.line(&format!("the answer has more than {RESULT_BYTES_MAX} bytes; the result is the beginning of it"));
    }
    Ok(result)
}

/// The result, and whether it is all of the answer.
fn result(headers: &HeaderMap, body: &[u8]) -> (Json, bool) {
    if body.is_empty() {
        return (Json::Null, true);
    }
    let whole = body.len() <= RESULT_BYTES_MAX;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if whole
        && content_type.to_ascii_lowercase().contains("json")
        && let Ok(json) = serde_json::from_slice::<Json>(body)
        && json.to_string().len() <= RESULT_BYTES_MAX
    {
        return (json, true);
    }
    let text = String::from_utf8_lossy(body).into_owned();
    let length = text.len();
    let mut result = Json::String(limits::cut(text, RESULT_BYTES_MAX));
    // Written as JSON it is longer, by what its quotes and control characters take.
    while result.to_string().len() > RESULT_BYTES_MAX
        && let Json::String(text) = &mut result
    {
        let shorter = text.len() / 4 * 3;
        *text = limits::cut(std::mem::take(text), shorter);
    }
    let whole = whole && result.as_str().is_some_and(|text| text.len() == length);
    (result, whole)
}

/// The status and the first lines of the body, which may say why.
fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    if status.is_redirection() && headers.contains_key(header::LOCATION) {
        return format!(
            "it answered {status}, which leads elsewhere; only 307 and 308 are followed, and not to another host; \
             correct `url`"
        );
    }
    let text = String::from_utf8_lossy(body);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(LINES_MAX);
    let lines: String = lines.collect::<Vec<_>>().join(" ").replace(char::is_control, " ");
    match lines.is_empty() {
        true => format!("it answered {status}"),
        false => format!("it answered {status}: {}", limits::cut(lines, LINES_BYTES_MAX)),
    }
}
