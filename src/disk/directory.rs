//! Directories that appear and vanish as a whole, whenever we are killed, and small files that are replaced so.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::FileError;

/// Ends the name of what is not complete.
const NEW: &str = "new";
/// Ends the name of a directory that is being taken apart.
const DROP: &str = "drop";
/// Deleting a large file at once stalls the commits beside it by tens of milliseconds; so it shrinks in steps.
const SHRINK_BYTES: u64 = 32 * 1024 * 1024;
const SHRINK_PAUSE: Duration = Duration::from_millis(20);

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes `dir` and its missing parents, durably. One that is there is synced too: who made it may have been killed
/// before that.
pub fn ensure(dir: &Path) -> Result<(), FileError> {
    let parent = parent(dir);
    if !dir.is_dir() {
        if !parent.is_dir() {
            ensure(parent)?;
        }
        fs::create_dir(dir).map_err(FileError::at("create directory", dir))?;
    }
    sync_dir(dir)?;
    sync_dir(parent)
}

/// The name under which `dir` is made; nothing but an empty directory is there when this returns.
pub fn prepare(dir: &Path) -> Result<PathBuf, FileError> {
    let new = dir.with_extension(NEW);
    remove(&new)?;
    fs::create_dir(&new).map_err(FileError::at("create directory", &new))?;
    Ok(new)
}

/// Gives the complete and synced directory `new` its name. What bore it before is swapped out in the same instant,
/// and deleted.
pub fn complete(new: &Path, dir: &Path) -> Result<(), FileError> {
    sync_dir(new)?;
    if dir.exists() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        renameat_with(CWD, new, CWD, dir, RenameFlags::EXCHANGE)
            .map_err(|error| FileError::at("replace", dir)(error.into()))?;
        sync_dir(parent(dir))?;
        return remove(new);
    }
    fs::rename(new, dir).map_err(FileError::at("rename to", dir))?;
    sync_dir(parent(dir))
}

/// Takes `dir` away, in steps that let commits pass.
pub fn take_apart(dir: &Path) -> Result<(), FileError> {
    let doomed = dir.with_extension(DROP);
    remove(&doomed)?;
    fs::rename(dir, &doomed).map_err(FileError::at("rename to", &doomed))?;
    sync_dir(parent(&doomed))?;
    remove(&doomed)
}

/// Deletes `dir`, in steps; it is fine if there is none.
fn remove(dir: &Path) -> Result<(), FileError> {
    if !dir.exists() {
        return Ok(());
    }
    let path = dir.join("db");
    if let Ok(file) = OpenOptions::new().write(true).open(&path) {
        let mut length = file.metadata().map_err(FileError::at("inspect", &path))?.len();
        while length > SHRINK_BYTES {
            length -= SHRINK_BYTES;
            file.set_len(length).map_err(FileError::at("shrink", &path))?;
            std::thread::sleep(SHRINK_PAUSE);
        }
    }
    fs::remove_dir_all(dir).map_err(FileError::at("remove", dir))
}

/// Deletes what was left incomplete or half gone in `root`; answers the names.
pub fn clear(root: &Path) -> Result<Vec<String>, FileError> {
    let mut cleared = Vec::new();
    for path in list(root)? {
        if !path.extension().is_some_and(|end| end == NEW || end == DROP) {
            continue;
        }
        if path.is_dir() {
            remove(&path)?;
        } else {
            fs::remove_file(&path).map_err(FileError::at("remove", &path))?;
        }
        cleared.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    }
    cleared.sort();
    Ok(cleared)
}

/// What is in `dir`.
pub fn list(dir: &Path) -> Result<Vec<PathBuf>, FileError> {
    let entries =
        fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>());
    entries.map_err(FileError::at("list", dir))
}

/// Bytes that the files directly in `dir` take on disk; 0 if it is gone.
pub fn bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let blocks = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.blocks());
    list(dir).unwrap_or_default().iter().map(blocks).sum::<u64>() * 512
}

/// Makes the names in `dir` durable; sled does this nowhere.
pub fn sync_dir(dir: &Path) -> Result<(), FileError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(FileError::at("sync directory", dir))
}

/// Replaces a small file durably: at every instant there is the old one or the new one.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let new = path.with_extension(NEW);
    let mut file = File::create(&new).map_err(FileError::at("create", &new))?;
    file.write_all(bytes).map_err(FileError::at("write", &new))?;
    file.sync_all().map_err(FileError::at("sync", &new))?;
    fs::rename(&new, path).map_err(FileError::at("rename to", path))?;
    sync_dir(parent(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_replaced_and_taken_apart_as_a_whole() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("a/b/thing");
        ensure(dir.parent().unwrap()).unwrap();
        for text in ["one", "two"] {
            let new = prepare(&dir).unwrap();
            replace_file(&new.join("file"), text.as_bytes()).unwrap();
            complete(&new, &dir).unwrap();
            assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), text);
            assert_eq!(list(dir.parent().unwrap()).unwrap(), [dir.as_path()]);
        }
        assert!(bytes(&dir) > 0);
        take_apart(&dir).unwrap();
        assert_eq!((list(dir.parent().unwrap()).unwrap().len(), bytes(&dir)), (0, 0));
    }

    #[test]
    fn what_a_kill_leaves_is_cleared_and_named() {
        let root = tempfile::tempdir().unwrap();
        let whole = root.path().join("whole");
        fs::create_dir(&whole).unwrap();
        let half = root.path().join("half.drop");
        fs::create_dir(&half).unwrap();
        File::create(half.join("db")).unwrap().set_len(3 * SHRINK_BYTES).unwrap();
        fs::write(root.path().join("note.new"), b"half").unwrap();
        assert_eq!(clear(root.path()).unwrap(), ["half.drop", "note.new"]);
        assert_eq!(list(root.path()).unwrap(), [whole]);
    }
}
