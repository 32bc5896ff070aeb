//! A database of a test's own, of each kind, and what differs between them.

use std::path::PathBuf;
use std::str::FromStr;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row, SqliteConnection};

use crate::daemon::Place;
use crate::servers::{self, Database, Kind, Server};

pub enum Base {
    File { _folder: tempfile::TempDir, path: PathBuf },
    Server { server: &'static Server, database: Database },
}

/// A test for each kind of database, of functions that take a [`Base`].
#[macro_export]
macro_rules! on_each_database {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $test() { super::$test(&$crate::base::Base::file()) })*
        }
        mod postgres {
            $(#[test] fn $test() { $crate::base::Base::of($crate::servers::postgres()).iter().for_each(super::$test) })*
        }
        mod mariadb {
            $(#[test] fn $test() { $crate::base::Base::of($crate::servers::mariadb()).iter().for_each(super::$test) })*
        }
    };
}

impl Base {
    pub fn file() -> Base {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        std::fs::File::create(&path).unwrap();
        Base::File { _folder: folder, path }
    }

    pub fn of(server: Option<&'static Server>) -> Option<Base> {
        server.map(|server| Base::Server { server, database: server.database() })
    }

    pub fn postgres() -> Option<Base> {
        Base::of(servers::postgres())
    }

    pub fn url(&self) -> String {
        match self {
            Base::File { path, .. } => format!("sqlite://{}", path.display()),
            Base::Server { database, .. } => database.url.clone(),
        }
    }

    /// `[databases.app]` and these tasks.
    pub fn config(&self, tasks: &str) -> String {
        format!("[databases.app]\nurl = \"{}\"\n{tasks}", self.url())
    }

    pub fn place(&self, tasks: &str) -> Place {
        Place::new(&self.config(tasks))
    }

    /// The one for this kind of database.
    pub fn choose<T>(&self, sqlite: T, postgres: T, mariadb: T) -> T {
        match self {
            Base::File { .. } => sqlite,
            Base::Server { server, .. } if server.kind == Kind::Postgres => postgres,
            Base::Server { .. } => mariadb,
        }
    }

    pub fn run(&self, statements: &[&str]) {
        match self {
            Base::File { .. } => self.on_file(async |connection| {
                for statement in statements {
                    let statement = AssertSqlSafe((*statement).to_owned());
                    connection.execute(sqlx::raw_sql(statement)).await.unwrap();
                }
            }),
            Base::Server { server, database } => server.run(database, statements),
        }
    }

    pub fn number(&self, query: &str) -> i64 {
        match self {
            Base::File { .. } => self.on_file(async |connection| {
                let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(query.to_owned()))).await.unwrap();
                row.get_unchecked(0)
            }),
            Base::Server { server, database } => server.number(database, query),
        }
    }

    fn on_file<T>(&self, work: impl AsyncFnOnce(&mut SqliteConnection) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = SqliteConnectOptions::from_str(&self.url()).unwrap().connect().await.unwrap();
            work(&mut connection).await
        })
    }

    /// Statements of other connections that run right now. SQLite has no server to ask: whether its file is locked.
    pub fn running(&self) -> i64 {
        match self {
            Base::File { .. } => self.on_file(async |connection| {
                connection.execute("PRAGMA busy_timeout = 0").await.unwrap();
                i64::from(connection.execute("BEGIN IMMEDIATE").await.is_err())
            }),
            Base::Server { database, .. } => self.number(&self.choose(
                String::new(),
                format!(
                    "SELECT count(*) FROM pg_stat_activity \
                     WHERE datname = '{}' AND state = 'active' AND query ~ 'sleep' AND pid <> pg_backend_pid()",
                    database.name
                ),
                format!(
                    "SELECT count(*) FROM information_schema.processlist \
                     WHERE db = '{}' AND info LIKE '%sleep%' AND id <> connection_id()",
                    database.name
                ),
            )),
        }
    }

    /// MariaDB runs a statement to its end before it sees that nobody is there any more, so that this end is made here; the
    /// others see it by themselves.
    pub fn end_orphan(&self) {
        if let Base::Server { server, database } = self
            && server.kind == Kind::Mariadb
        {
            let query = format!(
                "SELECT id FROM information_schema.processlist WHERE db = '{}' AND info LIKE 'update gate%'",
                database.name
            );
            let id = self.number(&query);
            self.run(&[&format!("KILL QUERY {id}")]);
        }
    }

    /// A statement that takes as long as the table `gate` says: no time, or for ever.
    pub fn gated(&self) -> &'static str {
        self.choose(
            "with recursive n(i) as (select 1 union all select i + 1 from n, gate where closed) select count(*) from n",
            "select pg_sleep(1000) from gate where closed",
            "update gate set closed = closed + sleep(1000) where closed",
        )
    }

    /// A counter at 0, and a closed gate.
    pub fn with_gate(&self) {
        let closed = self.choose("true", "true", "1");
        let kind = self.choose("boolean", "boolean", "integer");
        self.run(&[
            "CREATE TABLE counter (n integer)",
            "INSERT INTO counter VALUES (0)",
            &format!("CREATE TABLE gate (closed {kind})"),
            &format!("INSERT INTO gate VALUES ({closed})"),
        ]);
    }

    pub fn open_gate(&self) {
        self.run(&["DELETE FROM gate"]);
    }
}
