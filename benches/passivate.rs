//! `passivate-users` on 1,000,000 users, of whom six of ten are gone, while somebody else updates rows of the same
//! table fifty times a second: against one UPDATE of them all, and against loading every row and updating one by one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use daybook::core::id::JobId;
use daybook::core::time::Timestamp;
use daybook::database::{Address, Connection, Database, Kind, Timeouts, Value};
use daybook::workers::{Cancelled, Context, PassivateUsers};
use tokio::sync::watch;

use crate::servers::{self, Server};
use crate::support::table::{Row, head, milliseconds, note};
use crate::support::{process, quantile};

const USERS: u32 = 1_000_000;
/// 2026-11-21T09:00:00Z.
const NOW: Timestamp = Timestamp(1_795_251_600_000);
const GONE: &str = "is_active = true AND (last_login_at < '2026-10-22 09:00:00' OR (last_login_at IS NULL AND created_at < '2026-10-22 09:00:00'))";
/// How often the other connection writes.
const EVERY: Duration = Duration::from_millis(20);
/// How long the naive way is watched before it is extrapolated.
const NAIVE: Duration = Duration::from_secs(10);

pub fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    for server in servers::all() {
        head(&format!("1,000,000 users, 600,000 of them gone, {:?} without fsync", server.kind));
        runtime.block_on(part(server));
    }
}

async fn part(server: &'static Server) {
    let site = Site::new(server);
    site.make().await;
    let alone = site.beside(tokio::time::sleep(NAIVE / 2)).await.1;
    alone.print("another connection, alone", None);

    let ((), one) = site.beside(site.one_statement()).await;
    note("one UPDATE", seconds(one.took));
    one.print("  the other connection", Some(&alone));

    for (name, pause) in [("the worker, without pauses", 0), ("the worker, as it comes (pause 50 ms)", 50)] {
        site.make().await;
        let pause = Duration::from_millis(pause);
        let before = process::pss_anonymous(std::process::id());
        let (result, worker) = site.beside(site.work(pause)).await;
        let ratio = Some((worker.took.as_secs_f64() / one.took.as_secs_f64(), "of one UPDATE".into()));
        Row { name, measured: seconds(worker.took), target: "", ratio }.print();
        let grown = process::pss_anonymous(std::process::id()).saturating_sub(before);
        note("  memory", format!("{:.1} MB", grown as f64 / 1e6));
        worker.print("  the other connection", Some(&alone));
        assert_eq!(result["passivated"].as_u64().unwrap() + result["locked"].as_u64().unwrap(), 600_000, "{result}");
    }
    let since = Instant::now();
    let result = site.work(Duration::ZERO).await;
    note("the worker again, with nothing to do", milliseconds(since.elapsed().as_secs_f64()));
    assert_eq!(result["checked"], 0, "{result}");

    site.make().await;
    let (loaded, naive) = site.beside(site.naive()).await;
    note("all rows loaded, then one by one (extrapolated)", seconds(loaded.whole));
    note("  memory for the rows", format!("{} MB", loaded.bytes / 1_000_000));
    naive.print("  the other connection", Some(&alone));
}

/// What another connection saw meanwhile.
struct Beside {
    took: Duration,
    waits: Vec<f64>,
}

impl Beside {
    fn print(&self, name: &str, alone: Option<&Beside>) {
        let (p99, longest) = (quantile(self.waits.clone(), 0.99), quantile(self.waits.clone(), 1.0));
        let ratio = alone.map(|alone| {
            let other = (quantile(alone.waits.clone(), 0.99), quantile(alone.waits.clone(), 1.0));
            (p99 / other.0, format!("of alone; the longest {:.1}", longest / other.1))
        });
        let measured = format!("{:.1} / {:.0} ms", p99 * 1e3, longest * 1e3);
        Row { name: &format!("{name}, p99 / longest"), measured, target: "", ratio }.print();
    }
}

struct Loaded {
    whole: Duration,
    bytes: u64,
}

struct Site {
    server: &'static Server,
    made: servers::Database,
    database: Database,
}

impl Site {
    fn new(server: &'static Server) -> Site {
        let made = server.database();
        let database = Database { name: "app".into(), address: Address::Url(made.url.clone()) };
        Site { server, made, database }
    }

    async fn connect(&self) -> Connection {
        let minutes = Duration::from_secs(1200);
        let timeouts = Timeouts { connect: minutes, statement: minutes, lock: minutes };
        self.database.connect(&timeouts).await.expect("the server answers")
    }

    /// The table anew.
    async fn make(&self) {
        let (moment, numbers, index) = match self.server.kind {
            servers::Kind::Postgres => (
                "timestamptz",
                format!("(SELECT generate_series(1, {USERS}) AS n) AS numbers"),
                "users (last_login_at, created_at) WHERE is_active",
            ),
            servers::Kind::Mariadb => (
                "datetime",
                format!("(SELECT seq AS n FROM seq_1_to_{USERS}) AS numbers"),
                "users (is_active, last_login_at, created_at)",
            ),
        };
        let table = format!(
            "CREATE TABLE users (id int PRIMARY KEY, tenant_id int, name varchar(80), email varchar(80),
             is_active boolean NOT NULL DEFAULT true, last_login_at {moment} NULL, created_at {moment} NOT NULL,
             logins int NOT NULL DEFAULT 0)"
        );
        let fill = format!(
            "INSERT INTO users SELECT n, n % 7, concat('user number ', n), concat('user.', n, '@example.org'), true,
             CASE WHEN n % 10 = 0 THEN NULL WHEN n % 2 = 1 THEN '2026-10-12 09:00:00' ELSE '2026-11-18 09:00:00' END{},
             '2026-09-22 09:00:00', 0 FROM {numbers}",
            if self.server.kind == servers::Kind::Postgres { "::timestamptz" } else { "" }
        );
        let analyze =
            if self.server.kind == servers::Kind::Postgres { "VACUUM ANALYZE users" } else { "ANALYZE TABLE users" };
        let index = format!("CREATE INDEX users_seen ON {index}");
        let mut connection = self.connect().await;
        for sql in ["DROP TABLE IF EXISTS users", &table, &fill, &index, analyze] {
            connection.command("make the table", sql).await.expect("it is made");
        }
    }

    /// Does something while another connection writes.
    async fn beside<T>(&self, something: impl Future<Output = T>) -> (T, Beside) {
        let connection = self.connect().await;
        let (over, end) = watch::channel(None);
        let writer = tokio::spawn(write(connection, end));
        let since = Instant::now();
        let done = something.await;
        let took = since.elapsed();
        over.send_replace(Some(Instant::now()));
        (done, Beside { took, waits: writer.await.expect("the other connection") })
    }

    async fn one_statement(&self) {
        let mut connection = self.connect().await;
        let sql = format!("UPDATE users SET is_active = false WHERE {GONE}");
        let done = connection.execute("update", &sql, &[]).await.expect("it is done");
        assert_eq!(done, 600_000);
    }

    /// What one would write without a thought: all rows into memory, a loop, an UPDATE for each.
    async fn naive(&self) -> Loaded {
        let mut connection = self.connect().await;
        let before = process::pss_anonymous(std::process::id());
        let since = Instant::now();
        let text = if self.server.kind == servers::Kind::Postgres { "text" } else { "char" };
        let sql = format!(
            "SELECT id, tenant_id, name, email, is_active, CAST(last_login_at AS {text}), CAST(created_at AS {text}), logins FROM users"
        );
        let rows = connection.rows("load", &sql, &[]).await.expect("all rows");
        let bytes = process::pss_anonymous(std::process::id()).saturating_sub(before);
        let loading = since.elapsed();
        let gone = |row: &Vec<Value>| match (&row[5], &row[6]) {
            (Value::Text(seen), _) | (Value::Null, Value::Text(seen)) => seen.as_str() < "2026-10-22 09:00:00",
            _ => false,
        };
        let gone: Vec<&Value> = rows.iter().filter(|row| gone(row)).map(|row| &row[0]).collect();
        assert_eq!(gone.len(), 600_000);
        let parameter = if self.server.kind == servers::Kind::Postgres { "CAST($1 AS int)" } else { "?" };
        let sql = format!("UPDATE users SET is_active = false WHERE id = {parameter}");
        let (since, mut done) = (Instant::now(), 0u32);
        for id in &gone {
            connection.execute("update", &sql, &[(*id).clone()]).await.expect("it is done");
            done += 1;
            if since.elapsed() > NAIVE {
                break;
            }
        }
        Loaded { whole: loading + since.elapsed().mul_f64(gone.len() as f64 / f64::from(done)), bytes }
    }

    async fn work(&self, pause: Duration) -> serde_json::Value {
        let settings = PassivateUsers { database: "app".into(), pause, ..PassivateUsers::default() };
        let worker = settings.worker(self.database.clone()).expect("right settings");
        let (_cancel, cancelled) = watch::channel(false);
        let context = Context {
            job: JobId(1),
            attempt: 1,
            args: serde_json::Value::Null,
            now: NOW,
            timeout: None,
            state_dir: std::path::PathBuf::new(),
            progress: Arc::new(|_, _, _| {}),
            log: Arc::new(|_| {}),
            cancelled: Cancelled::new(cancelled),
        };
        worker.run(context).await.unwrap_or_else(|error| panic!("{}: {error}", self.made.name))
    }
}

/// Counts a login of somebody at random at fixed instants, all those before the end. What a statement took is counted from
/// its instant on, as whoever waits does: a long wait delays those behind it too.
async fn write(mut connection: Connection, end: watch::Receiver<Option<Instant>>) -> Vec<f64> {
    let parameter = if connection.kind() == Kind::Postgres { "CAST($1 AS int)" } else { "?" };
    let sql = format!("UPDATE users SET logins = logins + 1 WHERE id = {parameter}");
    let (mut waits, mut due, mut id) = (Vec::new(), Instant::now(), 1i64);
    while end.borrow().is_none_or(|end| due < end) {
        tokio::time::sleep_until(due.into()).await;
        id = (id * 1103 + 12_345) % i64::from(USERS) + 1;
        connection.execute("log in", &sql, &[Value::Integer(id)]).await.expect("a login");
        waits.push(due.elapsed().as_secs_f64());
        due += EVERY;
    }
    waits
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
