//! Lean HTTP/1.1 clients on the Unix socket: many connections driven by one thread, each with one request
//! under way. It costs the machine as little as a client can, as it shares the processors with the daemon.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

/// `POST /v1/jobs` with this body.
pub fn add(body: &str, kind: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST /v1/jobs HTTP/1.1\r\nHost: d\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// One job with about 100 bytes of arguments.
pub fn job(task: &str) -> String {
    let args = r#"{"to":"user-0123456789abcdef@example.com","template":"welcome","language":"en","tries":0,"x":[1]}"#;
    format!(r#"{{"task":"{task}","args":{args}}}"#)
}

struct Connection {
    stream: UnixStream,
    answer: Vec<u8>,
    /// Bytes of the request already sent.
    sent: usize,
    since: Instant,
}

impl Connection {
    fn open(socket: &Path) -> Connection {
        let stream = UnixStream::connect(socket).expect("the daemon listens");
        Connection { stream, answer: Vec::with_capacity(4096), sent: 0, since: Instant::now() }
    }

    fn send(&mut self, request: &[u8]) {
        while self.sent < request.len() {
            match self.stream.write(&request[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the daemon takes the request: {error}"),
            }
        }
    }

    /// Reads until the answer is complete (`true`), or no more is there.
    fn receive(&mut self) -> bool {
        let mut buffer = [0; 16384];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("the daemon has closed the connection"),
                Ok(count) => self.answer.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("the daemon answers: {error}"),
            }
            if is_whole(&self.answer) {
                return true;
            }
        }
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(answer, b"\r\n\r\n") else { return false };
    let head = &answer[..end + 2];
    assert!(head.starts_with(b"HTTP/1.1 20"), "refused: {}", String::from_utf8_lossy(answer));
    let name = b"content-length: ";
    let at = memchr::memmem::find(head, name).expect("every answer says how long it is") + name.len();
    let digits = head[at..].split(|byte| *byte == b'\r').next().unwrap_or_default();
    let length: usize = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).expect("it is a number");
    answer.len() >= end + 4 + length
}

/// What clients have seen.
pub struct Load {
    pub answers: u64,
    pub elapsed: f64,
    /// Seconds that each answer took.
    pub times: Vec<f64>,
}

impl Load {
    pub fn per_second(&self) -> f64 {
        self.answers as f64 / self.elapsed
    }
}

/// One connection that waits for each answer before it sends the same request again.
pub fn one(socket: &Path, request: &[u8], slice: Duration) -> Load {
    let mut connection = Connection::open(socket);
    let start = Instant::now();
    let mut load = Load { answers: 0, elapsed: 0.0, times: Vec::new() };
    while start.elapsed() < slice {
        let before = Instant::now();
        call(&mut connection, request);
        load.times.push(before.elapsed().as_secs_f64());
        load.answers += 1;
    }
    load.elapsed = start.elapsed().as_secs_f64();
    load
}

fn call(connection: &mut Connection, request: &[u8]) {
    connection.stream.write_all(request).expect("the daemon takes the request");
    connection.answer.clear();
    assert!(connection.receive(), "the connection blocks");
}

/// A blocking connection for single requests.
pub struct Client(Connection);

impl Client {
    pub fn open(socket: &Path) -> Client {
        Client(Connection::open(socket))
    }

    /// Sends a request and answers the body of what came back.
    pub fn call(&mut self, request: &[u8]) -> String {
        call(&mut self.0, request);
        let end = memchr::memmem::find(&self.0.answer, b"\r\n\r\n").expect("it was whole");
        String::from_utf8_lossy(&self.0.answer[end + 4..]).into_owned()
    }

    pub fn get(&mut self, path: &str) -> serde_json::Value {
        let text = self.call(format!("GET {path} HTTP/1.1\r\nHost: d\r\n\r\n").as_bytes());
        serde_json::from_str(&text).expect("answers are JSON")
    }
}

/// `count` connections, each with one request under way, until `slice` is over or `calls` are answered.
pub fn many(socket: &Path, count: usize, request: &[u8], slice: Duration, calls: u64) -> Load {
    let poll = epoll::create(CreateFlags::CLOEXEC).expect("the kernel has epoll");
    let mut connections: Vec<Connection> = (0..count).map(|_| Connection::open(socket)).collect();
    for (i, connection) in connections.iter().enumerate() {
        connection.stream.set_nonblocking(true).expect("it is a socket");
        // Writable again matters only to requests that do not fit the socket's buffer.
        let flags =
            if request.len() > 4096 { EventFlags::IN | EventFlags::OUT | EventFlags::ET } else { EventFlags::IN };
        epoll::add(&poll, &connection.stream, EventData::new_u64(i as u64), flags).expect("it is a socket");
    }
    let start = Instant::now();
    let mut load = Load { answers: 0, elapsed: 0.0, times: Vec::new() };
    let mut open = count;
    connections.iter_mut().for_each(|connection| {
        connection.since = Instant::now();
        connection.send(request);
    });
    let mut events = Vec::with_capacity(count);
    let mut asked = count as u64;
    while open > 0 {
        epoll::wait(&poll, spare_capacity(&mut events), None).expect("it is an epoll");
        for event in events.drain(..) {
            let connection = &mut connections[event.data.u64() as usize];
            connection.send(request);
            if !connection.receive() {
                continue;
            }
            connection.answer.clear();
            load.answers += 1;
            load.times.push(connection.since.elapsed().as_secs_f64());
            if start.elapsed() < slice && asked < calls {
                asked += 1;
                connection.sent = 0;
                connection.since = Instant::now();
                connection.send(request);
            } else {
                open -= 1;
            }
        }
    }
    load.elapsed = start.elapsed().as_secs_f64();
    load
}
