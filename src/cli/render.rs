//! How answers look: tables without borders, lists of facts, colours on a terminal only.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use super::table::{self, Column, Row, clean, cut, number, text, word};
use super::time;
use crate::core::lifecycle::JobState;
use crate::core::time::Timestamp;
use crate::core::view::{JobView, Outcome, Progress};

/// Columns and lines of a terminal that does not say how large it is.
const SCREEN_DEFAULT: Screen = Screen { columns: 80, lines: 24 };

/// Standard output.
pub struct Out {
    writer: BufWriter<StdoutLock<'static>>,
    colours: bool,
    screen: Option<Screen>,
}

/// Says something beside the answer, on standard error. Where nobody can be told, the exit code still tells how it ended.
pub fn say(text: impl Display) {
    writeln!(io::stderr(), "{text}").ok();
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    pub columns: usize,
    pub lines: usize,
}

impl Screen {
    fn of(terminal: impl std::os::fd::AsFd) -> Screen {
        let size = rustix::termios::tcgetwinsize(terminal).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(SCREEN_DEFAULT, |size| Screen { columns: size.ws_col.into(), lines: size.ws_row.into() })
    }
}

impl Out {
    pub fn new() -> Out {
        let stdout = io::stdout();
        let screen = stdout.is_terminal().then(|| Screen::of(&stdout));
        let says =
            |name: &str, value: fn(&std::ffi::OsStr) -> bool| std::env::var_os(name).is_some_and(|it| value(&it));
        let plain = says("NO_COLOR", |value| !value.is_empty()) || says("TERM", |value| value == "dumb");
        Out { writer: BufWriter::new(stdout.lock()), colours: screen.is_some() && !plain, screen }
    }

    /// The size of the terminal, if this is one.
    pub fn screen(&self) -> Option<Screen> {
        self.screen
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

    /// A table: a line for the names of the columns, unless none has one, and a line for each row.
    pub fn table(&mut self, columns: &[Column], rows: &[Row]) -> io::Result<()> {
        let width = self.screen.map(|screen| screen.columns);
        let lines = table::lines(columns, rows, width, |text, colour| self.coloured(text, colour));
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// Text as it fits on a line: cut on a terminal only.
    pub fn fitted(&self, text: &str) -> String {
        let text = clean(text);
        self.screen.map_or(text.clone(), |screen| cut(&text, screen.columns))
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

/// How far a job is: `30%`, `7`, `12/10` where it has done more than it foresaw, with its message; empty when it has said nothing.
pub fn progress(progress: &Progress) -> String {
    let Progress { current, total, message } = progress;
    let far = match (*current, *total) {
        (0, 0) => String::new(),
        (current, 0) => current.to_string(),
        (current, total) if current > total => format!("{current}/{total}"),
        (current, total) => format!("{}%", u128::from(current) * 100 / u128::from(total)),
    };
    // A job says what it likes; no terminal is to obey it.
    let message = clean(message);
    let parts = [far.as_str(), &message].into_iter().filter(|part| !part.is_empty());
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
            Row::new(cells).colour(2, colour)
        })
        .collect();
    let columns = [number("JOB"), text("TASK"), word("STATE"), number("ATTEMPTS"), word("WHEN"), text("PROGRESS")];
    out.table(&columns, &rows)
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
        assert_eq!(of(5, 2, ""), "5/2");
        assert_eq!(of(u64::MAX, u64::MAX, "done"), "100% done");
        assert!(!of(1, 2, "\u{1b}[31mred").contains('\u{1b}'));
    }
}
