//! The handler `http`: a call of somebody else's server for each job or item.
//!
//! What may be set is here, and whether it can be used. How a url and a body get their values is in `template`, the
//! client with its TLS in `client`, one call in `run`, and what is made of the answer in `answer`.
//!
//! A url may hold a token in any of its parts, so no error shows more of it than the host and port.

mod answer;
mod client;
mod run;
mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};

use super::{Context, Error, Run, Worker};
use template::{BodyTemplate, UrlTemplate};

/// The key in the config.
pub(super) const NAME: &str = "http";

/// Bytes of a url as the config writes it.
const URL_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a body as the config writes it.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Headers of one task.
const HEADERS_MAX: usize = 64;
/// Bytes of one header's value.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// Names the job, in each call.
const JOB: &str = "daybook-job";
/// The attempt, from 1, in each call.
const ATTEMPT: &str = "daybook-attempt";
/// The same for every attempt of a job, or of an item of it, so that a server can tell a repetition.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Headers that are set here or by the protocol.
const OWN_HEADERS: [&str; 7] =
    [JOB, ATTEMPT, IDEMPOTENCY_KEY, "content-length", "transfer-encoding", "connection", "host"];

/// What a task of this handler calls.
#[derive(Clone, PartialEq)]
pub struct Http {
    /// The address, `http` or `https`. `{NAME}` in its path or query is the job's argument of this name,
    /// percent-encoded; the host stands there in full, so that no argument can choose who is called.
    pub url: String,
    /// One of [`Http::METHODS`].
    pub method: String,
    /// Sent with each call. `content-type` is `application/json` unless it stands here.
    pub headers: BTreeMap<String, String>,
    /// The text to send, with `{NAME}` as in the url, but written as the content type needs it: as a JSON value, quotes
    /// included; percent-encoded in a form; as it is in all else. Without it, POST, PUT and PATCH send all arguments of
    /// the job as a JSON object, and the others nothing.
    pub body: Option<String>,
}

/// Neither the url nor a value is shown: either may hold a token.
impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("method", &self.method)
            .field("headers", &self.headers.keys())
            .field("body", &self.body.as_ref().map(String::len))
            .finish_non_exhaustive()
    }
}

impl Http {
    /// The methods that there are.
    pub const METHODS: [&str; 5] = ["DELETE", "GET", "PATCH", "POST", "PUT"];
    /// The method where none is given.
    pub const METHOD: &str = "POST";

    /// Whether it can be used; the error names the key and says what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        self.read().map(drop)
    }

    /// The worker that calls it. Connects to nothing yet; its connections are kept and used again by all of its runs.
    ///
    /// # Errors
    /// Those of [`Http::check`].
    pub fn worker(self) -> Result<Arc<dyn Worker>, Error> {
        let call = self.read()?;
        let client = client::client(call.url.is_https())?;
        Ok(Arc::new(Runner { call, client }))
    }

    fn read(&self) -> Result<Call, Error> {
        let url = UrlTemplate::parse(&self.url).map_err(|problem| setting("url", "…", problem))?;
        if !Self::METHODS.contains(&self.method.as_str()) {
            let problem = format!("it must be one of {}", Self::METHODS.join(", "));
            return Err(setting("method", &self.method, problem));
        }
        let method = Method::from_bytes(self.method.as_bytes()).expect("the names of methods are tokens");
        let headers = self.read_headers()?;
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let body = match &self.body {
            Some(text) => {
                Some(BodyTemplate::parse(text, content_type).map_err(|problem| setting("body", "…", problem))?)
            }
            None => None,
        };
        let sends_arguments = matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        Ok(Call { url, method, headers, body, sends_arguments })
    }

    fn read_headers(&self) -> Result<HeaderMap, Error> {
        if self.headers.len() > HEADERS_MAX {
            return Err(setting("headers", "…", format!("there may be at most {HEADERS_MAX}")));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let refuse = |problem: &str| Err(setting("headers", name, problem.to_owned()));
            let Ok(read) = HeaderName::from_bytes(name.as_bytes()) else {
                return refuse("it is no name of a header");
            };
            if OWN_HEADERS.contains(&read.as_str()) {
                return refuse("this one is set by the daemon");
            }
            match HeaderValue::from_str(value) {
                Ok(value) if value.len() <= HEADER_BYTES_MAX => drop(headers.insert(read, value)),
                Ok(_) => return refuse(&format!("its value has more than {HEADER_BYTES_MAX} bytes")),
                Err(_) => return refuse("its value must be in visible ASCII"),
            }
        }
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        Ok(headers)
    }
}

fn setting(key: &'static str, value: &str, problem: String) -> Error {
    Error::Setting { key, value: crate::core::limits::message(value.to_owned()), problem }
}

/// The settings, read.
struct Call {
    url: UrlTemplate,
    method: Method,
    headers: HeaderMap,
    body: Option<BodyTemplate>,
    sends_arguments: bool,
}

struct Runner {
    call: Call,
    client: Client,
}

impl Worker for Runner {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(&self, context: Context) -> Run<'_> {
        Box::pin(run::run(&self.call, &self.client, context))
    }
}
