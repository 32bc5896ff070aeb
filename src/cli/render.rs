//! How answers look: tables without borders, lists of facts, colours on a terminal only.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use comfy_table::{ContentArrangement, Table};

use super::time;
use crate::core::lifecycle::JobState;
use crate::core::time::Timestamp;
use crate::core::view::{JobView, Outcome, Progress};

/// Columns of a table when nobody says how wide the terminal is.
const WIDTH_DEFAULT: u16 = 80;

/// Standard output.
pub struct Out {
    writer: BufWriter<StdoutLock<'static>>,
    colours: bool,
    width: u16,
}

impl Out {
    pub fn new() -> Out {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let width = terminal.then(|| rustix::termios::tcgetwinsize(&stdout).ok()).flatten().map(|size| size.ws_col);
        Out {
            writer: BufWriter::new(stdout.lock()),
            colours: terminal && !plain,
            width: width.filter(|width| *width >= 40).unwrap_or(WIDTH_DEFAULT),
        }
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)
    }

    /// A line.
    pub fn line(&mut self, text: impl AsRef<[u8]>) -> io::Result<()> {
        self.writer.write_all(text.as_ref())?;
        self.writer.write_all(b"\n")
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// A table; `rows` say in which colour their word of that kind is shown.
    pub fn table(&mut self, header: &[&str], rows: &[Row]) -> io::Result<()> {
        let mut table = Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(self.width);
        table.set_header(header.iter().copied());
        for row in rows {
            table.add_row(&row.cells);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let mut shown = rows.iter();
        for (number, line) in table.lines().enumerate() {
            let line = line.trim_end();
            // A cell that does not fit goes on in lines which begin with blanks.
            let row = if number > 0 && !line.starts_with(' ') { shown.next() } else { None };
            match row {
                Some(Row { word: Some((word, colour)), .. }) => {
                    let coloured = self.coloured(word, *colour);
                    self.line(line.replacen(word.as_str(), &coloured, 1))?;
                }
                _ => self.line(line)?,
            }
        }
        Ok(())
    }

    /// `name   value` lines; values that are empty are left out.
    pub fn facts(&mut self, facts: &[(&str, String)]) -> io::Result<()> {
        let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            let indented = value.replace('\n', &format!("\n{:width$}", "", width = width + 2));
            self.line(format!("{name:<width$}  {indented}"))?;
        }
        Ok(())
    }

    /// `text` in a colour, where colours are shown.
    pub fn coloured(&self, text: &str, colour: Colour) -> String {
        if self.colours { format!("\x1b[{}m{text}\x1b[0m", colour as u8) } else { text.to_owned() }
    }
}

/// A row of a table, and the word in it that has a colour.
#[derive(Debug, Default)]
pub struct Row {
    cells: Vec<String>,
    word: Option<(String, Colour)>,
}

impl Row {
    pub fn new<const N: usize>(cells: [String; N]) -> Row {
        Row { cells: cells.into(), word: None }
    }

    pub fn colour(mut self, word: &str, colour: Option<Colour>) -> Row {
        self.word = colour.map(|colour| (word.to_owned(), colour));
        self
    }
}

/// A colour, by its number in a terminal's escape sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
    Cyan = 36,
}

/// The colour of a state.
pub fn state_colour(state: JobState) -> Option<Colour> {
    match state {
        JobState::Completed => Some(Colour::Green),
        JobState::Running => Some(Colour::Cyan),
        JobState::Retryable | JobState::Interrupted | JobState::Cancelled => Some(Colour::Yellow),
        JobState::Discarded => Some(Colour::Red),
        JobState::Scheduled | JobState::Available => None,
    }
}

/// The colour of an outcome.
pub fn outcome_colour(outcome: Outcome) -> Option<Colour> {
    match outcome {
        Outcome::Ran => Some(Colour::Green),
        Outcome::Skipped | Outcome::Merged => None,
        Outcome::Missed => Some(Colour::Yellow),
    }
}

/// How far a job is: `30%`, `7`, with its message; empty when it has said nothing.
pub fn progress(progress: &Progress) -> String {
    let Progress { current, total, message } = progress;
    let far = match (*current, *total) {
        (0, 0) => String::new(),
        (current, 0) => current.to_string(),
        (current, total) => format!("{}%", u128::from(current) * 100 / u128::from(total)),
    };
    let parts = [far.as_str(), message].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

/// The state of a job in a word; what waits for its task and not for its instant is said to be orphaned.
fn state(job: &JobView) -> (&'static str, Option<Colour>) {
    match job.state {
        JobState::Scheduled | JobState::Available | JobState::Retryable | JobState::Interrupted if job.orphaned => {
            ("orphaned", Some(Colour::Red))
        }
        state => (state.name(), state_colour(state)),
    }
}

/// What a job's state means in time: `due in 3h`, `started 5m ago`.
pub fn when(job: &JobView, now: Timestamp) -> String {
    let since = |word: &str, at: Option<Timestamp>| match at {
        Some(at) => format!("{word} {}", time::relative(at, now)),
        None => String::new(),
    };
    match job.state {
        _ if job.orphaned && job.state != JobState::Running => "when its task is back".to_owned(),
        JobState::Scheduled => since("due", Some(job.due_at)),
        JobState::Available => since("due", Some(job.due_at)),
        JobState::Running | JobState::Interrupted => since("started", job.started_at),
        JobState::Retryable => since("again", Some(job.due_at)),
        JobState::Completed | JobState::Discarded | JobState::Cancelled => since("ended", job.finished_at),
    }
}

/// The table of jobs.
pub fn jobs(out: &mut Out, jobs: &[JobView], now: Timestamp) -> io::Result<()> {
    let rows: Vec<Row> = jobs
        .iter()
        .map(|job| {
            let (state, colour) = state(job);
            let cells = [
                job.id.to_string(),
                job.task.to_string(),
                state.to_owned(),
                job.attempts.to_string(),
                when(job, now),
                progress(&job.progress),
            ];
            Row::new(cells).colour(state, colour)
        })
        .collect();
    out.table(&["JOB", "TASK", "STATE", "ATTEMPTS", "WHEN", "PROGRESS"], &rows)
}

/// `1 job`, `2 jobs`.
pub fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_short() {
        let of = |current, total, message: &str| progress(&Progress { current, total, message: message.into() });
        assert_eq!(of(0, 0, ""), "");
        assert_eq!(of(3, 10, ""), "30%");
        assert_eq!(of(7, 0, "users"), "7 users");
        assert_eq!(of(u64::MAX, u64::MAX, "done"), "100% done");
    }
}
