//! PostgreSQL and MariaDB for tests and benches: installed when missing, started by the program that uses them,
//! and gone with it, however it ends.
//!
//! [`postgres`] and [`mariadb`] give the one server of each kind that this program has; it is started when it is
//! first asked for. Each test takes a [`Database`] of its own from it. A test that stops its server takes one of its
//! own with [`Server::own`]. Where there can be none (it is not installed and we are not root, or its package cannot
//! be had), they answer `None` and say why; with `CI=true` that is a failure.
//!
//! How a server is installed is in `install`, how it is kept and ended in `keeper`, and what is different
//! between the two in `kind`.

mod install;
mod keeper;
mod kind;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use keeper::{Keeper, Port};
pub use kind::Kind;

/// The user in every url. It may do everything on its server.
pub const USER: &str = "daybook";
/// Its password, which is found nowhere else by chance: a test can look for it in what Daybook writes.
pub const PASSWORD: &str = "oyster-catcher-4711";

/// How long a server may take to answer after its start. It is long because a machine may be busy.
const READY_MAX: Duration = Duration::from_secs(60);

/// The PostgreSQL of this program.
pub fn postgres() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| Server::own(Kind::Postgres)).as_ref()
}

/// The MariaDB of this program.
pub fn mariadb() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| Server::own(Kind::Mariadb)).as_ref()
}

/// Every server that this program can have, PostgreSQL first.
pub fn all() -> impl Iterator<Item = &'static Server> {
    [postgres(), mariadb()].into_iter().flatten()
}

/// A database server on a port of its own, with its files in a folder of its own.
pub struct Server {
    pub kind: Kind,
    pub port: u16,
    _port: Port,
    folder: PathBuf,
    keeper: Mutex<Option<Keeper>>,
    databases: AtomicU32,
}

/// A database that is made for one test.
pub struct Database {
    /// As Daybook's config takes it: with user and password.
    pub url: String,
    pub name: String,
}

impl Server {
    /// A server that nobody else uses, running; it ends when it is dropped or the program ends.
    /// `None`, and why, where there can be none; under CI that is a failure.
    pub fn own(kind: Kind) -> Option<Server> {
        match install::programs(kind) {
            Ok(programs) => Some(Server::make(kind, &programs)),
            Err(why) => {
                assert!(
                    std::env::var("CI").as_deref() != Ok("true"),
                    "no {kind:?}, which under CI is a failure: {why}"
                );
                // Not by a macro, which would be captured: a test that passes without having run is to be seen.
                let _: io::Result<()> = writeln!(io::stderr(), "SKIPPED without {kind:?}, nothing is tested: {why}");
                None
            }
        }
    }

    fn make(kind: Kind, programs: &install::Programs) -> Server {
        let folder = keeper::folder();
        kind.prepare(programs, folder.path());
        let folder = folder.keep();
        let port = keeper::free_port();
        let server = Server {
            kind,
            port: port.number,
            _port: port,
            folder,
            keeper: Mutex::default(),
            databases: AtomicU32::new(0),
        };
        server.start();
        server
    }

    /// Ends the server at once, as a crash does; its connections break, and nobody listens on its port.
    pub fn stop(&self) {
        self.keeper().take().expect("the server runs").stop();
    }

    /// Starts the server again, on the same port and with the same data, and waits until it answers.
    pub fn start(&self) {
        let programs = install::programs(self.kind).expect("they were there a moment ago");
        *self.keeper() =
            Some(Keeper::start(&self.kind.command(&programs, &self.folder, self.port), &self.folder, self.kind));
        let since = Instant::now();
        while let Err(error) = self.kind.run(&self.url(self.kind.home()), &["SELECT 1"]) {
            if since.elapsed() > READY_MAX {
                panic!("{:?} does not answer: {error}\n{}", self.kind, keeper::log(&self.folder));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn keeper(&self) -> std::sync::MutexGuard<'_, Option<Keeper>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new, empty database.
    pub fn database(&self) -> Database {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let create = format!("CREATE DATABASE {name}");
        self.kind.run(&self.url(self.kind.home()), &[&create]).expect("a database is made");
        Database { url: self.url(&name), name }
    }

    /// The url of a database by its name.
    pub fn url(&self, database: &str) -> String {
        self.url_of(USER, PASSWORD, database)
    }

    /// The url of a database for somebody else, or for the right user with a wrong password.
    pub fn url_of(&self, user: &str, password: &str, database: &str) -> String {
        format!("{}://{user}:{password}@127.0.0.1:{}/{database}", self.kind.scheme(), self.port)
    }

    /// Runs statements, one after the other, in one of this server's databases. For what a test prepares; may be
    /// called from anywhere, in async code too.
    pub fn run(&self, database: &Database, statements: &[&str]) {
        self.kind.run(&database.url, statements).unwrap_or_else(|error| panic!("{statements:?}: {error}"));
    }

    /// The one whole number that a query answers.
    pub fn number(&self, database: &Database, query: &str) -> i64 {
        self.kind.number(&database.url, query).unwrap_or_else(|error| panic!("{query}: {error}"))
    }
}
