//! The manifest of a checkpoint: what makes the directory count, and what its chunks must add up to.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::core::id::Seq;
use crate::journal::META_BYTES_MAX;

const MAGIC: &[u8; 8] = b"daybookc";
const FIXED_BYTES: usize = 64;

/// All numbers are stored as little endian u64 in this order after the magic, then the bytes of `meta`, then the
/// xxh3-64 of everything before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub seq: Seq,
    /// Of commit `seq`.
    pub checksum: u64,
    pub chunks: u64,
    pub bytes: u64,
    pub bytes_stored: u64,
    /// Over the checksums of all chunks in order.
    pub digest: u64,
    pub meta: Vec<u8>,
}

impl Manifest {
    /// Counts one more chunk.
    pub fn add(&mut self, checksum: u64, bytes: usize, bytes_stored: usize) {
        self.chunks += 1;
        self.bytes += bytes as u64;
        self.bytes_stored += bytes_stored as u64;
        self.digest = xxh3_64_with_seed(&checksum.to_le_bytes(), self.digest);
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let numbers = [
            self.seq.0,
            self.checksum,
            self.chunks,
            self.bytes,
            self.bytes_stored,
            self.digest,
            self.meta.len() as u64,
        ];
        numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        bytes.extend_from_slice(&self.meta);
        let checksum = xxh3_64(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None` if these are not the bytes that were encoded.
    pub fn decode(bytes: &[u8]) -> Option<Manifest> {
        if bytes.len() > FIXED_BYTES + META_BYTES_MAX + 8 {
            return None;
        }
        let (body, checksum) = bytes.split_last_chunk::<8>()?;
        let number = |index: usize| Some(u64::from_le_bytes(body.get(8 * index..8 * index + 8)?.try_into().ok()?));
        let meta = body.get(FIXED_BYTES..)?;
        let sound = body.starts_with(MAGIC)
            && xxh3_64(body) == u64::from_le_bytes(*checksum)
            && number(7)? == meta.len() as u64;
        sound.then_some(Manifest {
            seq: Seq(number(1)?),
            checksum: number(2)?,
            chunks: number(3)?,
            bytes: number(4)?,
            bytes_stored: number(5)?,
            digest: number(6)?,
            meta: meta.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_back_and_any_flipped_bit_found() {
        let mut manifest = Manifest { seq: Seq(7), checksum: 8, meta: b"meta".to_vec(), ..Manifest::default() };
        manifest.add(1, 100, 50);
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes), Some(manifest));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Manifest::decode(&flipped), None, "bit {bit}");
        }
        assert!((0..bytes.len()).all(|length| Manifest::decode(&bytes[..length]).is_none()));
    }
}
