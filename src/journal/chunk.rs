//! The bytes of one chunk of a checkpoint.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 1 | flags: bit 0 = compressed (zstd); all others 0 |
//! | 2 | 2 | 0 |
//! | 4 | 4 | bytes of the chunk as given, little endian |
//! | 8 | 8 | checksum: xxh3-64 of bytes 0..8, seeded with that of the stored bytes, seeded with the chunk's number |
//! | 16 |  | the bytes as stored |

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::CHUNK_BYTES_MAX;
use super::compress::{self, Compressor};
use super::parts::{PART_BYTES, PARTS_MAX};

const VERSION: u8 = 1;
const COMPRESSED: u8 = 1;
const HEADER_BYTES: usize = 16;

const _: () = assert!(HEADER_BYTES + CHUNK_BYTES_MAX <= PARTS_MAX * PART_BYTES);

/// Writes the chunk's bytes to `out`, which is cleared first, and answers their checksum.
pub(super) fn encode(number: u64, chunk: &[u8], compressor: &mut Compressor, out: &mut Vec<u8>) -> u64 {
    debug_assert!(chunk.len() <= CHUNK_BYTES_MAX);
    out.clear();
    out.resize(HEADER_BYTES, 0);
    let compressed = compressor.append(chunk, out);
    out[0] = VERSION;
    out[1] = if compressed { COMPRESSED } else { 0 };
    out[4..8].copy_from_slice(&(chunk.len() as u32).to_le_bytes());
    let checksum = checksum(number, out);
    out[8..16].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

/// The checksum of a stored chunk, if it is sound.
pub(super) fn verify(number: u64, bytes: &[u8]) -> Result<u64, String> {
    let stored = bytes.get(8..HEADER_BYTES).ok_or("a chunk is too short")?;
    let stored = u64::from_le_bytes(stored.try_into().expect("eight bytes were cut out"));
    if stored != checksum(number, bytes) {
        return Err(format!("the checksum of chunk {number} differs from its bytes"));
    }
    Ok(stored)
}

/// The chunk as it was given, and its checksum.
pub(super) fn decode(number: u64, bytes: &[u8]) -> Result<(Vec<u8>, u64), String> {
    let checksum = verify(number, bytes)?;
    let length = u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes were cut out")) as usize;
    if bytes[0] != VERSION || length > CHUNK_BYTES_MAX {
        return Err(format!("chunk {number} has the unknown version {} or a length of {length}", bytes[0]));
    }
    let body = &bytes[HEADER_BYTES..];
    let chunk = if bytes[1] & COMPRESSED != 0 { compress::expand(body, length)? } else { body.to_vec() };
    Ok((chunk, checksum))
}

fn checksum(number: u64, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(&bytes[..8], xxh3_64_with_seed(&bytes[HEADER_BYTES..], number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_read_back_in_its_place_only_and_any_flipped_bit_found() {
        for chunk in [vec![], vec![1, 2, 3], vec![7; 11_000]] {
            let mut bytes = Vec::new();
            let checksum = encode(3, &chunk, &mut Compressor::default(), &mut bytes);
            assert_eq!(decode(3, &bytes), Ok((chunk, checksum)));
            assert!(decode(4, &bytes).is_err(), "another chunk's place");
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(decode(3, &flipped).is_err(), "bit {bit}");
            }
        }
    }
}
