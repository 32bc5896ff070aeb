//! Where the items of a batch come from: a file or standard input, read by a thread of its own and passed on in pieces.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Deserializer as _;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::cli::failure::Failure;
use crate::control::client::Kind;
use crate::core::item::{self, Form};
use crate::error::Exit;

/// Bytes of one piece.
const PIECE_BYTES: usize = 64 * 1024;

type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// Items that are being read.
pub struct Source {
    /// How they are written.
    pub kind: Kind,
    pub pieces: ReceiverStream<io::Result<Bytes>>,
    pub failure: Wrong,
}

/// What was wrong with the file, once that is known.
#[derive(Clone, Default)]
pub struct Wrong(Arc<Mutex<Option<Failure>>>);

impl Wrong {
    fn note(&self, failure: Failure) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    /// The reason for a call that failed, if it is the file's.
    pub fn or(&self, failure: Failure) -> Failure {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(failure)
    }
}

/// Opens a file, or standard input for `-`: one item a line, or a JSON array.
pub fn open(file: &Path) -> Result<Source, Failure> {
    let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let wrong = {
        let name = name.clone();
        move |cause: String| Failure::new(Exit::Usage, format!("failed to read `{name}`")).because(cause)
    };
    let opened: Box<dyn Read + Send> = match file == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(file).map_err(|e| wrong(e.to_string()))?),
    };
    let mut reader = BufReader::with_capacity(PIECE_BYTES, opened);
    let (form, head) = begin(&mut reader).map_err(&wrong)?;
    let reader = head.chain(reader);
    let (sender, receiver) = mpsc::channel(2);
    let failure = Wrong::default();
    let noted = failure.clone();
    let read = move || {
        let outcome = match form {
            Form::Array => array(reader, &sender),
            Form::Lines => copy(reader, &sender),
        };
        // Who does not listen any more has said why.
        if let Err(cause) = outcome
            && !sender.is_closed()
        {
            noted.note(wrong(cause));
            // The call breaks off, so that what came is not taken for the whole.
            sender.blocking_send(Err(io::Error::other("the items could not be read"))).ok();
        }
    };
    // It may wait for standard input when nobody waits for it any more: the process ends all the same.
    std::thread::spawn(read);
    let kind = match form {
        Form::Array => Kind::Lines,
        Form::Lines => Kind::Text,
    };
    Ok(Source { kind, pieces: ReceiverStream::new(receiver), failure })
}

/// The form of what is read, and what had to be read for that, without what stands in front of the items.
fn begin(reader: &mut impl BufRead) -> Result<(Form, io::Cursor<Vec<u8>>), String> {
    let mut head = Vec::new();
    loop {
        let piece = reader.fill_buf().map_err(|e| e.to_string())?;
        let length = piece.len();
        head.extend_from_slice(piece);
        reader.consume(length);
        if let Some((form, skipped)) = item::form(&head, length == 0)? {
            head.drain(..skipped);
            return Ok((form, io::Cursor::new(head)));
        }
    }
}

fn copy(mut reader: impl BufRead, pieces: &Pieces) -> Result<(), String> {
    loop {
        let piece = reader.fill_buf().map_err(|e| e.to_string())?;
        let length = piece.len();
        if length == 0 || pieces.blocking_send(Ok(Bytes::copy_from_slice(piece))).is_err() {
            return Ok(());
        }
        reader.consume(length);
    }
}

/// The elements of an array, a line each.
fn array(reader: impl BufRead, pieces: &Pieces) -> Result<(), String> {
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    deserializer.deserialize_seq(Elements { pieces, gathered: Vec::new() }).map_err(|e| e.to_string())?;
    deserializer.end().map_err(|e| e.to_string())
}

struct Elements<'a> {
    pieces: &'a Pieces,
    gathered: Vec<u8>,
}

impl Elements<'_> {
    /// False if nobody listens any more.
    fn send(&mut self) -> bool {
        self.pieces.blocking_send(Ok(std::mem::take(&mut self.gathered).into())).is_ok()
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element::<Box<RawValue>>()? {
            let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
            // Within a string a line break is always escaped.
            self.gathered.extend(element.get().bytes().filter(|byte| !breaks(byte)));
            self.gathered.push(b'\n');
            if self.gathered.len() >= PIECE_BYTES && !self.send() {
                return Err(A::Error::custom("the daemon takes no more"));
            }
        }
        self.send();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    fn read(text: &str) -> (Kind, Result<String, String>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let source = open(file.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let pieces: Vec<io::Result<Bytes>> = runtime.block_on(source.pieces.collect());
        let mut whole = Vec::new();
        for piece in pieces {
            match piece {
                Ok(piece) => whole.extend_from_slice(&piece),
                Err(_) => return (source.kind, Err(source.failure.or(Failure::new(Exit::No, "")).causes.join(" "))),
            }
        }
        (source.kind, Ok(String::from_utf8(whole).unwrap()))
    }

    #[test]
    fn lines_are_passed_on_and_arrays_become_lines() {
        assert_eq!(read("a\nb\r\n\nc"), (Kind::Text, Ok("a\nb\r\n\nc".to_owned())));
        assert_eq!(read(""), (Kind::Text, Ok(String::new())));
        let array = "[\"a\", 7,\n {\"b\":\r\n \"x y\"}\n]\n";
        assert_eq!(read(array), (Kind::Lines, Ok("\"a\"\n7\n{\"b\": \"x y\"}\n".to_owned())));
        assert_eq!(read("[]"), (Kind::Lines, Ok(String::new())));
        for array in ["\n [\"a\", 7]", "\u{feff}[\"a\", 7]", "\u{feff}\r\n[\"a\", 7]\n"] {
            assert_eq!(read(array), (Kind::Lines, Ok("\"a\"\n7\n".to_owned())), "{array:?}");
        }
        assert_eq!(read("\u{feff}a\n[b"), (Kind::Text, Ok("a\n[b".to_owned())));
        assert_eq!(read("\n a"), (Kind::Text, Ok("\n a".to_owned())));
        let many = serde_json::to_string(&(0..100_000).collect::<Vec<_>>()).unwrap();
        assert_eq!(read(&many).1.unwrap().lines().count(), 100_000);
    }

    /// A pipe gives as little as there is.
    #[test]
    fn the_beginning_may_come_in_bytes() {
        struct Bytewise<'a>(&'a [u8]);
        impl Read for Bytewise<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let length = buffer.len().min(1);
                self.0.read(&mut buffer[..length])
            }
        }
        for (text, form, whole) in
            [("\u{feff} [1]", Form::Array, "[1]"), ("\u{feff}one\n", Form::Lines, "one\n"), ("\n", Form::Lines, "\n")]
        {
            let mut reader = BufReader::new(Bytewise(text.as_bytes()));
            let (found, head) = begin(&mut reader).unwrap();
            let mut rest = String::new();
            head.chain(reader).read_to_string(&mut rest).unwrap();
            assert_eq!((found, rest.as_str()), (form, whole), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_array_breaks_the_call_off() {
        for text in ["[1, 2", "[1,]", "[1] 2", "[not json"] {
            let (_, outcome) = read(text);
            assert!(outcome.unwrap_err().contains("line 1"), "{text}");
        }
    }
}
