//! The bytes of one commit, and the chain that ties each to the one before.
//!
//! All numbers are little endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 1 | flags: bit 0 = the payload is compressed (zstd); all others 0 |
//! | 2 | 2 | 0 |
//! | 4 | 4 | number of events |
//! | 8 | 8 | number of the commit |
//! | 16 | 8 | time of the commit, milliseconds since 1970, signed |
//! | 24 | 4 | bytes of the payload as stored |
//! | 28 | 4 | bytes of the payload |
//! | 32 | 8 | checksum of the commit before; 0 for commit 1 |
//! | 40 | 8 | checksum: xxh3-64 of bytes 0..40, seeded with the xxh3-64 of the stored payload |
//! | 48 |   | the payload as stored |
//!
//! As each checksum covers the one before, the checksum of commit N vouches for all commits up to N:
//! no commit can be lost, changed, doubled or put elsewhere without the chain breaking.
//!
//! What we assume of the disk: (1) what an `fdatasync` reported as written can be read after a power
//! cut; (2) of what was not yet synced, any part may be there or not, in any order; (3) a damaged sector reads as an error
//! or as other bytes, which the checksum finds with a probability of 1 - 2^-64; it is no defence against someone who
//! forges it. We do not assume that sectors are written whole, nor that the file's length tells anything.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::compress::{self, Compressor};
use super::error::{Error, HINT_RESTORE, HINT_VERSION};
use super::parts::{PART_BYTES, PARTS_MAX, Whole};
use super::{Commit, PAYLOAD_BYTES_MAX};
use crate::core::id::Seq;
use crate::core::time::Timestamp;

const VERSION: u8 = 1;
const COMPRESSED: u8 = 1;
const HEADER_BYTES: usize = 48;

const _: () = assert!(HEADER_BYTES + PAYLOAD_BYTES_MAX <= PARTS_MAX * PART_BYTES);
const _: () = assert!(PAYLOAD_BYTES_MAX <= u32::MAX as usize);

/// What a commit is apart from its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub seq: Seq,
    pub at: Timestamp,
    pub events: u32,
    /// The checksum of the commit before.
    pub previous: u64,
}

/// Writes the commit's bytes to `out`, which is cleared first, and answers their checksum.
/// The payload must be within [`PAYLOAD_BYTES_MAX`].
pub(super) fn encode(head: Head, payload: &[u8], compressor: &mut Compressor, out: &mut Vec<u8>) -> u64 {
    debug_assert!(payload.len() <= PAYLOAD_BYTES_MAX);
    out.clear();
    out.resize(HEADER_BYTES, 0);
    let compressed = compressor.append(payload, out);
    let stored = (out.len() - HEADER_BYTES) as u32;
    out[0] = VERSION;
    out[1] = if compressed { COMPRESSED } else { 0 };
    out[4..8].copy_from_slice(&head.events.to_le_bytes());
    out[8..16].copy_from_slice(&head.seq.0.to_le_bytes());
    out[16..24].copy_from_slice(&head.at.0.to_le_bytes());
    out[24..28].copy_from_slice(&stored.to_le_bytes());
    out[28..32].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    out[32..40].copy_from_slice(&head.previous.to_le_bytes());
    let checksum = checksum(out);
    out[40..48].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

fn checksum(record: &[u8]) -> u64 {
    xxh3_64_with_seed(&record[..40], xxh3_64(&record[HEADER_BYTES..]))
}

/// A commit's bytes that have passed their own checksum; the payload may still be compressed.
#[derive(Debug)]
pub(super) struct Record {
    pub head: Head,
    pub checksum: u64,
    payload_bytes: usize,
    compressed: bool,
    bytes: Vec<u8>,
}

impl Record {
    /// Checks everything that can be checked without the commit before.
    pub fn parse(whole: Whole) -> Result<Record, Error> {
        let (seq, bytes) = (Seq(whole.number), whole.bytes);
        if bytes.len() < HEADER_BYTES {
            return Err(Error::damaged(seq, format!("its record has only {} bytes", bytes.len())));
        }
        if bytes[0] != VERSION {
            let hint = if checksum(&bytes) == u64_at(&bytes, 40) { HINT_VERSION } else { HINT_RESTORE };
            return Err(Error::Damaged { seq, what: format!("its record has the unknown version {}", bytes[0]), hint });
        }
        if checksum(&bytes) != u64_at(&bytes, 40) {
            return Err(Error::damaged(seq, "its checksum differs from its bytes"));
        }
        let stored = u32_at(&bytes, 24) as usize;
        let record = Record {
            head: Head {
                seq: Seq(u64_at(&bytes, 8)),
                at: Timestamp(u64_at(&bytes, 16) as i64),
                events: u32_at(&bytes, 4),
                previous: u64_at(&bytes, 32),
            },
            checksum: u64_at(&bytes, 40),
            payload_bytes: u32_at(&bytes, 28) as usize,
            compressed: bytes[1] & COMPRESSED != 0,
            bytes,
        };
        let sound = record.head.seq == seq
            && stored == record.bytes.len() - HEADER_BYTES
            && record.payload_bytes <= PAYLOAD_BYTES_MAX
            && (record.compressed || record.payload_bytes == stored)
            && record.bytes[1] & !COMPRESSED == 0
            && record.bytes[2..4] == [0, 0];
        if sound { Ok(record) } else { Err(Error::damaged(seq, "its header contradicts its place or length")) }
    }

    /// The commit, with its payload as it was given to `append`.
    pub fn into_commit(mut self) -> Result<Commit, Error> {
        let Head { seq, at, events, .. } = self.head;
        let payload = if self.compressed {
            compress::expand(&self.bytes[HEADER_BYTES..], self.payload_bytes)
                .map_err(|what| Error::damaged(seq, what))?
        } else {
            self.bytes.drain(..HEADER_BYTES);
            self.bytes
        };
        Ok(Commit { seq, at, events, payload, checksum: self.checksum })
    }
}

/// The place in the chain after which the next commit must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub seq: Seq,
    /// `None` where the commit before is not known, so that its successor is taken at its word.
    pub checksum: Option<u64>,
}

impl Link {
    /// Moves on to `record`, if that is the commit that belongs here.
    pub fn follow(&mut self, record: &Record) -> Result<(), Error> {
        let expected = self.seq.next();
        if record.head.seq != expected {
            return Err(Error::damaged(expected, format!("commit {} stands in its place", record.head.seq)));
        }
        if self.checksum.is_some_and(|checksum| checksum != record.head.previous) {
            return Err(Error::damaged(expected, format!("it does not continue commit {}", self.seq)));
        }
        *self = Link { seq: expected, checksum: Some(record.checksum) };
        Ok(())
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("four bytes were cut out"))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes were cut out"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(head: Head, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(head, payload, &mut Compressor::default(), &mut out);
        out
    }

    fn parse(seq: u64, bytes: Vec<u8>) -> Result<Commit, Error> {
        Record::parse(Whole { number: seq, bytes })?.into_commit()
    }

    /// Payloads of both kinds: a small alphabet compresses, a large one does not.
    fn payload() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..6000),
            prop::collection::vec(0u8..4, 4000..20_000),
            Just(Vec::new()),
        ]
    }

    fn heads() -> impl Strategy<Value = Head> {
        (any::<u64>(), any::<i64>(), any::<u32>(), any::<u64>()).prop_map(|(seq, at, events, previous)| Head {
            seq: Seq(seq),
            at: Timestamp(at),
            events,
            previous,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_is_written_is_read(head in heads(), payload in payload()) {
            let commit = parse(head.seq.0, encoded(head, &payload)).unwrap();
            prop_assert_eq!((commit.seq, commit.at, commit.events), (head.seq, head.at, head.events));
            prop_assert_eq!(commit.payload, payload);
        }

        #[test]
        fn any_flipped_bit_is_found(head in heads(), payload in payload(), place in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = encoded(head, &payload);
            let place = place.index(bytes.len());
            bytes[place] ^= 1u8 << bit;
            prop_assert!(parse(head.seq.0, bytes).is_err());
        }

        #[test]
        fn any_other_length_is_found(head in heads(), payload in payload(), length in any::<prop::sample::Index>()) {
            let mut bytes = encoded(head, &payload);
            bytes.truncate(length.index(bytes.len()));
            prop_assert!(parse(head.seq.0, bytes).is_err());
        }
    }

    const HEAD: Head = Head { seq: Seq(5), at: Timestamp(1), events: 1, previous: 9 };

    #[test]
    fn every_bit_of_a_small_record_counts() {
        let bytes = encoded(HEAD, b"payload");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(5, flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn the_bytes_never_change() {
        let bytes = encoded(HEAD, b"ab");
        assert_eq!(
            bytes[..40],
            [
                1, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 9, 0,
                0, 0, 0, 0, 0, 0
            ]
        );
        assert_eq!(u64_at(&bytes, 40), checksum(&bytes));
        assert_eq!(&bytes[48..], b"ab");
    }

    #[test]
    fn a_large_payload_is_compressed_where_that_helps() {
        assert!(encoded(HEAD, &[7; 100_000]).len() < 1000);
        assert_eq!(encoded(HEAD, &[7; 100]).len(), HEADER_BYTES + 100, "not a small one");
    }

    #[test]
    fn a_later_version_is_named() {
        let mut bytes = encoded(HEAD, b"ab");
        bytes[0] = 2;
        let own = checksum(&bytes);
        bytes[40..48].copy_from_slice(&own.to_le_bytes());
        let error = parse(5, bytes).unwrap_err().to_string();
        assert!(error.contains("unknown version 2") && error.contains("install"), "{error}");
    }

    #[test]
    fn the_chain_breaks_on_another_predecessor() {
        let record = |bytes| Record::parse(Whole { number: 5, bytes }).unwrap();
        let mut link = Link { seq: Seq(4), checksum: Some(9) };
        link.follow(&record(encoded(HEAD, b"ab"))).unwrap();
        assert_eq!(link.seq, Seq(5));
        let mut link = Link { seq: Seq(4), checksum: Some(8) };
        assert!(link.follow(&record(encoded(HEAD, b"ab"))).is_err());
        let mut link = Link { seq: Seq(3), checksum: None };
        assert!(link.follow(&record(encoded(HEAD, b"ab"))).is_err());
    }
}
