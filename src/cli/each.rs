//! `daybook add --each`: a job for each line of a file, in calls that are acknowledged as a whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::add::Args;
use super::failure::Failure;
use super::render::count;
use super::session::Session;
use crate::control::client::Error;
use crate::core::limits;
use crate::error::Exit;

/// Jobs and bytes of one call.
const LINES_MAX: usize = 5_000;
const CALL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One line of an answer.
#[derive(Deserialize)]
struct Outcome {
    created: Option<bool>,
    code: Option<String>,
    detail: Option<String>,
}

/// What became of all lines so far.
#[derive(Default)]
struct Tally {
    created: u64,
    known: u64,
    refused: u64,
    first_refusal: Option<String>,
}

pub async fn run(args: &Args, file: &Path, session: &mut Session) -> Result<Exit, Failure> {
    let mut lines = Lines::open(file)?;
    let mut tally = Tally::default();
    loop {
        let call = match lines.call(args) {
            Ok(call) => call,
            Err(failure) => return Err(tally.after(failure)),
        };
        if call.numbers.is_empty() {
            break;
        }
        let answered = session.post_lines("/v1/jobs", call.body).await;
        let whole = answered.map_err(|failure| tally.after(failure))?;
        if session.json {
            session.out.raw(&whole.bytes)?;
        }
        let outcomes: Vec<Outcome> = whole.read_lines()?;
        for (number, outcome) in call.numbers.iter().zip(outcomes) {
            tally.take(*number, outcome)?;
        }
    }
    if !session.json {
        let known = if tally.known > 0 { format!(", {} there already", tally.known) } else { String::new() };
        session.out.line(format!("{} added{known}", count(tally.created, "job")))?;
    }
    match tally.first_refusal {
        None => Ok(Exit::Done),
        Some(first) => {
            session.out.flush()?;
            Err(Failure::new(Exit::No, format!("{} refused", count(tally.refused, "line"))).because(first))
        }
    }
}

impl Tally {
    fn take(&mut self, number: u64, outcome: Outcome) -> Result<(), Failure> {
        match (outcome.created, outcome.code) {
            (Some(true), _) => self.created += 1,
            (Some(false), _) => self.known += 1,
            (None, Some(code)) => {
                self.refused += 1;
                let detail = outcome.detail.unwrap_or(code);
                self.first_refusal.get_or_insert_with(|| format!("line {number}: {detail}"));
            }
            (None, None) => {
                let strange = serde::de::Error::custom("a line has neither `created` nor `code`");
                return Err(Error::Garbled(strange).into());
            }
        }
        Ok(())
    }

    /// A failure, with what had been added before it.
    fn after(&self, failure: Failure) -> Failure {
        match self.created + self.known {
            0 => failure,
            number => failure.because(format!("{} before that were added", count(number, "job"))),
        }
    }
}

/// The lines of the file that are not sent yet.
struct Lines {
    reader: Box<dyn BufRead>,
    name: String,
    number: u64,
}

/// The body of one call, and which lines of the file it has.
struct Call {
    body: Vec<u8>,
    numbers: Vec<u64>,
}

impl Lines {
    fn open(file: &Path) -> Result<Lines, Failure> {
        let name = file.display().to_string();
        if name == "-" {
            let reader = Box::new(BufReader::new(io::stdin()));
            return Ok(Lines { reader, name: "standard input".to_owned(), number: 0 });
        }
        let wrong = |cause: String| Failure::new(Exit::Usage, format!("failed to open `{name}`")).because(cause);
        match File::open(file) {
            Ok(opened) if opened.metadata().is_ok_and(|found| found.is_dir()) => {
                Err(wrong("it is a folder".to_owned())
                    .hint("give a file with one JSON value a line, or `-` for standard input"))
            }
            Ok(opened) => Ok(Lines { reader: Box::new(BufReader::new(opened)), name, number: 0 }),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// The next call; an empty one at the end of the file.
    fn call(&mut self, args: &Args) -> Result<Call, Failure> {
        let mut call = Call { body: Vec::new(), numbers: Vec::new() };
        let mut line = Vec::new();
        while call.numbers.len() < LINES_MAX && call.body.len() < CALL_BYTES_MAX {
            line.clear();
            // A line that is too long for arguments is not read to its end, which may never come.
            let bound = limits::ARGS_BYTES_MAX as u64 + 2;
            self.number += 1;
            let read = self.reader.by_ref().take(bound).read_until(b'\n', &mut line).map_err(|e| self.wrong(e))?;
            if read == 0 {
                break;
            }
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            if text.len() > limits::ARGS_BYTES_MAX {
                return Err(self.wrong(format!("arguments have at most {} bytes", limits::ARGS_BYTES_MAX)));
            }
            let raw: &RawValue = serde_json::from_slice(text).map_err(|e| self.wrong(e))?;
            serde_json::to_writer(&mut call.body, &args.body(Some(raw))).map_err(|e| self.wrong(e))?;
            call.body.push(b'\n');
            call.numbers.push(self.number);
        }
        Ok(call)
    }

    fn wrong(&self, cause: impl ToString) -> Failure {
        Failure::new(Exit::Usage, format!("failed to read `{}`, line {}", self.name, self.number))
            .because(cause.to_string())
            .hint("each line is the arguments of one job, as JSON")
    }
}
