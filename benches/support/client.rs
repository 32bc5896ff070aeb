//! A lean client: HTTP/1.1 by hand on one kept-alive Unix socket, so that a benchmark measures the daemon and not
//! its client. It knows no more of HTTP than the daemon's answers need.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// One connection. The buffers are used again for each request.
pub struct Client {
    stream: UnixStream,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Client {
    pub fn connect(socket: &Path) -> io::Result<Client> {
        let stream = UnixStream::connect(socket)?;
        Ok(Client { stream, request: Vec::with_capacity(4096), reply: Vec::with_capacity(4096) })
    }

    /// Posts a JSON body; answers the status and the body.
    pub fn post(&mut self, path: &str, body: &[u8]) -> io::Result<(u16, &[u8])> {
        self.send("POST", path, "application/json", body)
    }

    /// Posts one value a line; answers the status and the body.
    pub fn post_lines(&mut self, path: &str, body: &[u8]) -> io::Result<(u16, &[u8])> {
        self.send("POST", path, "application/x-ndjson", body)
    }

    pub fn get(&mut self, path: &str) -> io::Result<(u16, &[u8])> {
        self.send("GET", path, "application/json", b"")
    }

    fn send(&mut self, method: &str, path: &str, kind: &str, body: &[u8]) -> io::Result<(u16, &[u8])> {
        self.request.clear();
        let length = body.len();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: d\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        )?;
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request)?;
        self.read()
    }

    /// Reads one answer that says how long it is.
    fn read(&mut self) -> io::Result<(u16, &[u8])> {
        self.reply.clear();
        let (status, start, length) = loop {
            self.more(HEAD_BYTES_MAX)?;
            if let Some(head) = head(&self.reply)? {
                break head;
            }
            if self.reply.len() > HEAD_BYTES_MAX {
                return Err(wrong("the head is too long"));
            }
        };
        while self.reply.len() < start + length {
            self.more(start + length - self.reply.len())?;
        }
        Ok((status, &self.reply[start..start + length]))
    }

    fn more(&mut self, bytes: usize) -> io::Result<()> {
        let filled = self.reply.len();
        self.reply.resize(filled + bytes, 0);
        let read = self.stream.read(&mut self.reply[filled..])?;
        self.reply.truncate(filled + read);
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The status, where the body starts, and how long it is; nothing while the head is not complete.
fn head(bytes: &[u8]) -> io::Result<Option<(u16, usize, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| wrong("the head is not text"))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    match (status, length) {
        (Some(status), Some(length)) => Ok(Some((status, end + 4, length))),
        _ => Err(wrong("the answer has no status or no length")),
    }
}
