//! Opening a store: which partitions there are, and the newest brought back to its last durable batch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zstd::bulk::Decompressor;

use super::chunk::{self, Builder, CHUNK_BYTES};
use super::error::Error;
use super::index::{self, Index};
use super::partition::Partition;
use super::sealed::{self, Summary};
use super::store::Options;
use super::writer::{Open, WRITE_CACHE_BYTES, Writer, compressor, read_mark};
use crate::core::id::Seq;
use crate::disk::{Database, directory};

/// A store as found on disk.
pub struct Recovered {
    pub partitions: Vec<Arc<Partition>>,
    pub writer: Writer,
    pub applied: Seq,
}

/// Opens what is in `dir`. A partition that a crash left neither sealed nor newest is sealed now.
pub fn open(dir: &Path, options: &Options) -> Result<Recovered, Error> {
    directory::ensure(dir)?;
    directory::clear(dir)?;
    let mut writer = Writer { dir: dir.to_owned(), options: options.clone(), open: None };
    let mut partitions: Vec<Arc<Partition>> = Vec::new();
    let mut applied = read_mark(dir);
    let names = partition_names(dir)?;
    for (number, (first, path)) in names.iter().enumerate() {
        let newest = number + 1 == names.len();
        let partition = match sealed::summary(path) {
            Some((summary, words)) => Some(Arc::new(Partition::sealed(path.clone(), summary, words))),
            None => {
                writer.open = recover(path, newest)?;
                let partition = writer.open.as_ref().map(|open| open.partition.clone());
                if !newest {
                    writer.seal()?;
                }
                partition
            }
        };
        let Some(partition) = partition else { continue };
        let summary = partition.summary();
        if summary.first != Seq(*first)
            || partitions.last().is_some_and(|before| before.summary().applied >= summary.first)
        {
            return Err(Error::damaged(path, "it does not follow the partition before it"));
        }
        applied = applied.max(summary.applied);
        partitions.push(partition);
    }
    Ok(Recovered { partitions, writer, applied })
}

/// First commit and path of each partition, oldest first.
fn partition_names(dir: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut names = Vec::new();
    for path in directory::list(dir)? {
        if let Some(first) = parse_name(&path.file_name().unwrap_or_default().to_string_lossy()) {
            names.push((first, path));
        }
    }
    names.sort();
    Ok(names)
}

fn parse_name(name: &str) -> Option<u64> {
    let (start, first) = name.split_once('-')?;
    let plain = |text: &str| text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    (plain(start) && plain(first)).then(|| first.parse().ok())?
}

/// Opens a partition that is not sealed: cuts rows past its last durable batch, and builds its index again.
/// `None`: the newest had no durable batch yet, and is gone.
fn recover(path: &Path, newest: bool) -> Result<Option<Open>, Error> {
    let db = Database::open_or_create(path, WRITE_CACHE_BYTES)?;
    let Some(meta) = db.meta()? else {
        if !newest {
            return Err(Error::damaged(path, "its meta entry is missing"));
        }
        drop(db);
        directory::take_apart(path)?;
        return Ok(None);
    };
    let mut summary = Summary::decode(&meta).ok_or_else(|| Error::damaged(path, "its meta entry does not parse"))?;
    sealed::remove(path)?;
    index::unpack(&db)?;
    summary.lists = 0;
    chunk::remove_from(&db, summary.chunks)?;
    let (index, tail) = read_chunks(path, &db, &summary)?;
    let db = Arc::new(db);
    let partition = Arc::new(Partition::open(path.to_owned(), db.clone(), summary, index));
    let number = summary.chunks - u32::from(!tail.is_empty());
    Ok(Some(Open { partition, db, summary, tail, number, postings: Vec::new() }))
}

/// The index over all rows up to the last durable batch, and the last chunk when there is room in it.
fn read_chunks(path: &Path, db: &Database, summary: &Summary) -> Result<(Index, Builder), Error> {
    let mut decompressor = Decompressor::new().map_err(Error::io(path))?;
    let mut index = Index::default();
    let mut tail = Builder::default();
    let mut rows = 0;
    let mut past = false;
    for number in 0..summary.chunks {
        let raw = chunk::load(db, number, &mut decompressor)?.map_err(|detail| Error::damaged(path, detail))?;
        let is_last = number + 1 == summary.chunks;
        let parsed = chunk::rows(&raw, |row| {
            if row.seq > summary.applied {
                past = true;
                return;
            }
            rows += 1;
            row.terms().for_each(|term| index.insert(term, number));
            if is_last {
                tail.push(row.seq, row.at, row.terms(), row.bytes);
            }
        });
        parsed.ok_or_else(|| Error::damaged(path, format!("chunk {number} does not parse")))?;
    }
    if rows != summary.rows {
        return Err(Error::damaged(path, format!("it has {rows} rows and should have {}", summary.rows)));
    }
    if past {
        tail.store(db, summary.chunks - 1, &mut compressor(path)?)?;
        db.sync()?;
    }
    if tail.len() >= CHUNK_BYTES {
        tail.clear();
    }
    Ok((index, tail))
}
