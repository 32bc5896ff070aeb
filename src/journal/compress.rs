//! Compression of large payloads and of checkpoints' chunks: zstd level 1, bounded on the way back.

/// Bytes below which compressing is not tried: such a commit fits one part of the journal anyway.
pub(super) const COMPRESS_FROM_BYTES: usize = 4 * 1024;
const LEVEL: i32 = 1;

/// A compressor that keeps its tables between calls; they are made at the first use.
#[derive(Default)]
pub(super) struct Compressor(Option<zstd::bulk::Compressor<'static>>);

impl Compressor {
    /// Appends `bytes` to `out`, compressed if they are many and it makes them fewer; answers whether it did.
    pub fn append(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        if bytes.len() >= COMPRESS_FROM_BYTES && self.compress(bytes, out).is_some_and(|written| written < bytes.len())
        {
            return true;
        }
        out.truncate(start);
        out.extend_from_slice(bytes);
        false
    }

    /// `None` if the library failed, or found no room: then the bytes are stored as they are.
    fn compress(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        if self.0.is_none() {
            self.0 = zstd::bulk::Compressor::new(LEVEL).ok();
        }
        let start = out.len();
        // One byte less than the input: what does not get smaller is given up early.
        out.resize(start + bytes.len() - 1, 0);
        let written = self.0.as_mut()?.compress_to_buffer(bytes, &mut out[start..]).ok()?;
        out.truncate(start + written);
        Some(written)
    }
}

/// Expands what must become exactly `length` bytes, which the caller has bounded.
pub(super) fn expand(bytes: &[u8], length: usize) -> Result<Vec<u8>, String> {
    let expanded = zstd::bulk::decompress(bytes, length).map_err(|e| format!("cannot be expanded: {e}"))?;
    if expanded.len() != length {
        return Err(format!("expands to {} bytes where {length} were written", expanded.len()));
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_not_expanded() {
        let bomb = zstd::bulk::compress(&vec![0; 10_000_000], 1).unwrap();
        assert!(expand(&bomb, 1000).is_err());
        assert!(expand(&bomb, 10_000_001).is_err(), "a wrong length is an error");
        assert_eq!(expand(&bomb, 10_000_000).unwrap().len(), 10_000_000);
    }

    #[test]
    fn noise_is_stored_as_it_is() {
        let mut word = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            word = word.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (word >> 56) as u8
        })
        .take(10_000)
        .collect();
        let mut out = vec![1, 2, 3];
        assert!(!Compressor::default().append(&noise, &mut out));
        assert_eq!(out[3..], noise);
    }
}
