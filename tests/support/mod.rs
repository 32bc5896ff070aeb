//! What the tests of the API and of the command line share: a daemon in memory, served on a real socket.

pub mod fake;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use daybook::control;
use fake::Fake;
use tokio::net::UnixListener;
use tokio::sync::oneshot;

/// A [`Fake`] that is served on a socket of its own until this is dropped.
pub struct Served {
    pub fake: Arc<Fake>,
    pub socket: PathBuf,
    pub folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub fn start() -> Served {
        let folder = tempfile::tempdir().expect("a folder for the socket");
        let socket = folder.path().join("control.sock");
        let fake = Arc::new(Fake::new());
        let (stop, stopped) = oneshot::channel();
        let listener = std::os::unix::net::UnixListener::bind(&socket).expect("the socket is bound");
        listener.set_nonblocking(true).expect("the socket is non-blocking");
        let service = fake.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = UnixListener::from_std(listener).expect("a listener");
                control::serve(listener, service, async { stopped.await.unwrap_or(()) }).await;
            });
        });
        Served { fake, socket, folder, stop: Some(stop), thread: Some(thread) }
    }
}

impl Served {
    /// Asks the server to stop; what happened before is still told.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.fake.close_feed();
        self.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
