//! Which files some process has open for writing, as `/proc` tells.
//!
//! A lease (`F_SETLEASE`) would be exact, but only for files of one's own, on some file systems, and at the price of
//! opening every file. `/proc` is read once in a run. What it does not show: processes that we may not look into (without
//! root, those of others), writers on other machines or outside of our pid namespace, a mapping whose descriptor was
//! closed, and what is opened after it was read; the last is noticed if it has been written to by the time the file is touched.

use std::collections::HashMap;
use std::ffi::CStr;
use std::io;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, StatxFlags, makedev, openat, statat, statx};
use rustix::io::Errno;

use super::folder::Identity;

/// Files that are remembered, at some 40 bytes each.
const FILES_MAX: usize = 1_000_000;
const READ: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// The owner's right to write, which a descriptor that can be written to has on its entry.
const WRITE_BIT: u32 = 0o200;

/// The files that are open for writing.
#[derive(Debug, Default)]
pub(super) struct Writers {
    files: HashMap<Identity, u32>,
    /// Processes that could not be looked into.
    pub unseen: u64,
}

impl Writers {
    /// Looks through all processes. It blocks, for some microseconds an open file.
    pub fn scan() -> io::Result<Writers> {
        let mut writers = Writers::default();
        let proc = openat(CWD, "/proc", READ, Mode::empty())?;
        let mut seen = false;
        for entry in Dir::read_from(&proc)? {
            let entry = entry?;
            let Some(process) = number(entry.file_name()) else { continue };
            match openat(&proc, format!("{process}/fd"), READ, Mode::empty()) {
                Ok(descriptors) => {
                    seen = true;
                    writers.look_into(process, Dir::new(descriptors)?)?;
                }
                Err(Errno::NOENT | Errno::SRCH) => {}
                Err(_) => writers.unseen += 1,
            }
        }
        // At least we ourselves are there.
        if seen { Ok(writers) } else { Err(io::Error::other("/proc shows no process")) }
    }

    /// A process that has the file open for writing.
    pub fn of(&self, file: Identity) -> Option<u32> {
        self.files.get(&file).copied()
    }

    fn look_into(&mut self, process: u32, mut descriptors: Dir) -> io::Result<()> {
        // A process or descriptor that is gone meanwhile writes no more.
        while let Some(Ok(entry)) = descriptors.read() {
            let Ok(link) = statat(descriptors.fd()?, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if link.st_mode & WRITE_BIT == 0 || number(entry.file_name()).is_none() {
                continue;
            }
            // Through the link, without opening, and without asking a server that may not answer.
            let wanted = StatxFlags::TYPE | StatxFlags::INO;
            let Ok(file) = statx(descriptors.fd()?, entry.file_name(), AtFlags::STATX_DONT_SYNC, wanted) else {
                continue;
            };
            if FileType::from_raw_mode(file.stx_mode.into()).is_file() {
                if self.files.len() >= FILES_MAX {
                    return Err(io::Error::other("more than a million files are open"));
                }
                self.files.insert((makedev(file.stx_dev_major, file.stx_dev_minor), file.stx_ino), process);
            }
        }
        Ok(())
    }
}

fn number(name: &CStr) -> Option<u32> {
    name.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn writers_are_found_and_readers_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let identity = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, "line").unwrap();
            let metadata = fs::metadata(path).unwrap();
            (metadata.dev(), metadata.ino())
        };
        let [written, appended, both, read, closed] = ["w", "a", "b", "r", "c"].map(identity);
        let path = |name: &str| folder.path().join(name);
        let _open = [
            fs::File::options().write(true).open(path("w")).unwrap(),
            fs::File::options().append(true).open(path("a")).unwrap(),
            fs::File::options().read(true).write(true).open(path("b")).unwrap(),
            fs::File::open(path("r")).unwrap(),
        ];
        let writers = Writers::scan().unwrap();
        let of = |identity| writers.of(identity);
        let us = Some(std::process::id());
        assert_eq!((of(written), of(appended), of(both)), (us, us, us));
        assert_eq!((of(read), of(closed)), (None, None));
    }
}
