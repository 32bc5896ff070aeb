//! What a partition spans, and the file `sealed` that holds it beside the database of a sealed one.
//!
//! The file: magic, eleven numbers of the summary, number of filter words, xxh3 of the words, xxh3 of all
//! before it (8 bytes each, little-endian), then the words. With it, a store opens and refuses terms
//! without opening the databases of its sealed partitions. It holds nothing that cannot be made again:
//! a partition whose file is missing or damaged is read through and sealed again.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::codec::Reader;
use super::error::Error;
use super::filter::{Filter, Probe};
use crate::core::id::Seq;
use crate::core::time::Timestamp;
use crate::disk::directory::replace_file;

const FILE: &str = "sealed";
const MAGIC: &[u8; 8] = b"dbkhist1";
const NUMBERS: usize = 11;
const HEAD_BYTES: usize = 8 + (NUMBERS + 3) * 8;

/// What a partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The instant at which its span starts.
    pub start: Timestamp,
    /// Commits from here ...
    pub first: Seq,
    /// ... up to here are projected, whether they have rows or not.
    pub applied: Seq,
    /// The earliest and the latest instant of a row.
    pub earliest: Timestamp,
    pub latest: Timestamp,
    /// Whether no row is earlier than the one before it: then a search may stop at the first that is too old.
    pub ordered: bool,
    pub rows: u64,
    /// Raw bytes of all rows.
    pub raw: u64,
    pub chunks: u32,
    /// Lists of the packed index; 0 while it is open.
    pub lists: u32,
}

impl Summary {
    pub fn starting(start: Timestamp, first: Seq) -> Summary {
        let none = Timestamp(i64::MAX);
        Summary {
            start,
            first,
            applied: Seq(0),
            earliest: none,
            latest: Timestamp(i64::MIN),
            ordered: true,
            rows: 0,
            raw: 0,
            chunks: 0,
            lists: 0,
        }
    }

    /// Counts one more row.
    pub fn count(&mut self, at: Timestamp) {
        self.ordered &= at >= self.latest;
        self.earliest = self.earliest.min(at);
        self.latest = self.latest.max(at);
        self.rows += 1;
    }

    /// As it is stored: in the meta entry of the database, and in the file.
    pub fn encode(&self) -> Vec<u8> {
        let numbers: [u64; NUMBERS] = [
            self.start.0 as u64,
            self.first.0,
            self.applied.0,
            self.earliest.0 as u64,
            self.latest.0 as u64,
            u64::from(self.ordered),
            self.rows,
            self.raw,
            u64::from(self.chunks),
            u64::from(self.lists),
            0, // for later
        ];
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    pub fn decode(bytes: &[u8]) -> Option<Summary> {
        let mut reader = Reader::new(bytes);
        Some(Summary {
            start: Timestamp(reader.i64()?),
            first: Seq(reader.u64()?),
            applied: Seq(reader.u64()?),
            earliest: Timestamp(reader.i64()?),
            latest: Timestamp(reader.i64()?),
            ordered: reader.u64()? != 0,
            rows: reader.u64()?,
            raw: reader.u64()?,
            chunks: u32::try_from(reader.u64()?).ok()?,
            lists: u32::try_from(reader.u64()?).ok()?,
        })
    }
}

/// Writes the file of a partition that is sealed with this.
pub fn write(partition: &Path, summary: &Summary, filter: &Filter) -> Result<(), Error> {
    let words: Vec<u8> = filter.words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&summary.encode());
    file.extend_from_slice(&(filter.words.len() as u64).to_le_bytes());
    file.extend_from_slice(&xxh3_64(&words).to_le_bytes());
    file.extend_from_slice(&xxh3_64(&file).to_le_bytes());
    file.extend_from_slice(&words);
    Ok(replace_file(&partition.join(FILE), &file)?)
}

/// Removes the file, of a partition that is to be sealed again.
pub fn remove(partition: &Path) -> Result<(), Error> {
    match fs::remove_file(partition.join(FILE)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(partition)(e)),
        _ => Ok(()),
    }
}

/// What the file says, with the number of filter words; `None` when there is none or it is damaged.
pub fn summary(partition: &Path) -> Option<(Summary, u64)> {
    let file = File::open(partition.join(FILE)).ok()?;
    let length = file.metadata().ok()?.len();
    let mut head = [0; HEAD_BYTES];
    (&file).read_exact(&mut head).ok()?;
    let (start, end) = head.split_at(HEAD_BYTES - 8);
    let words = u64::from_le_bytes(*start.last_chunk::<16>()?.first_chunk()?);
    let whole = start.starts_with(MAGIC)
        && xxh3_64(start).to_le_bytes() == end
        && words.checked_mul(8).and_then(|bytes| bytes.checked_add(HEAD_BYTES as u64)) == Some(length);
    whole.then(|| Summary::decode(&start[8..]).map(|summary| (summary, words)))?
}

/// The filter, checked.
pub fn filter(partition: &Path) -> Result<Filter, Error> {
    let path = partition.join(FILE);
    let file = fs::read(&path).map_err(Error::io(&path))?;
    let parsed = file.split_at_checked(HEAD_BYTES).and_then(|(head, words)| {
        let sum: [u8; 8] = *head.last_chunk::<16>()?.first_chunk()?;
        (xxh3_64(words).to_le_bytes() == sum).then(|| {
            let words = words.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
            Filter { words }
        })
    });
    parsed
        .filter(|filter| !filter.words.is_empty())
        .ok_or_else(|| Error::damaged(partition, "its file `sealed` does not have its checksum"))
}

/// Asks the filter where it lies: a few small reads, for filters there is no memory for.
pub fn may_contain(partition: &Path, words: u64, probe: Probe) -> Result<bool, Error> {
    let path = partition.join(FILE);
    let file = File::open(&path).map_err(Error::io(&path))?;
    for place in probe.places(words * 64) {
        let mut word = [0; 8];
        file.read_exact_at(&mut word, HEAD_BYTES as u64 + place / 64 * 8).map_err(Error::io(&path))?;
        if u64::from_le_bytes(word) & (1 << (place % 64)) == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_back_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(summary(dir.path()), None);
        let mut expected = Summary::starting(Timestamp(-7), Seq(3));
        [5, 9, 8].into_iter().for_each(|at| expected.count(Timestamp(at)));
        assert!(!expected.ordered && expected.rows == 3);
        let mut kept = Filter::for_terms(50);
        (0..50).for_each(|term| kept.insert(term));
        write(dir.path(), &expected, &kept).unwrap();
        let words = kept.words.len() as u64;
        assert_eq!(summary(dir.path()), Some((expected, words)));
        assert_eq!(filter(dir.path()).unwrap(), kept);
        for term in 0..500 {
            let probe = Probe::new(term);
            assert_eq!(may_contain(dir.path(), words, probe).unwrap(), kept.may_contain(probe));
        }
        let path = dir.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert_eq!(summary(dir.path()).is_none(), place < HEAD_BYTES);
            assert!(place < HEAD_BYTES || filter(dir.path()).is_err());
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(summary(dir.path()), None);
    }
}
