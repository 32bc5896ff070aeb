//! Checkpoints: each in a sled directory of its own, as written beside the journal's it would slow every commit.
//!
//! It is written under a name that does not count, paced so that commits pass, opened once more to verify it (which also
//! leaves sled's own summary, without which the next opening would scan the whole log), and gets its
//! manifest and its name last.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::manifest::Manifest;
use super::records::Records;
use crate::core::id::Seq;
use crate::disk::directory;
use crate::journal::check_chunk;
use crate::journal::chunk;
use crate::journal::compress::Compressor;
use crate::journal::error::Error;
use crate::journal::parts::Whole;
use crate::journal::walk::Source;

/// Bytes written between two pauses. More makes the commits beside it slower, less makes the checkpoint take longer.
const PACE_BYTES: usize = 1024 * 1024;
const PACE: Duration = Duration::from_millis(20);
/// Pause after each batch that is verified.
const VERIFY_PAUSE: Duration = Duration::from_millis(2);

/// The directory of the checkpoint as of commit `seq`.
fn dir(root: &Path, seq: Seq) -> PathBuf {
    root.join(format!("{:020}", seq.0))
}

/// Writes a checkpoint. `manifest` holds the commit and the meta; all else is counted here.
pub(super) fn write(
    root: &Path,
    manifest: Manifest,
    chunks: &mut dyn Iterator<Item = Vec<u8>>,
) -> Result<Manifest, Error> {
    let dir = dir(root, manifest.seq);
    let new = directory::prepare(&dir)?;
    let written = fill(&new, manifest, chunks).and_then(|manifest| {
        verify(&new, &manifest)?;
        directory::replace_file(&new.join("manifest"), &manifest.encode())?;
        directory::complete(&new, &dir)?;
        Ok(manifest)
    });
    if written.is_err() {
        // Room for the journal matters more than the remains; what cannot be removed now, the next opening removes.
        let _ = fs::remove_dir_all(&new);
    }
    written
}

fn fill(new: &Path, mut manifest: Manifest, chunks: &mut dyn Iterator<Item = Vec<u8>>) -> Result<Manifest, Error> {
    let records = Records::open(new, manifest.seq)?;
    let mut compressor = Compressor::default();
    let mut record = Vec::new();
    let mut unsynced = 0;
    for chunk in chunks {
        check_chunk(&chunk)?;
        let number = manifest.chunks + 1;
        let checksum = chunk::encode(number, &chunk, &mut compressor, &mut record);
        records.insert(number, &record)?;
        manifest.add(checksum, chunk.len(), record.len());
        unsynced += record.len();
        if unsynced >= PACE_BYTES {
            records.sync()?;
            std::thread::sleep(PACE);
            unsynced = 0;
        }
    }
    records.sync()?;
    records.sync_names()?;
    Ok(manifest)
}

fn verify(new: &Path, manifest: &Manifest) -> Result<(), Error> {
    let records = Records::open(new, manifest.seq)?;
    let mut counted = Manifest { chunks: 0, digest: 0, ..manifest.clone() };
    while counted.chunks < manifest.chunks {
        for whole in batch(&records, manifest, counted.chunks + 1)? {
            let checksum = chunk::verify(whole.number, &whole.bytes).map_err(|what| damaged(manifest, what))?;
            counted.add(checksum, 0, 0);
        }
        std::thread::sleep(VERIFY_PAUSE);
    }
    if counted.digest != manifest.digest {
        return Err(damaged(manifest, "other chunks were read than were written".into()));
    }
    records.sync_names()
}

/// At least one chunk from number `from` on.
fn batch(records: &Records, manifest: &Manifest, from: u64) -> Result<Vec<Whole>, Error> {
    let batch = records.batch(Seq(from), Seq(manifest.chunks)).map_err(|error| match error {
        // The number in there is a chunk's.
        Error::Damaged { seq, what, .. } => damaged(manifest, format!("chunk {seq}: {what}")),
        other => other,
    })?;
    if batch.wholes.is_empty() {
        return Err(damaged(manifest, format!("chunk {from} is missing")));
    }
    Ok(batch.wholes)
}

fn damaged(manifest: &Manifest, what: String) -> Error {
    Error::damaged(manifest.seq, format!("its checkpoint is damaged: {what}"))
}

/// The complete checkpoints in `root`, newest first, and the names of the others.
pub(super) fn list(root: &Path) -> Result<(Vec<Manifest>, Vec<String>), Error> {
    let mut manifests = Vec::new();
    let mut others = Vec::new();
    for path in directory::list(root)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let manifest = fs::read(path.join("manifest")).ok().and_then(|bytes| Manifest::decode(&bytes));
        match (manifest, name.parse()) {
            (Some(manifest), Ok(seq)) if manifest.seq == Seq(seq) => manifests.push(manifest),
            _ => others.push(name),
        }
    }
    manifests.sort_by_key(|manifest| std::cmp::Reverse(manifest.seq));
    others.sort();
    Ok((manifests, others))
}

/// Deletes all in `root` but the checkpoint of commit `newest`.
pub(super) fn remove_others(root: &Path, newest: Seq) -> Result<(), Error> {
    let kept = dir(root, newest);
    for path in directory::list(root)? {
        if path != kept && path.is_dir() {
            directory::take_apart(&path)?;
        }
    }
    Ok(())
}

/// Opens the checkpoint of `manifest`.
pub(super) fn open(root: &Path, manifest: &Manifest) -> Result<Arc<Records>, Error> {
    let dir = dir(root, manifest.seq);
    if !dir.join("db").is_file() {
        return Err(damaged(manifest, format!("`{}` has no file `db`", dir.display())));
    }
    Records::open(&dir, manifest.seq).map(Arc::new)
}

/// The chunks in order; at the end, or at the first error, what was read is compared with the manifest.
pub(super) struct Chunks {
    records: Arc<Records>,
    manifest: Manifest,
    counted: Manifest,
    waiting: VecDeque<Whole>,
    ended: bool,
}

impl Chunks {
    pub fn new(records: Arc<Records>, manifest: Manifest) -> Chunks {
        Chunks { records, manifest, counted: Manifest::default(), waiting: VecDeque::new(), ended: false }
    }

    fn step(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.counted.chunks == self.manifest.chunks {
            let sound = self.counted.digest == self.manifest.digest;
            return if sound { Ok(None) } else { Err(damaged(&self.manifest, "its digest differs".into())) };
        }
        if self.waiting.is_empty() {
            self.waiting = batch(&self.records, &self.manifest, self.counted.chunks + 1)?.into();
        }
        let Some(whole) = self.waiting.pop_front() else {
            return Ok(None);
        };
        let (chunk, checksum) =
            chunk::decode(whole.number, &whole.bytes).map_err(|what| damaged(&self.manifest, what))?;
        self.counted.add(checksum, 0, 0);
        Ok(Some(chunk))
    }
}

impl Iterator for Chunks {
    type Item = Result<Vec<u8>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let step = self.step();
        self.ended = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}
