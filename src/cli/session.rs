//! One run of a client: its connection, made when it is first needed, and its output.

use std::io;

use bytes::Bytes;
use futures_util::Stream;
use hyper::Method;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::render::Out;
use super::{Common, socket};
use crate::clock::{Clock, SystemClock};
use crate::control::client::{Answer, Client, Error, Kind};
use crate::core::time::Timestamp;

/// A connection to the daemon and where answers are printed.
pub struct Session {
    pub common: Common,
    pub json: bool,
    pub out: Out,
    client: Option<Client>,
}

/// An answer that has arrived as a whole.
pub struct Whole {
    /// The daemon's clock when it answered.
    pub now: Timestamp,
    pub bytes: Vec<u8>,
}

impl Whole {
    /// The body as a value.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        Ok(serde_json::from_slice(&self.bytes).map_err(Error::Garbled)?)
    }

    /// The body as a list, one value a line.
    pub fn read_lines<T: DeserializeOwned>(&self) -> Result<Vec<T>, Failure> {
        let lines = self.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| Ok(serde_json::from_slice(line).map_err(Error::Garbled)?)).collect()
    }
}

impl Session {
    pub fn new(common: Common) -> Session {
        Session { json: common.json, out: Out::new(), client: None, common }
    }

    async fn client(&mut self) -> Result<&mut Client, Failure> {
        match &mut self.client {
            Some(client) => Ok(client),
            none => Ok(none.insert(Client::connect(&socket::find(&self.common)?).await?)),
        }
    }

    /// Asks for something that may go on arriving.
    pub async fn open(&mut self, path: &str) -> Result<Answer, Failure> {
        Ok(self.client().await?.ask(Method::GET, path, Kind::Lines, "").await?)
    }

    /// Asks for one object.
    pub async fn get(&mut self, path: &str) -> Result<Whole, Failure> {
        whole(self.client().await?.ask(Method::GET, path, Kind::Json, "").await?).await
    }

    /// Asks for a list, one value a line.
    pub async fn list(&mut self, path: &str) -> Result<Whole, Failure> {
        whole(self.open(path).await?).await
    }

    /// Asks for something to be done.
    pub async fn post(&mut self, path: &str, body: String) -> Result<Whole, Failure> {
        whole(self.client().await?.ask(Method::POST, path, Kind::Json, body).await?).await
    }

    /// Puts a value where there may be one.
    pub async fn put(&mut self, path: &str, body: String) -> Result<Whole, Failure> {
        whole(self.client().await?.ask(Method::PUT, path, Kind::Json, body).await?).await
    }

    pub async fn delete(&mut self, path: &str) -> Result<Whole, Failure> {
        whole(self.client().await?.ask(Method::DELETE, path, Kind::Json, "").await?).await
    }

    /// Asks for something to be done with what comes, as it comes.
    pub async fn post_stream<S>(&mut self, path: &str, kind: Kind, pieces: S) -> Result<Whole, Failure>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        whole(self.client().await?.stream(path, kind, pieces).await?).await
    }

    /// Asks for many things to be done, one a line.
    pub async fn post_lines(&mut self, path: &str, body: Vec<u8>) -> Result<Whole, Failure> {
        whole(self.client().await?.ask(Method::POST, path, Kind::Lines, body).await?).await
    }
}

/// The clock of the daemon that gave this answer.
pub fn date(answer: &Answer) -> Timestamp {
    answer.date().unwrap_or_else(|| SystemClock.now().wall)
}

async fn whole(answer: Answer) -> Result<Whole, Failure> {
    let now = date(&answer);
    Ok(Whole { now, bytes: answer.bytes().await? })
}
