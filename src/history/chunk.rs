//! A chunk: some rows one after the other, compressed as one, stored as one value or several.
//!
//! Raw, a row is: commit (distance to the row before in the chunk, the whole number for the first), instant
//! (likewise), number of terms (1 byte), terms (8 bytes each, little-endian), length, bytes. Stored, the first
//! part starts with a head of 11 bytes: format (0 plain, 1 zstd), number of parts (2 bytes), raw length (4 bytes),
//! low half of the xxh3 of the raw bytes (4 bytes), all little-endian. Several parts are stored together or not at all.

use zstd::bulk::{Compressor, Decompressor};

use super::codec::{Reader, put_signed, put_varint};
use super::error::Error;
use super::store::Row;
use crate::core::id::Seq;
use crate::core::time::Timestamp;
use crate::disk::{Database, VALUE_BYTES_MAX};

/// A chunk with this many raw bytes is full. zstd makes about half of it, so that it fits into one value.
pub const CHUNK_BYTES: usize = 12 * 1024;
/// The largest payload of a row, in bytes.
pub const ROW_BYTES_MAX: usize = 4 << 20;
/// The most terms of a row.
pub const ROW_TERMS_MAX: usize = 64;
/// No chunk is longer: one that is not full, and the longest row.
const RAW_BYTES_MAX: usize = CHUNK_BYTES + ROW_BYTES_MAX + 8 * ROW_TERMS_MAX + 64;
const HEAD_BYTES: usize = 11;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// A chunk that is being filled.
#[derive(Default)]
pub struct Builder {
    raw: Vec<u8>,
    last: (u64, i64),
}

impl Builder {
    pub fn push(&mut self, seq: Seq, at: Timestamp, terms: impl ExactSizeIterator<Item = u64>, bytes: &[u8]) {
        put_varint(&mut self.raw, seq.0.wrapping_sub(self.last.0));
        put_signed(&mut self.raw, at.0.wrapping_sub(self.last.1));
        self.last = (seq.0, at.0);
        self.raw.push(terms.len() as u8);
        terms.for_each(|term| self.raw.extend_from_slice(&term.to_le_bytes()));
        put_varint(&mut self.raw, bytes.len() as u64);
        self.raw.extend_from_slice(bytes);
    }

    pub fn len(&self) -> usize {
        self.raw.len()
    }

    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Whether `row` belongs into the next chunk.
    pub fn is_full_for(&self, row: &Row) -> bool {
        !self.is_empty() && (self.len() >= CHUNK_BYTES || row.bytes.len() > CHUNK_BYTES)
    }

    pub fn clear(&mut self) {
        // A long row does not keep its memory.
        self.raw.shrink_to(2 * CHUNK_BYTES);
        self.raw.clear();
        self.last = (0, 0);
    }

    /// Stores the rows as chunk `number`, in place of what was there.
    pub fn store(&self, db: &Database, number: u32, compressor: &mut Compressor<'_>) -> Result<(), Error> {
        let packed = compressor.compress(&self.raw).ok().filter(|packed| packed.len() < self.raw.len());
        let (format, body) = packed.as_deref().map_or((PLAIN, &self.raw[..]), |packed| (ZSTD, packed));
        let parts = (HEAD_BYTES + body.len()).div_ceil(VALUE_BYTES_MAX);
        let mut whole = Vec::with_capacity(HEAD_BYTES + body.len());
        whole.push(format);
        whole.extend_from_slice(&(parts as u16).to_le_bytes());
        whole.extend_from_slice(&(self.raw.len() as u32).to_le_bytes());
        whole.extend_from_slice(&checksum(&self.raw).to_le_bytes());
        whole.extend_from_slice(body);
        if parts == 1 {
            return Ok(db.put(&key(number, 0), &whole)?);
        }
        let even = whole.len().div_ceil(parts);
        let values = whole.chunks(even).enumerate();
        Ok(db.put_together(values.map(|(part, value)| (key(number, part as u16), value)))?)
    }
}

/// The raw bytes of chunk `number`; the error says what is wrong with it.
pub fn load(db: &Database, number: u32, decompressor: &mut Decompressor<'_>) -> Result<Result<Vec<u8>, String>, Error> {
    let missing = |part| Ok(Err(format!("part {part} of chunk {number} is missing")));
    let Some(first) = db.get(&key(number, 0))? else { return missing(0) };
    let Some((head, body)) = first.split_at_checked(HEAD_BYTES) else {
        return Ok(Err(format!("chunk {number} has no head")));
    };
    let mut head = Reader::new(head);
    let format = head.array::<1>().unwrap_or_default()[0];
    let parts = u16::from_le_bytes(head.array().unwrap_or_default());
    let raw_length = u32::from_le_bytes(head.array().unwrap_or_default()) as usize;
    let expected = u32::from_le_bytes(head.array().unwrap_or_default());
    if raw_length > RAW_BYTES_MAX || usize::from(parts) > RAW_BYTES_MAX.div_ceil(VALUE_BYTES_MAX) + 1 {
        return Ok(Err(format!("chunk {number} says it has {raw_length} bytes in {parts} parts")));
    }
    let mut rest = Vec::new();
    for part in 1..parts {
        let Some(value) = db.get(&key(number, part))? else { return missing(part) };
        if part == 1 {
            rest.extend_from_slice(body);
        }
        rest.extend_from_slice(&value);
    }
    let body = if parts > 1 { &rest[..] } else { body };
    let raw = match format {
        PLAIN => Ok(body.to_vec()),
        ZSTD => decompressor.decompress(body, raw_length).map_err(|e| format!("chunk {number} does not unpack: {e}")),
        other => Err(format!("chunk {number} has the unknown format {other}")),
    };
    Ok(raw.and_then(|raw| match raw.len() == raw_length && checksum(&raw) == expected {
        true => Ok(raw),
        false => Err(format!("chunk {number} does not have its length and checksum")),
    }))
}

/// Removes chunk `number` and all after it.
pub fn remove_from(db: &Database, number: u32) -> Result<(), Error> {
    Ok(db.remove_range(&key(number, 0), &key(u32::MAX, u16::MAX))?)
}

/// A row as it lies in its chunk.
pub struct Packed<'a> {
    pub seq: Seq,
    pub at: Timestamp,
    terms: &'a [u8],
    pub bytes: &'a [u8],
}

impl Packed<'_> {
    pub fn terms(&self) -> impl ExactSizeIterator<Item = u64> {
        self.terms.as_chunks::<8>().0.iter().map(|term| u64::from_le_bytes(*term))
    }
}

/// Shows the rows of a chunk in order; `None` when it is no list of rows.
pub fn rows(raw: &[u8], mut visit: impl FnMut(Packed<'_>)) -> Option<()> {
    let mut reader = Reader::new(raw);
    let mut last = (0u64, 0i64);
    while !reader.is_empty() {
        last.0 = last.0.wrapping_add(reader.varint()?);
        last.1 = last.1.wrapping_add(reader.signed()?);
        let [terms] = reader.array()?;
        let terms = reader.take(usize::from(terms) * 8)?;
        let length = usize::try_from(reader.varint()?).ok()?;
        visit(Packed { seq: Seq(last.0), at: Timestamp(last.1), terms, bytes: reader.take(length)? });
    }
    Some(())
}

fn key(number: u32, part: u16) -> [u8; 7] {
    let mut key = [b'c'; 7];
    key[1..5].copy_from_slice(&number.to_be_bytes());
    key[5..].copy_from_slice(&part.to_be_bytes());
    key
}

fn checksum(raw: &[u8]) -> u32 {
    xxhash_rust::xxh3::xxh3_64(raw) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(raw: &[u8]) -> Vec<(u64, i64, Vec<u64>, Vec<u8>)> {
        let mut seen = Vec::new();
        rows(raw, |row| seen.push((row.seq.0, row.at.0, row.terms().collect(), row.bytes.to_vec()))).unwrap();
        seen
    }

    #[test]
    fn rows_come_back_in_one_part_or_many() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open_or_create(dir.path(), 1 << 20).unwrap();
        let mut compressor = Compressor::new(1).unwrap();
        let mut decompressor = Decompressor::new().unwrap();
        let noise: Vec<u8> = (0..200_000u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        for (number, size) in [0, 1, 300, 6133, 6134, 100_000, 200_000].into_iter().enumerate() {
            let mut builder = Builder::default();
            builder.push(Seq(9), Timestamp(-5), [1, u64::MAX].into_iter(), b"");
            builder.push(Seq(u64::MAX), Timestamp(i64::MIN), [].into_iter(), &noise[..size]);
            builder.store(&db, number as u32, &mut compressor).unwrap();
            let raw = load(&db, number as u32, &mut decompressor).unwrap().unwrap();
            let expected = [(9, -5, vec![1, u64::MAX], vec![]), (u64::MAX, i64::MIN, vec![], noise[..size].to_vec())];
            assert_eq!(back(&raw), expected);
        }
        remove_from(&db, 3).unwrap();
        assert!(load(&db, 2, &mut decompressor).unwrap().is_ok());
        assert!(load(&db, 3, &mut decompressor).unwrap().is_err());
        assert!(load(&db, 6, &mut decompressor).unwrap().is_err());
    }

    #[test]
    fn a_changed_chunk_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open_or_create(dir.path(), 1 << 20).unwrap();
        for text in ["short", "some bytes that are kept, some bytes that are kept, some bytes that are kept"] {
            let mut builder = Builder::default();
            builder.push(Seq(1), Timestamp(1), [5].into_iter(), text.as_bytes());
            builder.store(&db, 0, &mut Compressor::new(1).unwrap()).unwrap();
            let stored = db.get(&key(0, 0)).unwrap().unwrap();
            assert_eq!(stored[0], if text.len() > 10 { ZSTD } else { PLAIN });
            for place in 0..stored.len() {
                let mut changed = stored.to_vec();
                changed[place] ^= 0x10;
                db.put(&key(0, 0), &changed).unwrap();
                let loaded = load(&db, 0, &mut Decompressor::new().unwrap()).unwrap();
                // zstd's frame has a bit without a meaning.
                assert!(loaded.is_err() || loaded == Ok(builder.raw.clone()), "byte {place} of {text}");
            }
        }
    }
}
