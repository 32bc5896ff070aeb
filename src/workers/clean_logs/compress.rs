//! Compressing one file of an open folder so that a kill at any instant loses nothing.
//!
//! ```text
//!  made ─▶ copied ─▶ synced ─▶ renamed ─▶ done
//!  └──── the original and a temporary ─┘  └─ the original and its compressed twin; then only the twin
//! ```
//! A next run removes a temporary file that nobody writes to any more (`temporary.rs`), and where it finds a twin of the same
//! time and content it removes the original. A file that is there already and anything else is never overwritten.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, fchmod, fchown, fstat, fsync, futimens, openat,
    statat, unlinkat,
};
use rustix::io::Errno;

use super::change::{CHANGED, Change, Failure, LINKED, bytes, differs, is, open, while_doing, writable};
use super::folder::File;
use super::group::without_compression;
use super::temporary::Temporary;

/// Bytes read at once.
const PIECE: usize = 128 * 1024;
/// zstd's default, and gzip's.
const LEVELS: (i32, u32) = (3, 6);
/// Bytes, as a power of two, that expanding a twin may keep in memory; ours need 2 MiB.
const WINDOW_LOG_MAX: u32 = 23;

/// Kinds of compressed files that can be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    Gzip,
    Zstd,
}

impl Format {
    const ALL: [Format; 2] = [Format::Gzip, Format::Zstd];

    fn suffix(self) -> &'static str {
        match self {
            Format::Gzip => ".gz",
            Format::Zstd => ".zst",
        }
    }

    fn name_of(self, name: &OsStr) -> OsString {
        let mut name = name.to_owned();
        name.push(self.suffix());
        name
    }
}

/// How far the compression of a file is. Whoever is told answers whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    /// The temporary file is there, empty.
    Made,
    /// So many bytes of the original were read.
    Copying(u64),
    /// All of it is in the temporary file.
    Copied,
    /// With owner, mode and times, and on disk.
    Synced,
    /// It has its name. From here on stopping would leave both files, so the answer does not count.
    Renamed,
    /// The original is gone.
    Done,
}

/// Told of each stage.
pub(super) type Watch<'a> = dyn FnMut(Stage) -> ControlFlow<()> + 'a;

/// Whether the file has the name of a compressed one.
pub(super) fn is_compressed(file: &File) -> bool {
    without_compression(&file.name).is_some()
}

/// Puts a compressed file with the same owner, mode and times in the place of `file`.
pub(super) fn compress(
    folder: BorrowedFd<'_>,
    file: &File,
    format: Format,
    dry_run: bool,
    watch: &mut Watch<'_>,
) -> Result<Change, Failure> {
    let Some(source) = open(folder, &file.name, OFlags::RDONLY)? else { return Ok(Change::Gone) };
    let stat = fstat(&source).map_err(while_doing("look at it"))?;
    if File::new(&file.name, &stat).as_ref() != Some(file) {
        return Ok(CHANGED);
    }
    if file.links > 1 {
        return Ok(LINKED);
    }
    let mut source = fs::File::from(source);
    if let Some(settled) = settle(folder, file, &mut source, format, dry_run, watch)? {
        return Ok(settled);
    }
    if dry_run {
        writable(folder)?;
        return Ok(Change::Done { freed: 0 });
    }
    let Some(temporary) = Temporary::make(folder, file)? else {
        return Ok(Change::Left("another run is compressing it"));
    };
    if watch(Stage::Made).is_break() {
        return Ok(Change::Stopped);
    }
    // One byte more would show that it has grown; a file that grows for ever is not followed.
    let mut source = source.take(file.size.saturating_add(1));
    let copied = copy(&mut source, &temporary.file, format, watch).map_err(while_doing("compress it"))?;
    match copied {
        None => return Ok(Change::Stopped),
        Some(copied) if copied != file.size => return Ok(CHANGED),
        Some(_) => {}
    }
    // Little is left to do, so from here on the answers do not matter.
    let _ = watch(Stage::Copied);
    dress(&temporary.file, &stat)?;
    let _ = watch(Stage::Synced);
    if let Some(other) = differs(folder, file)? {
        return Ok(other);
    }
    replace(folder, file, temporary, format, watch)
}

/// Gives the temporary file its name, and removes the original.
fn replace(
    folder: BorrowedFd<'_>,
    file: &File,
    temporary: Temporary<'_>,
    format: Format,
    watch: &mut Watch<'_>,
) -> Result<Change, Failure> {
    let stat = fstat(&temporary.file).map_err(while_doing("look at the compressed file"))?;
    let name = format.name_of(&file.name);
    if !temporary.rename(&name)? {
        return Ok(taken(format));
    }
    let _ = watch(Stage::Renamed);
    let twin = statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(while_doing("find the compressed file"))?;
    if (twin.st_dev, twin.st_ino) != (stat.st_dev, stat.st_ino) {
        return Ok(Change::Left("somebody has replaced what was compressed"));
    }
    if let Some(other) = finish(folder, file)? {
        // Written to in the last instant: what was just made is no twin of it.
        unlinkat(folder, &name, AtFlags::empty()).map_err(while_doing("remove what was compressed too early"))?;
        return Ok(other);
    }
    let _ = watch(Stage::Done);
    Ok(Change::Done { freed: bytes(file.size) - stat.st_size })
}

/// What to answer if a compressed form is there already: if it is the file's twin, only the original is left to go.
fn settle(
    folder: BorrowedFd<'_>,
    file: &File,
    source: &mut fs::File,
    format: Format,
    dry_run: bool,
    watch: &mut Watch<'_>,
) -> Result<Option<Change>, Failure> {
    // In either format: the setting may have changed since.
    for other in Format::ALL {
        let name = other.name_of(&file.name);
        let found = match statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            found => found.map_err(while_doing("look at its compressed form"))?,
        };
        let found = File::new(&name, &found).filter(|found| found.modified == file.modified);
        let twin = match &found {
            Some(found) => open(folder, &name, OFlags::RDONLY)?.filter(|twin| is(twin, found).unwrap_or(false)),
            None => None,
        };
        let Some(twin) = twin.map(fs::File::from) else {
            if other == format {
                return Ok(Some(taken(format)));
            }
            continue;
        };
        match is_twin(source, &twin, other, watch).map_err(while_doing("compare it with its compressed form"))? {
            None => return Ok(Some(Change::Stopped)),
            Some(false) if other == format => return Ok(Some(taken(format))),
            Some(false) => source.rewind().map_err(while_doing("read it"))?,
            Some(true) if dry_run => return Ok(Some(Change::Done { freed: bytes(file.size) })),
            Some(true) => {
                fsync(&twin).map_err(while_doing("flush its compressed form"))?;
                return Ok(Some(finish(folder, file)?.unwrap_or(Change::Done { freed: bytes(file.size) })));
            }
        }
    }
    Ok(None)
}

fn taken(format: Format) -> Change {
    Change::Left(match format {
        Format::Gzip => "there is another file of its name with .gz",
        Format::Zstd => "there is another file of its name with .zst",
    })
}

/// Removes the original once its twin is sure to be found after a power cut; none if that is done.
fn finish(folder: BorrowedFd<'_>, file: &File) -> Result<Option<Change>, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = openat(folder, ".", flags, Mode::empty()).map_err(while_doing("open its folder"))?;
    fsync(&readable).map_err(while_doing("flush its folder"))?;
    if let Some(other) = differs(folder, file)? {
        return Ok(Some(other));
    }
    unlinkat(folder, &file.name, AtFlags::empty()).map_err(while_doing("delete what is compressed"))?;
    Ok(None)
}

/// Compresses all of `source` to `target`: how many bytes that was, or none when stopped.
fn copy(source: &mut impl Read, target: &fs::File, format: Format, watch: &mut Watch<'_>) -> io::Result<Option<u64>> {
    match format {
        Format::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(target, flate2::Compression::new(LEVELS.1));
            let copied = pump(source, &mut encoder, watch)?;
            encoder.finish()?;
            Ok(copied)
        }
        Format::Zstd => {
            let mut encoder = zstd::Encoder::new(target, LEVELS.0)?;
            encoder.include_checksum(true)?;
            let copied = pump(source, &mut encoder, watch)?;
            encoder.finish()?;
            Ok(copied)
        }
    }
}

fn pump(source: &mut impl Read, target: &mut dyn Write, watch: &mut Watch<'_>) -> io::Result<Option<u64>> {
    let mut piece = vec![0; PIECE];
    let mut copied = 0;
    loop {
        let read = read_piece(source, &mut piece)?;
        if read == 0 {
            return Ok(Some(copied));
        }
        target.write_all(&piece[..read])?;
        copied += read as u64;
        if watch(Stage::Copying(copied)).is_break() {
            return Ok(None);
        }
    }
}

/// Whether `twin` expands to exactly what is in `source`; none when stopped.
fn is_twin(source: &mut fs::File, twin: &fs::File, format: Format, watch: &mut Watch<'_>) -> io::Result<Option<bool>> {
    let mut expanded: Box<dyn Read + '_> = match format {
        Format::Gzip => Box::new(flate2::read::MultiGzDecoder::new(twin)),
        Format::Zstd => {
            let mut decoder = zstd::Decoder::new(twin)?;
            decoder.window_log_max(WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
    };
    let (mut ours, mut theirs) = (vec![0; PIECE], vec![0; PIECE]);
    let mut compared = 0;
    loop {
        let read = read_piece(source, &mut ours)?;
        // What cannot be expanded is not ours.
        let Ok(other) = read_piece(&mut expanded, &mut theirs) else { return Ok(Some(false)) };
        if ours[..read] != theirs[..other] {
            return Ok(Some(false));
        }
        if read == 0 {
            return Ok(Some(true));
        }
        compared += read as u64;
        if watch(Stage::Copying(compared)).is_break() {
            return Ok(None);
        }
    }
}

/// Fills `piece` as far as there is something to read.
fn read_piece(source: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match source.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Gives the compressed file what the original has, and brings it to disk.
fn dress(target: &fs::File, stat: &Stat) -> Result<(), Failure> {
    // The mode comes after the owner, as a change of owner takes bits off it.
    fchown(target, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
        .map_err(while_doing("keep its owner"))?;
    fchmod(target, Mode::from_raw_mode(stat.st_mode)).map_err(while_doing("keep its mode"))?;
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps {
        last_access: time(stat.st_atime as _, stat.st_atime_nsec as _),
        last_modification: time(stat.st_mtime as _, stat.st_mtime_nsec as _),
    };
    futimens(target, &times).map_err(while_doing("keep its times"))?;
    fsync(target).map_err(while_doing("flush it"))
}
