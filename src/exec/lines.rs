//! The output of an attempt that is no process: a worker inside the daemon writes it line by line.

use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use crate::core::id::JobId;

use super::error::Error;
use super::output::Outputs;

/// Writes lines to the output of one attempt, which is over when this is dropped.
pub struct Lines {
    outputs: Outputs,
    job: JobId,
    attempt: u32,
    bytes_max: u64,
    file: Mutex<Written>,
}

struct Written {
    file: File,
    bytes: u64,
    full: bool,
}

impl Lines {
    /// Begins the output of an attempt; at most `bytes_max` bytes of it are kept.
    ///
    /// # Errors
    /// When its file cannot be made.
    pub fn begin(outputs: &Outputs, job: JobId, attempt: u32, bytes_max: u64) -> Result<Lines, Error> {
        outputs.begin(job, attempt);
        let made = outputs.prepare(job, attempt).and_then(|_result| {
            let path = outputs.path(job, attempt);
            outputs.create(job, attempt).map_err(Error::file("create the output", &path))
        });
        match made {
            Ok(file) => {
                let file = Mutex::new(Written { file, bytes: 0, full: false });
                Ok(Lines { outputs: outputs.clone(), job, attempt, bytes_max, file })
            }
            Err(error) => {
                outputs.end(job, attempt);
                Err(error)
            }
        }
    }

    /// Appends a line. One that cannot be written is lost; the attempt goes on.
    pub fn write(&self, line: &str) {
        let mut written = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if written.full {
            return;
        }
        let mut text = format!("{line}\n");
        if written.bytes + text.len() as u64 > self.bytes_max {
            written.full = true;
            text = "... the rest of the output is dropped: it is larger than `output_max`\n".to_owned();
        }
        if let Err(error) = written.file.write_all(text.as_bytes()) {
            tracing::warn!(job = self.job.0, %error, "could not write a line of output, the job goes on");
            return;
        }
        written.bytes += text.len() as u64;
        self.outputs.announce(self.job, self.attempt, written.bytes);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.outputs.end(self.job, self.attempt);
    }
}
