//! A service manager that only listens: the socket of `NOTIFY_SOCKET`.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than any daemon takes to say something on a slow machine.
const WITHIN: Duration = Duration::from_secs(60);

pub struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    pub fn new(folder: &Path) -> Manager {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Manager { socket, path }
    }

    /// What a shell says to make a daemon ours.
    pub fn export(&self) -> String {
        format!("export NOTIFY_SOCKET='{}'", self.path.display())
    }

    /// The lines of the next message; none if there is none within this time.
    pub fn next_within(&self, time: Duration) -> Option<Vec<String>> {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let mut message = [0; 64 * 1024];
        let length = self.socket.recv(&mut message).ok()?;
        Some(String::from_utf8(message[..length].to_vec()).unwrap().lines().map(str::to_owned).collect())
    }

    #[track_caller]
    pub fn next(&self) -> Vec<String> {
        self.next_within(WITHIN).expect("the daemon says something")
    }

    /// Waits for a message with a line like this; answers all messages up to it.
    #[track_caller]
    pub fn until(&self, wanted: impl Fn(&str) -> bool) -> Vec<Vec<String>> {
        let mut messages = Vec::new();
        loop {
            messages.push(self.next());
            if messages.last().is_some_and(|message| message.iter().any(|line| wanted(line))) {
                return messages;
            }
        }
    }
}
