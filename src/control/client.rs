//! The client's end: one keep-alive connection to the daemon, requests one after the other.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, CONTENT_TYPE, DATE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::core::time::Timestamp;

/// Bytes of an answer that is read as a whole.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Why a request was not answered with a yes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens there, or we may not talk to them.
    #[error("reach the daemon at `{path}`", path = socket.display())]
    Unreachable { socket: PathBuf, source: io::Error },
    /// The connection broke before the answer was complete: nobody knows whether it was done.
    #[error("read the daemon's answer")]
    Lost(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The daemon says no.
    #[error("{}", .0.detail)]
    Refused(Box<Said>),
    /// The answer is not what this version expects.
    #[error("understand the daemon's answer")]
    Garbled(#[source] serde_json::Error),
}

/// The problem that the daemon has with a request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Said {
    pub code: String,
    pub status: u16,
    pub title: String,
    pub detail: String,
    /// The line of a bulk call.
    pub line: Option<usize>,
    #[serde(default)]
    pub errors: Vec<String>,
}

/// How a body, and the answer's list, is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Json,
    /// One value a line.
    Lines,
    /// Of a body: one text a line.
    Text,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Json => "application/json",
            Kind::Lines => "application/x-ndjson",
            Kind::Text => "text/plain",
        }
    }
}

/// A connection to the daemon.
pub struct Client {
    sender: SendRequest<UnsyncBoxBody<Bytes, io::Error>>,
}

impl Client {
    /// Connects to the daemon's socket. Needs a tokio runtime, in which the connection lives.
    pub async fn connect(socket: &Path) -> Result<Client, Error> {
        let unreachable = |source| Error::Unreachable { socket: socket.to_owned(), source };
        let stream = UnixStream::connect(socket).await.map_err(unreachable)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| Error::Lost(e.into()))?;
        // How it ends, the request in flight is told.
        tokio::spawn(async move { connection.await.ok() });
        Ok(Client { sender })
    }

    /// Asks; an answer that is a problem is an error.
    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        kind: Kind,
        body: impl Into<Bytes>,
    ) -> Result<Answer, Error> {
        let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
        self.send(method, path, (kind, kind), body).await
    }

    /// Posts a body of this kind as it comes; the answer may come before its end.
    pub async fn stream<S>(&mut self, path: &str, kind: Kind, pieces: S) -> Result<Answer, Error>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let body = StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync();
        self.send(Method::POST, path, (kind, Kind::Json), body).await
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        (given, wanted): (Kind, Kind),
        body: UnsyncBoxBody<Bytes, io::Error>,
    ) -> Result<Answer, Error> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "daybook")
            .header(ACCEPT, wanted.name())
            .header(CONTENT_TYPE, given.name())
            .body(body)
            .map_err(|e| Error::Lost(e.into()))?;
        self.sender.ready().await.map_err(|e| Error::Lost(e.into()))?;
        let response = self.sender.send_request(request).await.map_err(|e| Error::Lost(e.into()))?;
        let answer = Answer { response };
        if answer.response.status().is_success() {
            return Ok(answer);
        }
        let (status, bytes) = (answer.response.status(), answer.bytes().await?);
        Err(Error::Refused(Box::new(serde_json::from_slice(&bytes).unwrap_or_else(|_| Said {
            code: "internal".into(),
            status: status.as_u16(),
            title: status.to_string(),
            detail: format!("the daemon answered {status}"),
            line: None,
            errors: Vec::new(),
        }))))
    }
}

/// An answer, of which the head is here.
pub struct Answer {
    response: Response<Incoming>,
}

impl Answer {
    /// The daemon's clock when it answered, to the second.
    pub fn date(&self) -> Option<Timestamp> {
        let text = self.response.headers().get(DATE)?.to_str().ok()?;
        let time = chrono::DateTime::parse_from_rfc2822(text).ok()?;
        Some(Timestamp(time.timestamp_millis()))
    }

    /// The whole body.
    pub async fn bytes(mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece().await? {
            if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(Error::Lost("it has more than 256 MiB".into()));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// The next piece of the body, as it arrives.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.response.body_mut().frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Error::Lost(error.into())),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The body cut into lines, as they arrive.
    pub fn lines(self) -> Lines {
        Lines { answer: self, buffer: Vec::new(), start: 0, ended: false }
    }
}

/// An answer line by line.
pub struct Lines {
    answer: Answer,
    buffer: Vec<u8>,
    start: usize,
    ended: bool,
}

impl Lines {
    /// The next line, without its end.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        let mut searched = self.start;
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.buffer[searched..]) {
                let (start, end) = (self.start, searched + length);
                self.start = end + 1;
                return Ok(Some(&self.buffer[start..end]));
            }
            if self.ended {
                let start = std::mem::replace(&mut self.start, self.buffer.len());
                return Ok((start < self.buffer.len()).then(|| &self.buffer[start..]));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            searched = self.buffer.len();
            match self.answer.piece().await? {
                Some(piece) if self.buffer.len() + piece.len() > ANSWER_BYTES_MAX => {
                    return Err(Error::Lost("a line of it has more than 256 MiB".into()));
                }
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => self.ended = true,
            }
        }
    }

    /// The next line as a value.
    pub async fn value<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        let Some(line) = self.next().await? else { return Ok(None) };
        serde_json::from_slice(line).map(Some).map_err(Error::Garbled)
    }
}

/// `text` as a part of a path or a query.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte as char),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_path_are_escaped() {
        assert_eq!(escaped("a-b_c.d~1"), "a-b_c.d~1");
        assert_eq!(escaped("a/b ä&"), "a%2Fb%20%C3%A4%26");
    }
}
