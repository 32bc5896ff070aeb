//! 1,000 items with their progress kept as it usually is: one document of all that remain, rewritten durably for each
//! item, in sled as our journal uses it and in a table of PostgreSQL.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daybook::database::{Address, Connection, Database, Timeouts, Value};

use super::CONCURRENCY;
use super::handlers::Nothing;
use super::site::{self, Kept, Site};
use crate::servers;
use crate::support::table::{Row, note, rate};
use crate::support::{fresh, median, remove};

const ITEMS: u32 = 1_000;
const ROUNDS: usize = 5;

pub async fn run() {
    let dir = fresh("batch-document");
    let file = site::items(&dir, ITEMS);
    let postgres = match servers::postgres() {
        Some(server) => Some(Table::make(server).await),
        None => None,
    };
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (one, many) = (ours(&dir, &file, 1).await, ours(&dir, &file, CONCURRENCY).await);
        let sled = tokio::task::block_in_place(|| in_sled(&dir));
        let table = match &postgres {
            Some(table) => Some(table.rewrite().await),
            None => None,
        };
        rounds.push(Round { one, many, sled, table });
    }
    let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value));
    Row {
        name: "each item in our journal, one at a time",
        measured: rate(of(&|round| round.one)),
        target: "",
        ratio: Some((of(&|round| round.one / round.sled), "of the document in sled".into())),
    }
    .print();
    Row {
        name: "  64 at a time",
        measured: rate(of(&|round| round.many)),
        target: "",
        ratio: Some((of(&|round| round.many / round.sled), "of the document in sled".into())),
    }
    .print();
    note("  the document in sled", rate(of(&|round| round.sled)));
    match postgres {
        None => println!("  SKIPPED without PostgreSQL: nothing is compared with it"),
        Some(_) => {
            let table = |round: &Round| round.table.unwrap_or(f64::NAN);
            note("  the document in PostgreSQL, with fsync", rate(of(&table)));
            for (name, ours) in
                [("  one at a time", (|it| it.one) as fn(&Round) -> f64), ("  64 at a time", |it| it.many)]
            {
                let ratio = of(&|round| ours(round) / table(round));
                Row { name, measured: String::new(), target: "", ratio: Some((ratio, "of it".into())) }.print();
            }
        }
    }
    remove(&dir);
}

/// Items a second.
struct Round {
    one: f64,
    many: f64,
    sled: f64,
    table: Option<f64>,
}

async fn ours(dir: &Path, file: &Path, concurrency: u32) -> f64 {
    let state = dir.join("state");
    let mut site = Site::start(&state, Kept::Sled).await;
    let attempt = site.begin().await;
    site.take_in(&attempt, file).await;
    let took = site.run(&attempt, Arc::new(Nothing::default()), concurrency).await;
    site.stop().await;
    remove(&state);
    f64::from(ITEMS) / took
}

/// The document after so many items are done.
fn document(done: u32) -> String {
    let remaining: Vec<String> = (done..ITEMS).map(|number| format!("client-{number:06}")).collect();
    let progress = serde_json::json!({ "total": ITEMS, "done": done, "failed": 0, "state": "running" });
    serde_json::json!({ "op": "on", "progress": progress, "remaining": remaining }).to_string()
}

fn in_sled(dir: &Path) -> f64 {
    let path = dir.join("document");
    let config = sled::Config::default().path(&path).mode(sled::Mode::HighThroughput).flush_every_ms(None);
    let db = config.open().expect("it opens");
    let file = File::open(path.join("db")).expect("it is there");
    let write = |done| {
        db.insert("batch", document(done).into_bytes()).expect("the disk takes it");
        db.flush().expect("the disk takes it");
        file.sync_data().expect("the disk takes it");
    };
    write(0);
    let begun = Instant::now();
    (1..=ITEMS).for_each(write);
    let took = begun.elapsed().as_secs_f64();
    drop(db);
    remove(&path);
    f64::from(ITEMS) / took
}

/// A table with one row.
struct Table {
    database: Database,
    _made: servers::Database,
}

impl Table {
    async fn make(server: &'static servers::Server) -> Table {
        let made = server.database();
        let database = Database { name: "app".into(), address: Address::Url(made.url.clone()) };
        let table = Table { database, _made: made };
        let mut connection = table.connect().await;
        // The tests' servers do without, as a test needs speed.
        for sql in [
            "ALTER SYSTEM SET fsync = on",
            "ALTER SYSTEM SET full_page_writes = on",
            "SELECT pg_reload_conf()",
            "CREATE TABLE batch (id int PRIMARY KEY, document text NOT NULL)",
            "INSERT INTO batch VALUES (1, '')",
        ] {
            connection.command("make the table", sql).await.expect("it is made");
        }
        table
    }

    async fn connect(&self) -> Connection {
        let minutes = Duration::from_secs(600);
        let timeouts = Timeouts { connect: minutes, statement: minutes, lock: minutes };
        self.database.connect(&timeouts).await.expect("the server answers")
    }

    async fn rewrite(&self) -> f64 {
        let mut connection = self.connect().await;
        let begun = Instant::now();
        for done in 1..=ITEMS {
            let text = Value::Text(document(done));
            let sql = "UPDATE batch SET document = $1 WHERE id = 1";
            let rows = connection.execute("note progress", sql, &[text]).await.expect("it is noted");
            assert_eq!(rows, 1);
        }
        f64::from(ITEMS) / begun.elapsed().as_secs_f64()
    }
}
