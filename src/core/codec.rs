//! Events to bytes and back: the payload of a commit is its events, one after the other.
//!
//! bincode 1.3 with variable-length integers, little endian. A payload written by any earlier
//! version can be read: `tests/data` keeps one of each.

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::event::Event;
use super::limits;

/// Why a payload could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("event {number} is not known to this version; it was written by a newer one")]
    Unknown { number: u16 },
    #[error("malformed event: {0}")]
    Malformed(#[from] bincode::Error),
}

/// Without a bound, as bincode would go over every value twice to keep to it; what is written is bounded by its parts.
fn writing() -> impl Options {
    bincode::DefaultOptions::new()
}

fn reading() -> impl Options {
    // The bound keeps a damaged length from asking for gigabytes.
    bincode::DefaultOptions::new().with_limit(4 * limits::COMMIT_BYTES_MAX as u64).allow_trailing_bytes()
}

/// Appends `value` to `out`.
pub fn put<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> bincode::Result<()> {
    writing().serialize_into(out, value)
}

/// Takes one value off the front of `bytes`.
pub fn take<T: DeserializeOwned>(bytes: &mut &[u8]) -> bincode::Result<T> {
    reading().deserialize_from(bytes)
}

/// Appends an event to a payload.
pub fn put_event(event: &Event, out: &mut Vec<u8>) {
    put(&event.number(), out)
        .and_then(|()| event.encode_body(out))
        .expect("an event is within the bounds of its parts, and memory takes it");
}

/// Reads the events of a payload.
pub fn events(payload: &[u8]) -> Result<Vec<Event>, CodecError> {
    let mut rest = payload;
    let mut events = Vec::new();
    while !rest.is_empty() {
        let number: u16 = take(&mut rest)?;
        events.push(Event::decode_body(number, &mut rest)?.ok_or(CodecError::Unknown { number })?);
    }
    Ok(events)
}
