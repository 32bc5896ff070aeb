//! Lines for the system's journal, in its own protocol: the text with all values for people who read it, and each value
//! as a field of its own, so that `journalctl DAYBOOK_JOB=4711` or `DAYBOOK_TASK=backup` finds what concerns one.
//!
//! Own code, as the crate for it (tracing-journald) leaves the values out of the text, so that `journalctl -u daybook`
//! would show "config refused" and not why.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// Bytes of a line and of a value that are kept. The kernel takes datagrams of about 200 KiB.
const BYTES_MAX: usize = 48 * 1024;
/// How long a line waits for a journal that is busy; then it goes to standard error.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Writes to the journal.
pub(super) struct Journald {
    socket: UnixDatagram,
}

impl Journald {
    /// The journal, if it is where standard error leads anyway.
    pub fn of_standard_error() -> Option<Journald> {
        let told = std::env::var("JOURNAL_STREAM").ok()?;
        let stat = rustix::fs::fstat(io::stderr()).ok()?;
        if told != format!("{}:{}", stat.st_dev, stat.st_ino) {
            return None;
        }
        Journald::connect(SOCKET)
    }

    fn connect(path: &str) -> Option<Journald> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_write_timeout(Some(WAIT_MAX)).ok()?;
        // An empty datagram is ignored by the journal and shows whether there is one.
        socket.send_to(&[], path).ok()?;
        Some(Journald { socket })
    }
}

impl<S: Subscriber> Layer<S> for Journald {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = Line::of(event);
        // By its path each time: a journal that was restarted has another socket.
        if self.socket.send_to(&line.datagram(event.metadata().level(), event.metadata().target()), SOCKET).is_err() {
            // There is nobody left to tell if this fails as well.
            writeln!(io::stderr(), "{}", line.text()).ok();
        }
    }
}

/// What an event says.
#[derive(Default)]
struct Line {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Line {
    fn of(event: &Event<'_>) -> Line {
        let mut line = Line::default();
        event.record(&mut line);
        line
    }

    /// As people read it.
    fn text(&self) -> String {
        let mut text = self.message.clone();
        for (name, value) in &self.fields {
            // Writing to a text cannot fail.
            let _: fmt::Result = write!(text, " {name}={value}");
        }
        cut(text)
    }

    fn datagram(&self, level: &Level, target: &str) -> Vec<u8> {
        let priority = match *level {
            Level::ERROR => "3",
            Level::WARN => "4",
            Level::INFO => "6",
            Level::DEBUG | Level::TRACE => "7",
        };
        let mut datagram = Vec::with_capacity(512);
        put(&mut datagram, "MESSAGE", &self.text());
        put(&mut datagram, "PRIORITY", priority);
        put(&mut datagram, "SYSLOG_IDENTIFIER", "daybook");
        put(&mut datagram, "TARGET", target);
        for (name, value) in &self.fields {
            put(&mut datagram, &format!("DAYBOOK_{}", name.to_ascii_uppercase().replace('.', "_")), value);
        }
        datagram
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}"));
    }
}

impl Line {
    fn take(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => self.fields.push((name, cut(value))),
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > BYTES_MAX {
        text.truncate((0..=BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0));
        text.push('…');
    }
    text
}

/// A field: its name, a line end, the length of the value in eight bytes, the value, a line end.
fn put(datagram: &mut Vec<u8>, name: &str, value: &str) {
    datagram.extend_from_slice(name.as_bytes());
    datagram.push(b'\n');
    datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_all_values_in_its_text_and_each_as_a_field() {
        let mut line = Line { message: "attempt ended".into(), ..Line::default() };
        line.fields = vec![("job", "7".into()), ("note", "a\nb".into())];
        assert_eq!(line.text(), "attempt ended job=7 note=a\nb");
        let datagram = line.datagram(&Level::WARN, "daybook::exec");
        let holds = |name: &str, value: &str| {
            let mut field = Vec::new();
            put(&mut field, name, value);
            datagram.windows(field.len()).any(|window| window == field)
        };
        for (name, value) in [
            ("MESSAGE", "attempt ended job=7 note=a\nb"),
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "daybook"),
            ("TARGET", "daybook::exec"),
            ("DAYBOOK_JOB", "7"),
            ("DAYBOOK_NOTE", "a\nb"),
        ] {
            assert!(holds(name, value), "{name}");
        }
        assert_eq!(&datagram[..16], b"MESSAGE\n\x1c\0\0\0\0\0\0\0");
    }

    #[test]
    fn a_long_value_is_cut_at_a_character() {
        let text = cut("ä".repeat(BYTES_MAX));
        assert_eq!(text.chars().count(), BYTES_MAX / 2 + 1);
        assert!(text.ends_with('…'));
    }
}
