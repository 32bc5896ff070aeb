//! Reads what an attempt prints, from a pipe into its file: the first bytes are kept, the rest is counted.
//! It never stops reading while the attempt runs, so no job waits for us but for as long as a write takes.

use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use crate::exec::OutputSize;

/// Bytes read at once, which is what a pipe holds.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes read at the end from a pipe that is never empty.
const REST_BYTES_MAX: usize = 1024 * 1024;

/// The reading end of an attempt's pipe, and the file it is written to.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    /// None at the end of the pipe: nobody can write to it any more.
    pipe: Option<PipeReader>,
    /// Made when the first byte comes.
    file: Option<File>,
    bytes_max: u64,
    size: OutputSize,
    last_byte: u8,
    /// Why output is dropped before `bytes_max`.
    error: Option<io::Error>,
    chunk: Vec<u8>,
}

impl Output {
    /// # Errors
    /// When the pipe cannot be made one that is read without waiting.
    pub fn new(path: PathBuf, pipe: PipeReader, bytes_max: u64) -> io::Result<Output> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let (size, pipe) = (OutputSize::default(), Some(pipe));
        Ok(Output { path, pipe, file: None, bytes_max, size, last_byte: b'\n', error: None, chunk: Vec::new() })
    }

    /// What to poll for bytes; none at the end.
    pub fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// The pipe is at its end.
    pub fn close(&mut self) {
        self.pipe = None;
    }

    /// Takes what is in the pipe now, up to a chunk, and answers how many bytes that was.
    pub fn read(&mut self) -> usize {
        let Some(pipe) = &mut self.pipe else { return 0 };
        // Most jobs print less than its pages hold: none is touched that nothing is read into.
        self.chunk.clear();
        self.chunk.reserve_exact(CHUNK_BYTES);
        match rustix::io::read(pipe, spare_capacity(&mut self.chunk)) {
            Ok(0) => self.pipe = None,
            Ok(length) => {
                self.keep(length);
                return length;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.pipe = None,
        }
        0
    }

    /// Takes what is still in the pipe, closes the file, and answers what there was, and why some of it could not be
    /// kept if that is so. The pipe is there afterwards if somebody still holds its other end.
    pub fn finish(&mut self) -> (OutputSize, Option<String>) {
        let mut rest = 0;
        while rest < REST_BYTES_MAX {
            match self.read() {
                0 => break,
                length => rest += length,
            }
        }
        if self.size.dropped > 0 {
            let start = if self.last_byte == b'\n' { "" } else { "\n" };
            let reason = match &self.error {
                None => format!("at most {} are kept", self.bytes_max),
                Some(error) => error.to_string(),
            };
            let line = format!("{start}[daybook: {} more bytes dropped: {reason}]\n", self.size.dropped);
            // It may fit where more did not; if not, the size says it.
            let _: (usize, _) = self.write(line.as_bytes());
        }
        (self.size, self.error.take().map(|error| format!("output was dropped: {error}")))
    }

    /// The pipe, if somebody still holds its other end.
    pub fn into_open_pipe(self) -> Option<PipeReader> {
        self.pipe
    }

    /// Writes what there is room for of the chunk.
    fn keep(&mut self, length: usize) {
        let room = if self.error.is_some() { 0 } else { self.bytes_max - self.size.kept };
        let kept = usize::try_from(room).unwrap_or(usize::MAX).min(length);
        if kept > 0 {
            let chunk = std::mem::take(&mut self.chunk);
            let (written, error) = self.write(&chunk[..kept]);
            self.last_byte = chunk[kept - 1];
            self.chunk = chunk;
            self.error = error;
            self.size.kept += written as u64;
            self.size.dropped += (length - written) as u64;
        } else {
            self.size.dropped += length as u64;
        }
    }

    /// Appends to the file. Answers how many bytes got there.
    fn write(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut options = OpenOptions::new();
                match options.write(true).create(true).truncate(true).mode(0o640).open(&self.path) {
                    Ok(file) => self.file.insert(file),
                    Err(error) => return (0, Some(error)),
                }
            }
        };
        let mut written = 0;
        while written < bytes.len() {
            match file.write(&bytes[written..]) {
                Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Some(error)),
            }
        }
        (written, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(bytes_max: u64) -> (tempfile::TempDir, io::PipeWriter, Output) {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, writer) = io::pipe().unwrap();
        let output = Output::new(folder.path().join("output"), pipe, bytes_max).unwrap();
        (folder, writer, output)
    }

    #[test]
    fn what_is_beyond_the_bound_is_counted_and_a_line_says_so() {
        let (folder, mut writer, mut output) = output(5);
        writer.write_all(b"one\ntwo\n").unwrap();
        assert_eq!(output.finish(), (OutputSize { kept: 5, dropped: 3 }, None));
        let text = std::fs::read_to_string(folder.path().join("output")).unwrap();
        assert_eq!(text, "one\nt\n[daybook: 3 more bytes dropped: at most 5 are kept]\n");
        drop(writer);
        output.read();
        assert!(output.into_open_pipe().is_none());
    }

    #[test]
    fn silence_makes_no_file_and_an_open_end_is_seen() {
        let (folder, _writer, mut output) = output(5);
        assert_eq!(output.finish(), (OutputSize::default(), None));
        assert!(!folder.path().join("output").exists());
        assert!(output.into_open_pipe().is_some());
    }

    #[test]
    fn what_cannot_be_written_is_counted_with_the_reason() {
        let (folder, mut writer, mut output) = output(5);
        std::fs::create_dir(folder.path().join("output")).unwrap();
        writer.write_all(b"one").unwrap();
        let (size, note) = output.finish();
        assert_eq!(size, OutputSize { kept: 0, dropped: 3 });
        assert!(note.unwrap().starts_with("output was dropped: Is a directory"));
    }
}
