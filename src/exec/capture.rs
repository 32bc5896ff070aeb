//! Reads what an attempt prints, from a pipe into its file: the first bytes are kept, the rest is counted.
//! It never stops reading while the attempt runs, so no job waits for us, whatever the disk does.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::core::id::JobId;

use super::output::Outputs;
use super::report::OutputSize;

/// Bytes read at once, which is what a pipe holds.
const CHUNK_BYTES: usize = 64 * 1024;
/// Once the main process is gone, output is complete when the pipe was quiet for so long.
const QUIET: Duration = Duration::from_millis(150);
/// And complete anyway after this, if a background process prints and prints.
const LINGER_MAX: Duration = Duration::from_secs(1);
/// Bytes read after that from a pipe that is never empty.
const REST_BYTES_MAX: usize = 1024 * 1024;

/// The reading end of an attempt's pipe, and the file it is written to.
pub(super) struct Capture {
    outputs: Outputs,
    job: JobId,
    attempt: u32,
    /// None at the end of the pipe: nobody can write to it any more.
    receiver: Option<pipe::Receiver>,
    /// Made when the first byte comes.
    file: Option<File>,
    bytes_max: u64,
    size: OutputSize,
    last_byte: u8,
    /// Why output is dropped before `bytes_max`.
    error: Option<io::Error>,
}

impl Capture {
    pub fn new(outputs: Outputs, job: JobId, attempt: u32, receiver: pipe::Receiver, bytes_max: u64) -> Capture {
        let size = OutputSize::default();
        let receiver = Some(receiver);
        Capture { outputs, job, attempt, receiver, file: None, bytes_max, size, last_byte: b'\n', error: None }
    }

    /// Reads until the pipe ends, or until it is quiet after `main_gone` has been told.
    /// A background process that holds the pipe open thus delays the end of an attempt by an instant only.
    pub async fn until_quiet(mut self, mut main_gone: oneshot::Receiver<()>) -> Capture {
        while let Some(receiver) = &self.receiver {
            tokio::select! {
                _ = &mut main_gone => break,
                ready = receiver.readable() => self.read(ready).await,
            }
        }
        let end = Instant::now() + LINGER_MAX;
        while let Some(receiver) = &self.receiver {
            let until = end.min(Instant::now() + QUIET);
            match timeout_at(until, receiver.readable()).await {
                Ok(ready) if Instant::now() < end => self.read(ready).await,
                _ => break,
            }
        }
        self
    }

    /// Takes what is still in the pipe, closes the file, and answers what there was, why some of it could not be
    /// kept if that is so, and the pipe if somebody still holds its other end.
    pub async fn finish(mut self) -> (OutputSize, Option<io::Error>, Option<pipe::Receiver>) {
        let mut rest = 0;
        while let Some(receiver) = &self.receiver
            && rest < REST_BYTES_MAX
        {
            let (bytes, is_open) = take_all(receiver);
            if !is_open {
                self.receiver = None;
            }
            if bytes.is_empty() {
                break;
            }
            rest += bytes.len();
            self.keep(bytes).await;
        }
        if self.size.dropped > 0 {
            let start = if self.last_byte == b'\n' { "" } else { "\n" };
            let reason = match &self.error {
                None => format!("at most {} are kept", self.bytes_max),
                Some(error) => error.to_string(),
            };
            let line = format!("{start}[daybook: {} more bytes dropped: {reason}]\n", self.size.dropped);
            let (written, _) = self.write(line.into_bytes()).await;
            self.outputs.announce(self.job, self.attempt, self.size.kept + written as u64);
        }
        (self.size, self.error, self.receiver)
    }

    async fn read(&mut self, ready: io::Result<()>) {
        let Some(receiver) = &self.receiver else { return };
        let (bytes, is_open) = take_all(receiver);
        if ready.is_err() || !is_open {
            self.receiver = None;
        }
        self.keep(bytes).await;
    }

    /// Writes what there is room for.
    async fn keep(&mut self, mut bytes: Vec<u8>) {
        let room = if self.error.is_some() { 0 } else { self.bytes_max - self.size.kept };
        let length = bytes.len();
        bytes.truncate(usize::try_from(room).unwrap_or(usize::MAX).min(length));
        if let Some(&last) = bytes.last() {
            let (written, error) = self.write(bytes).await;
            self.size.kept += written as u64;
            self.size.dropped += (length - written) as u64;
            self.last_byte = last;
            self.error = error;
            self.outputs.announce(self.job, self.attempt, self.size.kept);
        } else {
            self.size.dropped += length as u64;
        }
    }

    /// Appends to the file on a thread that may wait for the disk. Answers how many bytes got there.
    async fn write(&mut self, bytes: Vec<u8>) -> (usize, Option<io::Error>) {
        let (outputs, job, attempt, file) = (self.outputs.clone(), self.job, self.attempt, self.file.take());
        let append = move || {
            let mut file = match file.map_or_else(|| outputs.create(job, attempt), Ok) {
                Ok(file) => file,
                Err(error) => return (None, 0, Some(error)),
            };
            let mut written = 0;
            while written < bytes.len() {
                match file.write(&bytes[written..]) {
                    Ok(0) => return (Some(file), written, Some(io::ErrorKind::WriteZero.into())),
                    Ok(count) => written += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return (Some(file), written, Some(error)),
                }
            }
            (Some(file), written, None)
        };
        match tokio::task::spawn_blocking(append).await {
            Ok((file, written, error)) => {
                self.file = file;
                (written, error)
            }
            Err(_) => (0, Some(io::Error::other("the daemon is going down"))),
        }
    }
}

/// What is in the pipe now, up to a chunk, and whether its other end is still open.
fn take_all(receiver: &pipe::Receiver) -> (Vec<u8>, bool) {
    let mut bytes = vec![0; CHUNK_BYTES];
    let mut length = 0;
    let mut is_open = true;
    while length < bytes.len() {
        match receiver.try_read(&mut bytes[length..]) {
            Ok(0) => {
                is_open = false;
                break;
            }
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                is_open = error.kind() == io::ErrorKind::WouldBlock;
                break;
            }
        }
    }
    bytes.truncate(length);
    (bytes, is_open)
}

/// Reads and forgets until nobody holds the other end: processes that a job leaves behind on purpose
/// would otherwise die of SIGPIPE at their next line.
pub(super) async fn drain(receiver: pipe::Receiver) {
    while receiver.readable().await.is_ok() {
        if !take_all(&receiver).1 {
            return;
        }
    }
}
