//! Items as they come over the socket: in a JSON array, or one a line as the body arrives, cut into lots that the engine
//! takes in one go. What can be an item, [`item`] says.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::problem::{BODY_CUT_OFF, BODY_TOO_LARGE, BODY_TOO_SLOW, INVALID_JSON, INVALID_VALUE, Problem};
use crate::core::item::{self, check, of_json};
use crate::core::limits;
use crate::core::texts::Texts;

/// Bytes of a body that has an item a line.
pub const LINES_BYTES_MAX: u64 = 1 << 30;
/// Bytes of a line: a text may have six times as many in JSON.
const LINE_BYTES_MAX: usize = 8 * limits::ITEM_BYTES_MAX;
/// How long the next piece of such a body may take.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// Bytes of one lot; more come in the next one.
const LOT_BYTES: usize = 64 * 1024;

fn is_full(lot: &Texts) -> bool {
    lot.len() >= limits::ITEMS_PER_COMMAND_MAX || lot.bytes() >= LOT_BYTES
}

/// An item alone in a body.
pub struct One<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for One<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<One<'a>, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        of_json(raw.get()).map(One).map_err(|error| D::Error::custom(format!("the item {error}")))
    }
}

/// The items of an array, in lots.
#[derive(Debug)]
pub struct Lots(pub Vec<Texts>);

impl<'de> Deserialize<'de> for Lots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Lots, D::Error> {
        struct Array;
        impl<'de> Visitor<'de> for Array {
            type Value = Lots;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of strings, numbers or objects")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Lots, A::Error> {
                let (mut lots, mut lot, mut number) = (Vec::new(), Texts::new(), 0_usize);
                while let Some(raw) = seq.next_element::<&RawValue>()? {
                    number += 1;
                    let item = of_json(raw.get()).map_err(|e| A::Error::custom(format!("element {number} {e}")))?;
                    lot.push(&item);
                    if is_full(&lot) {
                        lots.push(std::mem::take(&mut lot));
                    }
                }
                if !lot.is_empty() {
                    lots.push(lot);
                }
                Ok(Lots(lots))
            }
        }
        deserializer.deserialize_seq(Array)
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Each line is an item as it is.
    Plain,
    /// Each line is a JSON value.
    Json,
}

/// The items of a body that has one a line, as it arrives. Empty lines are no items.
pub struct Lines {
    body: BodyDataStream,
    format: Format,
    buffer: Vec<u8>,
    /// What is before this has been taken.
    start: usize,
    /// What is before this has no end of a line.
    searched: usize,
    ended: bool,
    /// Bytes that have arrived.
    bytes: u64,
    /// Lines that have been taken.
    number: usize,
}

impl Lines {
    pub fn new(body: Body, format: Format) -> Lines {
        let body = body.into_data_stream();
        Lines { body, format, buffer: Vec::new(), start: 0, searched: 0, ended: false, bytes: 0, number: 0 }
    }

    /// The next lot; an empty one at the end.
    pub async fn lot(&mut self) -> Result<Texts, Problem> {
        let mut lot = Texts::new();
        loop {
            while let Some((start, end)) = self.line()? {
                self.number += 1;
                let mut line = &self.buffer[start..end];
                if self.number == 1 {
                    line = line.strip_prefix(item::BYTE_ORDER_MARK.as_bytes()).unwrap_or(line);
                }
                if !line.trim_ascii().is_empty() {
                    take(line, self.format, &mut lot).map_err(|problem| problem.in_line("line", self.number))?;
                    if is_full(&lot) {
                        return Ok(lot);
                    }
                }
            }
            if self.ended {
                return Ok(lot);
            }
            let piece = self.piece().await?;
            self.buffer.drain(..self.start);
            (self.start, self.searched) = (0, self.buffer.len());
            match piece {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => self.ended = true,
            }
        }
    }

    /// Where the next line is that has arrived as a whole.
    fn line(&mut self) -> Result<Option<(usize, usize)>, Problem> {
        let start = self.start;
        let end = match memchr::memchr(b'\n', &self.buffer[self.searched..]) {
            Some(length) => self.searched + length,
            None if self.ended && start < self.buffer.len() => self.buffer.len(),
            None if self.buffer.len() - start > LINE_BYTES_MAX => {
                let problem = Problem::new(INVALID_VALUE, format!("it has more than {LINE_BYTES_MAX} bytes"));
                return Err(problem.in_line("line", self.number + 1));
            }
            None => return Ok(None),
        };
        self.start = (end + 1).min(self.buffer.len());
        self.searched = self.start;
        Ok(Some((start, end)))
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Problem> {
        let too_slow = |_| {
            let seconds = PAUSE_MAX.as_secs();
            Problem::new(BODY_TOO_SLOW, format!("nothing came of the body for {seconds} seconds"))
        };
        let cut_off = |error| Problem::new(BODY_CUT_OFF, format!("the body could not be read: {error}"));
        let next = tokio::time::timeout(PAUSE_MAX, self.body.next()).await.map_err(too_slow)?;
        let piece = next.transpose().map_err(cut_off)?;
        self.bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        match self.bytes > LINES_BYTES_MAX {
            true => Err(Problem::new(BODY_TOO_LARGE, format!("at most {LINES_BYTES_MAX} bytes are taken"))),
            false => Ok(piece),
        }
    }

    /// Reads what nobody wants: who is refused while still sending would not hear of it if the connection ended there.
    pub async fn waste(mut self) {
        while let Ok(Some(_)) = self.piece().await {}
    }
}

fn take(line: &[u8], format: Format, lot: &mut Texts) -> Result<(), Problem> {
    let invalid = |error: String| Problem::new(INVALID_VALUE, format!("the item {error}"));
    let text = std::str::from_utf8(line).map_err(|_| invalid("is no UTF-8".to_owned()))?;
    match format {
        Format::Plain => {
            let item = text.strip_suffix('\r').unwrap_or(text);
            check(item, limits::ITEM_BYTES_MAX).map_err(invalid)?;
            lot.push(item);
        }
        Format::Json => {
            let raw: &RawValue =
                serde_json::from_str(text).map_err(|error| Problem::new(INVALID_JSON, error.to_string()))?;
            lot.push(&of_json(raw.get()).map_err(invalid)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    #[test]
    fn an_array_becomes_lots() {
        let array = serde_json::to_string(&(0..10_000).collect::<Vec<_>>()).unwrap();
        let Lots(lots) = serde_json::from_str(&array).unwrap();
        assert_eq!(lots.iter().map(Texts::len).collect::<Vec<_>>(), [4096, 4096, 1808]);
        assert_eq!(lots[1].get(0), Some("4096"));
        let error = serde_json::from_str::<Lots>(r#"["a",null]"#).unwrap_err().to_string();
        assert!(error.contains("element 2 is neither"), "{error}");
        assert!(serde_json::from_str::<Lots>("[]").unwrap().0.is_empty());
    }

    /// All items of a body that comes in these pieces.
    async fn items(pieces: &[&str], format: Format) -> Result<Vec<String>, Problem> {
        let pieces: Vec<Result<Bytes, std::io::Error>> =
            pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece.as_bytes()))).collect();
        let mut lines = Lines::new(Body::from_stream(stream::iter(pieces)), format);
        let mut items = Vec::new();
        loop {
            let lot = lines.lot().await?;
            if lot.is_empty() {
                return Ok(items);
            }
            items.extend(lot.iter().map(str::to_owned));
        }
    }

    #[tokio::test]
    async fn lines_are_found_however_they_arrive() {
        let whole = "one\ntwo words\r\n\n  \nthree";
        let expected = ["one", "two words", "three"];
        assert_eq!(items(&[whole], Format::Plain).await.unwrap(), expected);
        let single: Vec<&str> = whole.split("").collect();
        assert_eq!(items(&single, Format::Plain).await.unwrap(), expected);
        assert!(items(&[], Format::Plain).await.unwrap().is_empty());
        assert_eq!(items(&["\"a\"\n{\"b\": 1}\n", "7"], Format::Json).await.unwrap(), ["a", r#"{"b":1}"#, "7"]);
        let marked = "\u{feff}1\n\u{feff}2".split_inclusive('\n').collect::<Vec<_>>();
        assert_eq!(items(&marked, Format::Plain).await.unwrap(), ["1", "\u{feff}2"]);
        assert_eq!(items(&marked[..1], Format::Json).await.unwrap(), ["1"]);
        assert!(items(&["\u{feff}"], Format::Plain).await.unwrap().is_empty());
        let many: String = (0..10_000).map(|n| format!("item-{n}\n")).collect();
        assert_eq!(items(&[&many], Format::Plain).await.unwrap().len(), 10_000);
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_with_its_line() {
        let long = format!("a\n{}\n", "x".repeat(1025));
        let longer = format!("a\n{}", "x".repeat(LINE_BYTES_MAX + 1));
        for (text, format, line, wrong) in [
            ("a\n\nb\0\n", Format::Plain, 3, "NUL"),
            (long.as_str(), Format::Plain, 2, "1025 bytes"),
            (longer.as_str(), Format::Plain, 2, "more than 8192 bytes"),
            ("1\n{\n", Format::Json, 2, "EOF"),
            ("1\nnull", Format::Json, 2, "neither a string"),
        ] {
            let problem = items(&[text], format).await.unwrap_err();
            assert_eq!(problem.line, Some(line), "{problem:?}");
            assert!(problem.detail.contains(wrong), "{problem:?}");
        }
    }
}
