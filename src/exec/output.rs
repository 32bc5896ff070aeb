//! Where the outputs of attempts are kept, and how they are read, also while they grow.
//!
//! One file per attempt, `<job / 1000>/<job>.<attempt>.log` in the folder of outputs, made when the first byte comes:
//! no folder has more than the attempts of a thousand jobs. The results of jobs pass through the same folders.
//! What fills the files is in `shim` and `lines.rs`; what empties the folders is in `prune.rs`.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::core::id::JobId;
use crate::core::limits::FIRST_RUN;

use super::error::Error;

/// Jobs whose files share a folder.
pub(super) const JOBS_PER_FOLDER: u64 = 1000;
/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// How often a follower looks for more in the file of an attempt that runs.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The outputs of all attempts. Clones are the same thing.
#[derive(Clone, Debug)]
pub struct Outputs {
    folder: Arc<Path>,
    live: Arc<Mutex<Live>>,
}

/// The attempts that are being written to. Each tells its readers how many bytes are in the file.
pub(super) type Live = HashMap<(JobId, u32), watch::Sender<u64>>;

impl Outputs {
    /// Outputs in `folder`, which is made if it is not there. It blocks.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(folder: PathBuf) -> Result<Outputs, Error> {
        make_folder(&folder).map_err(Error::file("make the folder of outputs", &folder))?;
        Ok(Outputs { folder: folder.into(), live: Arc::default() })
    }

    /// The file of an attempt. There is none if the attempt printed nothing, or once it has been pruned.
    pub fn path(&self, job: JobId, attempt: u32) -> PathBuf {
        self.folder_of(job).join(format!("{job}.{attempt}.log"))
    }

    /// Bytes of the file of an attempt; 0 if there is none. It blocks.
    pub fn size(&self, job: JobId, attempt: u32) -> u64 {
        std::fs::metadata(self.path(job, attempt)).map_or(0, |metadata| metadata.len())
    }

    /// Up to 64 KiB of the output from `offset`; empty at its end, or if there is none.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub async fn read(&self, job: JobId, attempt: u32, offset: u64) -> Result<Vec<u8>, Error> {
        let path = self.path(job, attempt);
        let read =
            tokio::task::spawn_blocking(move || read_at(&path, offset).map_err(Error::file("read the output", &path)));
        read.await.unwrap_or_else(|_| Ok(Vec::new())) // only when the runtime is shutting down
    }

    /// The output from `offset`, as it comes; it ends when the attempt is over.
    pub fn follow(&self, job: JobId, attempt: u32, offset: u64) -> Follow {
        let live = self.live().get(&(job, attempt)).map(watch::Sender::subscribe);
        Follow { outputs: self.clone(), job, attempt, offset, live }
    }

    /// The newest attempt of `job` that runs or has printed something. It blocks.
    ///
    /// # Errors
    /// When the folder is there and cannot be read.
    pub fn latest(&self, job: JobId) -> Result<Option<u32>, Error> {
        let running = self.live().keys().filter(|key| key.0 == job).map(|key| key.1).max();
        let outputs = self.files(&self.folder_of(job))?.into_iter().filter(|file| file.job == job && file.is_output);
        // Those of a batch's items have their lines in the output of its attempt.
        Ok(outputs.map(|file| file.attempt).chain(running).filter(|attempt| *attempt < FIRST_RUN).max())
    }

    /// The first bytes of a file that nobody will read as a whole, which goes with that. Empty if there is none. It blocks.
    pub fn take(&self, job: JobId, attempt: u32, bytes_max: usize) -> String {
        let path = self.path(job, attempt);
        let mut bytes = read_at(&path, 0).unwrap_or_default();
        bytes.truncate(bytes_max);
        let _: io::Result<bool> = delete(&path);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Where an attempt may leave its result.
    pub(super) fn result_path(&self, job: JobId, attempt: u32) -> PathBuf {
        self.folder_of(job).join(format!("{job}.{attempt}.result"))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn folder_of(&self, job: JobId) -> PathBuf {
        self.folder.join((job.0 / JOBS_PER_FOLDER).to_string())
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        // No code panics while it holds the lock; and if it did, the map would still be whole.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The attempt begins: from now on it can be followed, and pruning spares its files.
    pub(super) fn begin(&self, job: JobId, attempt: u32) {
        self.live().insert((job, attempt), watch::Sender::new(0));
    }

    /// Makes a folder for the files of an attempt that has begun, and answers the path for its result. It blocks.
    pub(super) fn prepare(&self, job: JobId, attempt: u32) -> Result<PathBuf, Error> {
        let folder = self.folder_of(job);
        make_folder(&folder).map_err(Error::file("make the folder", &folder))?;
        let result = self.result_path(job, attempt);
        // An attempt of that number may have begun before a crash that forgot it.
        for stale in [&result, &self.path(job, attempt)] {
            delete(stale).map_err(Error::file("remove the stale file", stale))?;
        }
        Ok(result)
    }

    /// The attempt is over: its followers read the rest and end.
    pub(super) fn end(&self, job: JobId, attempt: u32) {
        self.live().remove(&(job, attempt));
    }

    /// Tells followers that `length` bytes are there now.
    pub(super) fn announce(&self, job: JobId, attempt: u32, length: u64) {
        if let Some(sender) = self.live().get(&(job, attempt)) {
            sender.send_replace(length);
        }
    }

    /// A new, empty file for the output of an attempt. It blocks.
    pub(super) fn create(&self, job: JobId, attempt: u32) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(self.path(job, attempt))
    }
}

/// Deletes a file of an attempt, and says whether it was there. It blocks.
///
/// The job knows the path, and may have put a folder in its place: it goes with all that is in it. No link is followed.
pub(super) fn delete(path: &Path) -> io::Result<bool> {
    let deleted = match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => std::fs::remove_dir_all(path),
        deleted => deleted,
    };
    match deleted {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The output of an attempt while it grows: see [`Outputs::follow`].
#[derive(Debug)]
pub struct Follow {
    outputs: Outputs,
    job: JobId,
    attempt: u32,
    offset: u64,
    /// The length of a file that may still grow.
    live: Option<watch::Receiver<u64>>,
}

impl Follow {
    /// The next bytes, never empty; none when the attempt is over and everything has been read.
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the file cannot be read; calling again tries again.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        loop {
            if let Some(live) = &mut self.live {
                live.borrow_and_update();
            }
            let bytes = self.outputs.read(self.job, self.attempt, self.offset).await?;
            if !bytes.is_empty() {
                self.offset += bytes.len() as u64;
                return Ok(Some(bytes));
            }
            match &mut self.live {
                None => return Ok(None),
                // What a shim writes nobody tells; what a worker writes is told at once.
                Some(live) => {
                    if let Ok(Err(_)) = tokio::time::timeout(LOOK_EVERY, live.changed()).await {
                        self.live = None; // over: what was written last is still to be read
                    }
                }
            }
        }
    }

    /// Ends with what is there now, even if the attempt goes on.
    pub fn only_what_is_there(mut self) -> Follow {
        self.live = None;
        self
    }

    /// Where the next bytes will come from.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// Makes a folder, and those it is in, readable by our group and nobody else.
fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.mode(0o750);
    match builder.create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) => builder.recursive(true).create(path),
    }
}

fn read_at(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let rest = file.metadata()?.len().saturating_sub(offset).min(CHUNK_BYTES as u64);
    let mut bytes = vec![0; usize::try_from(rest).unwrap_or(CHUNK_BYTES)];
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], offset + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}
