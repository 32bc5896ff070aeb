//! A server as a process that ends with us: a shell starts it and waits on a pipe that we hold. When the pipe
//! breaks, because we ended in whatever way, it ends the server and removes its folder.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::Kind;
use super::install::is_root;

/// `nobody`, by number: a server does not run as root.
const NOBODY: u32 = 65_534;

/// Reads `stop` when the folder is to stay, nothing when we are gone.
/// A server that runs as `nobody` for root is ended by the shell, which is still root.
const SHELL: &str = r#"
folder=$1; signal=$2; shift 2
"$@" </dev/null >>"$folder/log" 2>&1 &
server=$!
echo started
read -r word
kill -s "$signal" "$server" 2>/dev/null
wait "$server"
[ "$word" = stop ] || rm -rf "$folder"
"#;

/// The shell that keeps a server. Dropped, or with its program gone, it ends the server and its folder.
pub struct Keeper(Child);

impl Keeper {
    /// Starts a server; it may not answer yet.
    pub fn start(command: &[String], folder: &Path, kind: Kind) -> Keeper {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SHELL, "keeper"]).arg(folder).arg(kind.end_signal()).args(unprivileged()).args(command);
        // A group of its own: Ctrl-C ends us, and by that the server, but not the shell before it has cleaned up.
        let shell = shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = shell.spawn().expect("/bin/sh starts");
        let mut line = String::new();
        // Closed afterwards; the server has its own, so it cannot fill this one.
        let output = shell.stdout.take().expect("its output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("the shell answers");
        assert_eq!(line, "started\n", "the shell that keeps a {kind:?}");
        Keeper(shell)
    }

    /// Ends the server and leaves its folder, and returns when it has ended.
    pub fn stop(mut self) {
        let mut pipe = self.0.stdin.take().expect("its input is a pipe");
        pipe.write_all(b"stop\n").expect("the shell reads");
        drop(pipe);
        self.0.wait().expect("the shell ends");
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if self.0.stdin.take().is_some() {
            self.0.wait().ok();
        }
    }
}

/// Runs a program for a server and waits for its end.
pub fn run(command: &[String], folder: &Path) {
    let words: Vec<String> = unprivileged().into_iter().chain(command.iter().cloned()).collect();
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("its log opens");
    let mut run = Command::new(&words[0]);
    run.args(&words[1..]).current_dir(folder).stdin(Stdio::null());
    // Two that are made at once would take the same names in the common folder for temporary files.
    run.env("TMPDIR", folder).stdout(log.try_clone().expect("one more handle")).stderr(log);
    let status = run.status().unwrap_or_else(|error| panic!("{words:?}: {error}"));
    assert!(status.success(), "{words:?}: {status}\n{}", self::log(folder));
}

/// What makes a command run as somebody else when we are root.
fn unprivileged() -> Vec<String> {
    if !is_root() {
        return Vec::new();
    }
    let id = NOBODY.to_string();
    ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"].map(str::to_owned).to_vec()
}

/// A new folder that a server can work in.
pub fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("daybook-server-").tempdir().expect("a folder");
    if is_root() {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("the folder changes hands");
    }
    folder
}

/// The end of what a server wrote.
pub fn log(folder: &Path) -> String {
    let text = std::fs::read(folder.join("log")).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(4000)..]).into_owned()
}

/// A port that is ours alone.
pub struct Port {
    pub number: u16,
    /// Locked as long as we run, so that nobody takes the port while our server is stopped.
    _lock: File,
}

/// A port that nobody listens on, below those that the system gives away by itself.
pub fn free_port() -> Port {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    let begin = std::process::id().wrapping_mul(64);
    let mut ports = (0..COUNT).map(|step| (FIRST + begin.wrapping_add(step) % COUNT) as u16);
    let port = ports.find_map(|number| {
        let path = std::env::temp_dir().join(format!("daybook-tests-port-{number}.lock"));
        let lock = File::create(path).ok()?;
        lock.try_lock().ok()?;
        TcpListener::bind(("127.0.0.1", number)).ok()?;
        Some(Port { number, _lock: lock })
    });
    port.expect("one of 20,000 ports is free")
}
