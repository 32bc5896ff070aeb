//! The head file: how far the journal reaches at least.
//!
//! sled takes damage for a torn end and silently drops what follows it. This note, kept outside of sled and replaced
//! now and then, is how such a loss is noticed; beside it lies one that follows every commit without being synced, for
//! damage that comes to light after a kill. The same bytes, as the file `origin`, tell a generation what comes
//! before it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::Tip;
use super::error::Error;
use crate::core::id::Seq;
use crate::core::time::Timestamp;
use crate::disk::directory::replace_file;

const MAGIC: &[u8; 8] = b"daybook1";
const BYTES: usize = 40;

/// Magic, number, time and checksum of the commit, then the checksum of these.
fn encode(tip: Tip) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&tip.seq.0.to_le_bytes());
    bytes[16..24].copy_from_slice(&tip.at.0.to_le_bytes());
    bytes[24..32].copy_from_slice(&tip.checksum.to_le_bytes());
    let checksum = xxh3_64(&bytes[..32]);
    bytes[32..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Tip> {
    let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were cut out"));
    (bytes[..8] == *MAGIC && number(32) == xxh3_64(&bytes[..32])).then(|| Tip {
        seq: Seq(number(8)),
        at: Timestamp(number(16) as i64),
        checksum: number(24),
    })
}

/// The note of the very last commit, written over after each one and never synced: it costs a microsecond, outlives the
/// daemon though not the machine, and is never ahead of the journal, whose commit was durable before.
pub(super) struct Reached(File);

impl Reached {
    /// Opens the note at `path`, and makes it where it is missing.
    pub fn open(path: &Path) -> Result<Reached, Error> {
        let file = File::options().create(true).truncate(false).write(true).open(path);
        file.map(Reached).map_err(Error::io("open", path))
    }

    /// Notes `tip`. A note that cannot be written is an older one, as after a power cut.
    pub fn note(&self, tip: Tip) {
        let _: io::Result<()> = self.0.write_all_at(&encode(tip), 0);
    }

    /// What the note at `path` says; nothing where it is missing or not whole.
    pub fn read(path: &Path) -> Option<Tip> {
        decode(&fs::read(path).ok()?)
    }
}

/// Reads the note at `path`; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Tip>, Error> {
    match fs::read(path) {
        Ok(bytes) => decode(&bytes).map(Some).ok_or_else(|| Error::Damaged {
            seq: Seq(0),
            what: format!("`{}` is damaged", path.display()),
            hint: super::error::HINT_RESTORE,
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Replaces the note at `path` durably: at every instant there is the old one or the new one.
pub(super) fn write(path: &Path, tip: Tip) -> Result<(), Error> {
    Ok(replace_file(path, &encode(tip))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("head");
        assert_eq!(read(&path).unwrap(), None);
        for seq in [3, 4] {
            let tip = Tip { seq: Seq(seq), at: Timestamp(-5), checksum: u64::MAX };
            write(&path, tip).unwrap();
            assert_eq!(read(&path).unwrap(), Some(tip));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let bytes = encode(Tip { seq: Seq(3), at: Timestamp(4), checksum: 5 });
        for bit in 0..BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "bit {bit}");
        }
        assert!((0..BYTES).all(|length| decode(&bytes[..length]).is_none()));
    }
}
