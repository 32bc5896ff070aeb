//! Directories that appear and vanish as a whole, whenever we are killed.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::journal::error::Error;
use crate::journal::head::sync_dir;

/// Ends the name of a directory that is not complete.
const NEW: &str = "new";
/// Ends the name of a directory that is being taken apart.
const DROP: &str = "drop";
/// Deleting a large file at once stalls the commits beside it by tens of milliseconds; so it shrinks in steps.
const SHRINK_BYTES: u64 = 32 * 1024 * 1024;
const SHRINK_PAUSE: Duration = Duration::from_millis(20);

/// Makes `dir` and its missing parents, durably.
pub(super) fn ensure(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure(parent)?;
    fs::create_dir(dir).map_err(Error::io("create directory", dir))?;
    sync_dir(parent)
}

/// The name under which `dir` is made; nothing is there when this returns.
pub(super) fn prepare(dir: &Path) -> Result<PathBuf, Error> {
    let new = dir.with_extension(NEW);
    remove(&new)?;
    fs::create_dir(&new).map_err(Error::io("create directory", &new))?;
    Ok(new)
}

/// Gives the complete and synced directory `new` its name. What bore it before is swapped out in the same instant,
/// and deleted.
pub(super) fn complete(new: &Path, dir: &Path) -> Result<(), Error> {
    let parent = dir.parent().expect("it is inside the state directory");
    sync_dir(new)?;
    if dir.exists() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        renameat_with(CWD, new, CWD, dir, RenameFlags::EXCHANGE)
            .map_err(|error| Error::io("replace", dir)(error.into()))?;
        sync_dir(parent)?;
        return remove(new);
    }
    fs::rename(new, dir).map_err(Error::io("rename to", dir))?;
    sync_dir(parent)
}

/// Takes `dir` away, in steps that let commits pass.
pub(super) fn take_apart(dir: &Path) -> Result<(), Error> {
    let doomed = dir.with_extension(DROP);
    remove(&doomed)?;
    fs::rename(dir, &doomed).map_err(Error::io("rename to", &doomed))?;
    sync_dir(doomed.parent().expect("it is inside the state directory"))?;
    remove(&doomed)
}

/// Deletes `dir`, in steps; it is fine if there is none.
fn remove(dir: &Path) -> Result<(), Error> {
    if !dir.exists() {
        return Ok(());
    }
    let path = dir.join("db");
    if let Ok(file) = OpenOptions::new().write(true).open(&path) {
        let mut length = file.metadata().map_err(Error::io("inspect", &path))?.len();
        while length > SHRINK_BYTES {
            length -= SHRINK_BYTES;
            file.set_len(length).map_err(Error::io("shrink", &path))?;
            std::thread::sleep(SHRINK_PAUSE);
        }
    }
    fs::remove_dir_all(dir).map_err(Error::io("remove", dir))
}

/// Deletes what was left incomplete or half gone in `root`; answers the names.
pub(super) fn clear(root: &Path) -> Result<Vec<String>, Error> {
    let mut cleared = Vec::new();
    for path in list(root)? {
        if !path.extension().is_some_and(|end| end == NEW || end == DROP) {
            continue;
        }
        if path.is_dir() {
            remove(&path)?;
        } else {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        cleared.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    }
    cleared.sort();
    Ok(cleared)
}

/// What is in `dir`.
pub(super) fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries =
        fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>());
    entries.map_err(Error::io("list", dir))
}

/// Bytes that the files directly in `dir` take on disk; 0 if it is gone.
pub(super) fn bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let blocks = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.blocks());
    list(dir).unwrap_or_default().iter().map(blocks).sum::<u64>() * 512
}
