//! The file of one attempt that runs: its lock says that the shim lives, its slots say how far it got.
//!
//! All of it is written before the shim starts, so that a full disk cannot keep an end from being noted. A slot is
//! written once: its length, a checksum, and JSON. A newer daemon reads the slots of an older shim: fields may be
//! added with a default, none is taken away. Nothing is synced but an end that no daemon is there to take: after a
//! power cut nothing runs, and whatever was not noted in the journal is interrupted.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::core::id::JobId;
use crate::exec::{Identity, Outcome, OutputSize};

/// The first bytes of every run file, with the number of its form.
const HEAD: &[u8] = b"daybook run 1\n";
const SIZE: usize = 8 * 1024;
const MARK: Slot = Slot { at: 64, room: 960 };
const LIVE: Slot = Slot { at: 1024, room: 1024 };
const END: Slot = Slot { at: 2048, room: SIZE - 2048 };
/// Length and checksum, before the text of a slot.
const FRAME: usize = 12;

/// How long a lock is waited for that nobody should hold any more.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const LOCK_AGAIN: Duration = Duration::from_millis(2);

/// The run file of one attempt, open.
#[derive(Debug)]
pub struct RunFile(File);

/// Where a text stands, and how many bytes it may have with its frame.
#[derive(Clone, Copy)]
struct Slot {
    at: usize,
    room: usize,
}

/// Noted before the job's process is made: from here on the work may have been done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marked {
    pub shim: Identity,
    /// The cgroup of the job, if it has one.
    pub cgroup: Option<PathBuf>,
    /// The folder that was made for its temporary files.
    #[serde(default)]
    pub temporary: Option<PathBuf>,
}

/// How the attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub outcome: Outcome,
    pub output: OutputSize,
    pub stragglers: Stragglers,
    /// What went wrong beside the outcome and changed nothing about it.
    pub notes: Vec<String>,
}

/// Processes that outlived the main one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stragglers {
    pub count: u32,
    /// Names of some of them.
    pub names: Vec<String>,
    /// So many could not be ended, or were left because the task says so.
    pub left: u32,
}

impl Stragglers {
    /// A sentence about them; none if there were none.
    pub fn note(&self) -> Option<String> {
        if self.count == 0 {
            return None;
        }
        let what = if self.count == 1 { "1 process" } else { &format!("{} processes", self.count) };
        let names = if self.names.is_empty() { String::new() } else { format!(" ({})", self.names.join(", ")) };
        Some(match self.left {
            0 => format!("{what} outlived it and had to be ended{names}"),
            left if left == self.count => format!("{what} outlived it{names}"),
            left => format!("{what} outlived it{names}, {left} of them still run"),
        })
    }
}

/// What a run file says. See the table of this module's parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// The shim lives; no mark yet means that it has just been started.
    Alive(Option<Marked>),
    Ended(Ended),
    NeverStarted,
    /// The shim is gone without a word; the job's main process, if one was made.
    Lost(Marked, Option<Identity>),
}

impl RunFile {
    /// Makes the file, whole, and takes its lock. It blocks, for a while even if another one holds the lock: that may
    /// be a process which is just being made, with a copy of all that was open, whose program is not loaded yet.
    ///
    /// # Errors
    /// When the disk has no room for it, or another attempt of that name is there and lives.
    pub fn create(path: &Path) -> io::Result<RunFile> {
        let end = Instant::now() + LOCK_WAIT;
        RunFile::create_if(path, || {
            std::thread::sleep(LOCK_AGAIN);
            Instant::now() < end
        })
    }

    /// The same; `again` is asked whether to try it once more when the lock is held.
    fn create_if(path: &Path, mut again: impl FnMut() -> bool) -> io::Result<RunFile> {
        let flags = OFlags::NOFOLLOW.bits() as i32;
        let file = OpenOptions::new().read(true).write(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
        // Before anything is written: what is there may live.
        while let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != Errno::WOULDBLOCK || !again() {
                return Err(error.into());
            }
        }
        let mut whole = [0; SIZE];
        whole[..HEAD.len()].copy_from_slice(HEAD);
        file.write_all_at(&whole, 0)?;
        Ok(RunFile(file))
    }

    /// The file as the shim gets it: open, and locked already.
    pub fn inherited(file: OwnedFd) -> RunFile {
        RunFile(file.into())
    }

    pub fn mark(&self, marked: &Marked) -> io::Result<()> {
        self.put(MARK, marked)
    }

    /// The job's main process exists.
    pub fn live(&self, process: &Identity) -> io::Result<()> {
        self.put(LIVE, process)
    }

    /// Notes the end; `durably` if nobody is there to take it. What is too long of it is left out.
    pub fn end(&self, ended: &Ended, durably: bool) -> io::Result<()> {
        match self.put(END, ended) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                let short = Ended { notes: vec!["further notes were too long".to_owned()], ..ended.clone() };
                self.put(END, &short)?;
            }
            written => written?,
        }
        if durably { self.0.sync_data() } else { Ok(()) }
    }

    /// What is noted of an end.
    pub fn ended(&self) -> Option<Ended> {
        self.get(END)
    }

    fn put<T: Serialize>(&self, slot: Slot, value: &T) -> io::Result<()> {
        let text = serde_json::to_vec(value)?;
        if text.len() + FRAME > slot.room {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "does not fit into its slot"));
        }
        let mut bytes = Vec::with_capacity(FRAME + text.len());
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(xxhash_rust::xxh3::xxh3_64(&text).to_le_bytes());
        bytes.extend(text);
        self.0.write_all_at(&bytes, slot.at as u64)
    }

    /// What a slot holds; none if nothing whole is there.
    fn get<T: DeserializeOwned>(&self, slot: Slot) -> Option<T> {
        let mut bytes = vec![0; slot.room];
        self.0.read_exact_at(&mut bytes, slot.at as u64).ok()?;
        let (frame, rest) = bytes.split_at(FRAME);
        let length = u32::from_le_bytes(frame[..4].try_into().ok()?) as usize;
        let text = rest.get(..length)?;
        let checksum = u64::from_le_bytes(frame[4..].try_into().ok()?);
        if length == 0 || xxhash_rust::xxh3::xxh3_64(text) != checksum {
            return None;
        }
        serde_json::from_slice(text).ok()
    }

    /// Looks at the file of an attempt; none if there is no run file of a form that is known.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn look(path: &Path) -> io::Result<Option<Look>> {
        RunFile::look_if(path, |file| match rustix::fs::flock(file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        })
    }

    /// The same, of one whose shim is known to have ended: a process that is just being made may still have a copy of
    /// the open file, and with it the lock, until its program is loaded.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn look_after_end(path: &Path) -> io::Result<Option<Look>> {
        RunFile::look_if(path, |_| Ok(true))
    }

    fn look_if(path: &Path, is_free: impl FnOnce(&File) -> io::Result<bool>) -> io::Result<Option<Look>> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.len() == 0 {
            // Its daemon was killed before it wrote anything, and no shim was given it.
            return Ok(Some(if is_free(&file)? { Look::NeverStarted } else { Look::Alive(None) }));
        }
        let mut head = [0; HEAD.len()];
        if !metadata.is_file() || file.read_exact_at(&mut head, 0).is_err() || head != HEAD {
            return Ok(None);
        }
        let is_free = is_free(&file)?;
        // The lock first: a shim that ends between the two has noted its end by then.
        let run = RunFile(file);
        Ok(Some(match (is_free, run.get::<Ended>(END), run.get::<Marked>(MARK)) {
            (false, _, marked) => Look::Alive(marked),
            (true, Some(ended), _) => Look::Ended(ended),
            (true, None, Some(marked)) => Look::Lost(marked, run.get(LIVE)),
            (true, None, None) => Look::NeverStarted,
        }))
    }
}

/// The open file, to be given to the shim.
impl AsFd for RunFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The path of an attempt's run file below a folder.
pub fn path(folder: &Path, job: JobId, attempt: u32) -> PathBuf {
    folder.join(format!("{job}.{attempt}"))
}

/// The attempt that a run file is named after.
pub fn parse_name(name: &str) -> Option<(JobId, u32)> {
    let (job, attempt) = name.split_once('.')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(job) || !plain(attempt) {
        return None;
    }
    Some((JobId(job.parse().ok()?), attempt.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::Exit;

    fn marked() -> Marked {
        Marked {
            shim: Identity { pid: 2, start_time: 3, boot_id: u128::MAX },
            cgroup: Some("/sys/fs/cgroup/x".into()),
            temporary: None,
        }
    }

    fn ended(notes: Vec<String>) -> Ended {
        let outcome = Outcome::Failed { exit: Exit::Code(3) };
        Ended { outcome, output: OutputSize { kept: 1, dropped: 2 }, stragglers: Stragglers::default(), notes }
    }

    /// Looks when nobody holds the lock any more: a process that another test is just starting may do so until it is
    /// another program.
    fn look_when_free(path: &Path) -> Option<Look> {
        loop {
            match RunFile::look(path).unwrap() {
                Some(Look::Alive(_)) => std::thread::yield_now(),
                seen => return seen,
            }
        }
    }

    #[test]
    fn each_step_is_seen_from_outside() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), JobId(12), 3);
        let run = RunFile::create(&path).unwrap();
        assert_eq!(RunFile::look(&path).unwrap(), Some(Look::Alive(None)));
        assert!(RunFile::create_if(&path, || false).is_err(), "it lives");
        drop(run);
        assert_eq!(look_when_free(&path), Some(Look::NeverStarted));

        let run = RunFile::create(&path).unwrap();
        let inherited = RunFile::inherited(run.as_fd().try_clone_to_owned().unwrap());
        drop(run);
        inherited.mark(&marked()).unwrap();
        assert_eq!(RunFile::look(&path).unwrap(), Some(Look::Alive(Some(marked()))), "the lock went along");
        let process = Identity { pid: 9, start_time: 8, boot_id: 7 };
        inherited.live(&process).unwrap();
        drop(inherited);
        assert_eq!(look_when_free(&path), Some(Look::Lost(marked(), Some(process))));

        let run = RunFile::create(&path).unwrap();
        run.mark(&marked()).unwrap();
        run.end(&ended(vec!["a note".into()]), true).unwrap();
        drop(run);
        assert_eq!(look_when_free(&path), Some(Look::Ended(ended(vec!["a note".into()]))));
    }

    #[test]
    fn a_lock_that_is_let_go_soon_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), JobId(1), 1);
        let mut holder = Some(RunFile::create(&path).unwrap());
        let again = || {
            drop(holder.take());
            true
        };
        assert!(RunFile::create_if(&path, again).is_ok());
    }

    #[test]
    fn what_is_torn_or_foreign_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.1");
        let run = RunFile::create(&path).unwrap();
        run.mark(&marked()).unwrap();
        run.end(&ended(Vec::new()), false).unwrap();
        run.0.write_all_at(b"?", END.at as u64 + 20).unwrap();
        drop(run);
        assert_eq!(look_when_free(&path), Some(Look::Lost(marked(), None)));
        std::fs::write(&path, "something else").unwrap();
        assert_eq!(look_when_free(&path), None);
        std::fs::write(&path, "").unwrap();
        assert_eq!(look_when_free(&path), Some(Look::NeverStarted), "a daemon was killed while it made the file");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(RunFile::look(&path).is_err() && RunFile::create(&path).is_err(), "no link is followed");
    }

    #[test]
    fn an_end_with_long_notes_loses_the_notes_and_not_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.1");
        RunFile::create(&path).unwrap().end(&ended(vec!["x".repeat(SIZE)]), false).unwrap();
        let Some(Look::Ended(read)) = look_when_free(&path) else { panic!("it has ended") };
        assert_eq!(read.outcome, ended(Vec::new()).outcome);
        assert_eq!(read.notes.len(), 1);
    }

    #[test]
    fn names_are_those_of_attempts() {
        assert_eq!(parse_name("12.3"), Some((JobId(12), 3)));
        for name in ["", "12", "12.", ".3", "12.3.4", "a.1", "+1.2", "1.99999999999"] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
