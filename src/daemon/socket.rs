//! The control socket: one that the service manager hands over, or one of our own.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as Listener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use tokio::net::UnixListener;

use super::start::{Failure, file};

/// What the socket is called where several are handed over (`FileDescriptorName=`).
const NAME: &str = "control";

/// The listening control socket.
pub struct ControlSocket {
    pub listener: UnixListener,
    /// The file, which goes with the daemon unless it is the service manager's: a stale one would only make clients wait.
    pub file: Option<PathBuf>,
    /// Whether that of a killed daemon was there, and was removed.
    pub was_stale: bool,
}

/// The socket that was handed over to this process, if one was. Not to be called with threads about.
pub fn handed_over() -> Result<Option<Listener>, Failure> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let index = names.split(':').position(|name| name == NAME).unwrap_or(0);
    let mut handed = ListenFd::from_env();
    let taken = handed.take_unix_listener(index);
    let taken = taken.map_err(|error| Failure::Handed { why: format!("is no listening Unix socket: {error}") })?;
    // Others are nothing to us, and jobs shall not inherit them: taken and dropped, they are closed.
    for other in 0..handed.len() {
        if let Err(_no_unix_socket) = handed.take_unix_listener(other) {
            handed.take_tcp_listener(other).ok();
        }
    }
    Ok(taken)
}

impl ControlSocket {
    /// Listens on the one that was handed over, which must be the config's `socket`, or else makes that.
    pub fn open(path: &Path, handed: Option<Listener>) -> Result<ControlSocket, Failure> {
        match handed {
            Some(listener) => {
                let listener = adopt(path, listener)?;
                Ok(ControlSocket { listener, file: None, was_stale: false })
            }
            None => {
                let (listener, was_stale) = bind(path)?;
                Ok(ControlSocket { listener, file: Some(path.to_owned()), was_stale })
            }
        }
    }
}

fn adopt(path: &Path, listener: Listener) -> Result<UnixListener, Failure> {
    let address = listener.local_addr().map_err(file("cannot look at the socket for", path))?;
    let handed = address.as_pathname().unwrap_or(Path::new(""));
    if !is_same(handed, path) {
        let why = format!("is `{}`, but `socket` in the config is `{}`", handed.display(), path.display());
        return Err(Failure::Handed { why });
    }
    listener.set_nonblocking(true).map_err(file("cannot use the socket", path))?;
    UnixListener::from_std(listener).map_err(file("cannot use the socket", path))
}

/// Whether two names lead to one file: /var/run is often a link to /run.
fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| -> io::Result<(u64, u64)> {
        let metadata = std::fs::metadata(path)?;
        Ok((metadata.dev(), metadata.ino()))
    };
    one == other || matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// Binds the control socket; also whether a stale one was there. Who holds the state's lock may remove that, and
/// nothing else.
fn bind(socket: &Path) -> Result<(UnixListener, bool), Failure> {
    if let Some(folder) = socket.parent() {
        std::fs::create_dir_all(folder).map_err(file("cannot make the folder", folder))?;
    }
    let taken = |why| Failure::Socket { path: socket.to_owned(), why };
    let was_stale = match std::fs::symlink_metadata(socket) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(file("cannot look at the socket", socket)(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(taken("a file that is no socket is there")),
        Ok(_) if std::os::unix::net::UnixStream::connect(socket).is_ok() => {
            return Err(taken("another daemon answers on it"));
        }
        Ok(_) => {
            std::fs::remove_file(socket).map_err(file("cannot remove the stale socket", socket))?;
            true
        }
    };
    let listener = UnixListener::bind(socket).map_err(file("cannot listen on the socket", socket))?;
    let mode = std::fs::Permissions::from_mode(0o660);
    std::fs::set_permissions(socket, mode).map_err(file("cannot set the mode of the socket", socket))?;
    Ok((listener, was_stale))
}
