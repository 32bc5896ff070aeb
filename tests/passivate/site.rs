//! A database with a table of users on a server, or in an SQLite file, and runs of the worker on it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook::core::id::JobId;
use daybook::core::time::Timestamp;
use daybook::database::{Address, Connection, Database, Kind, Timeouts, Value};
use daybook::workers::{Cancelled, Context, PassivateUsers};

use crate::servers::{self, Server};

/// 2026-11-21T09:00:00Z.
pub const NOW: Timestamp = Timestamp(1_795_251_600_000);

/// A database of its own.
pub struct Site {
    pub kind: Kind,
    pub server: Option<&'static Server>,
    pub database: Database,
    /// Its name on the server.
    pub name: String,
    _folder: Option<tempfile::TempDir>,
}

impl Site {
    /// A new database on each server that there is.
    pub fn servers() -> impl Iterator<Item = Site> {
        servers::all().map(Site::on)
    }

    /// A new database on each server that there is, and in a file.
    pub fn all() -> impl Iterator<Item = Site> {
        Site::servers().chain(std::iter::once_with(Site::sqlite))
    }

    pub fn on(server: &'static Server) -> Site {
        let made = server.database();
        let kind = match server.kind {
            servers::Kind::Postgres => Kind::Postgres,
            servers::Kind::Mariadb => Kind::MySql,
        };
        Site { kind, server: Some(server), database: named(&made.url), name: made.name, _folder: None }
    }

    fn sqlite() -> Site {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        std::fs::write(&path, "").unwrap();
        let database = named(&format!("sqlite://{}", path.display()));
        Site { kind: Kind::Sqlite, server: None, database, name: "main".into(), _folder: Some(folder) }
    }

    pub async fn connect(&self) -> Connection {
        self.database.connect(&Timeouts::default()).await.unwrap()
    }

    /// Runs statements.
    pub async fn run(&self, sql: &str) {
        let mut connection = self.connect().await;
        connection.command("prepare a test", sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
        connection.close().await;
    }

    /// The texts in the first column.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let mut connection = self.connect().await;
        let rows = connection.rows("look", sql, &[]).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
        connection.close().await;
        let text = |row: Vec<Value>| match row.into_iter().next() {
            Some(Value::Text(text)) => text,
            Some(Value::Integer(number)) => number.to_string(),
            other => panic!("{other:?} is no text: {sql}"),
        };
        rows.into_iter().map(text).collect()
    }

    pub async fn number(&self, sql: &str) -> i64 {
        self.texts(sql).await.first().and_then(|text| text.parse().ok()).expect("a number")
    }

    /// The numbers 1 to `last` as `n`, as a table in a statement.
    pub fn numbers(&self, last: u32) -> String {
        match self.kind {
            Kind::Postgres => format!("(SELECT generate_series(1, {last}) AS n) AS numbers"),
            Kind::MySql => format!("(SELECT seq AS n FROM seq_1_to_{last}) AS numbers"),
            Kind::Sqlite => format!(
                "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {last}) SELECT n FROM c) AS numbers"
            ),
        }
    }

    /// So many days before [`NOW`], as an expression.
    pub fn ago(&self, days: i64) -> String {
        let at = chrono::DateTime::from_timestamp_millis(NOW.0).unwrap() - chrono::Duration::days(days);
        let at = at.format("%Y-%m-%d %H:%M:%S");
        if self.kind == Kind::Postgres { format!("'{at}+00'::timestamptz") } else { format!("'{at}'") }
    }

    /// A table of users with ids 1 to `users`. Gone are those with an odd id, by their last login, and those with an id
    /// that ends in 0, who never logged in: six of ten.
    pub async fn users(&self, users: u32) {
        let moment = match self.kind {
            Kind::Postgres => "timestamptz",
            Kind::MySql | Kind::Sqlite => "datetime",
        };
        self.run(&format!(
            "CREATE TABLE users (id int PRIMARY KEY, tenant_id int, is_active boolean NOT NULL DEFAULT true,
             last_login_at {moment} NULL, created_at {moment} NOT NULL, logins int NOT NULL DEFAULT 0)"
        ))
        .await;
        let (gone, here, created) = (self.ago(40), self.ago(3), self.ago(60));
        self.run(&format!(
            "INSERT INTO users (id, tenant_id, last_login_at, created_at)
             SELECT n, n % 7, CASE WHEN n % 10 = 0 THEN NULL WHEN n % 2 = 1 THEN {gone} ELSE {here} END, {created}
             FROM {}",
            self.numbers(users)
        ))
        .await;
    }

    /// Whether exactly the right ones of [`Site::users`] are inactive.
    pub async fn is_done(&self) -> bool {
        let wrong = "SELECT count(*) FROM users WHERE (is_active = true) = (id % 2 = 1 OR id % 10 = 0)";
        self.number(wrong).await == 0
    }

    pub async fn inactive(&self) -> i64 {
        self.number("SELECT count(*) FROM users WHERE is_active = false").await
    }

    /// Runs the worker once.
    pub async fn work(&self, settings: PassivateUsers) -> Outcome {
        self.work_with(settings, |_, _| {}).await
    }

    /// Runs the worker once; `progress` is told how many of how many users are done.
    pub async fn work_with(
        &self,
        settings: PassivateUsers,
        progress: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Outcome {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (_cancel, cancelled) = tokio::sync::watch::channel(false);
        let context = Context {
            job: JobId(7),
            attempt: 1,
            args: serde_json::Value::Null,
            now: NOW,
            state_dir: std::path::PathBuf::new(),
            timeout: None,
            progress: Arc::new(move |current, total, _| {
                if total > 0 {
                    progress(current, total);
                }
            }),
            log: Arc::new({
                let lines = lines.clone();
                move |line: &str| lines.lock().unwrap().push(line.to_owned())
            }),
            cancelled: Cancelled::new(cancelled),
        };
        let worker = PassivateUsers { database: "app".into(), ..settings }.worker(self.database.clone()).unwrap();
        let result = worker.run(context).await.map_err(|error| error.to_string());
        let lines = lines.lock().unwrap().join("\n");
        Outcome { result, lines }
    }
}

fn named(url: &str) -> Database {
    Database { name: "app".into(), address: Address::Url(url.to_owned()) }
}

/// How a run ended, and what it wrote.
pub struct Outcome {
    pub result: Result<serde_json::Value, String>,
    pub lines: String,
}

impl Outcome {
    #[track_caller]
    pub fn ok(self) -> serde_json::Value {
        self.result.unwrap_or_else(|error| panic!("{error}\n{}", self.lines))
    }

    #[track_caller]
    pub fn error(self) -> String {
        self.result.expect_err("it failed")
    }
}

/// The worker without pauses, in chunks of this many users.
pub fn chunks_of(chunk: u32) -> PassivateUsers {
    PassivateUsers { chunk, pause: Duration::ZERO, ..PassivateUsers::default() }
}
