//! `passivate-users` on real SQLite files: against a plain model, against other writers, killed.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};

use super::super::context::tests::Recorder;
use super::*;
use crate::core::time::Timestamp;
use crate::database::{Address, Retry, Timeouts};

/// 2026-11-21T09:00:00Z.
const NOW: Timestamp = Timestamp(1_795_251_600_000);
const DAY: i64 = 86_400;

struct Folder {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Folder { path: folder.path().join("app.db"), _folder: folder }
    }

    async fn open(&self) -> SqliteConnection {
        open(&self.path).await
    }

    fn worker(&self, settings: PassivateUsers) -> Arc<dyn Worker> {
        settings.worker(database(&self.path)).unwrap()
    }

    /// The ids of all inactive users.
    async fn inactive(&self) -> Vec<i64> {
        let rows = self.open().await.fetch_all("SELECT id FROM users WHERE is_active = 0 ORDER BY id").await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

fn database(path: &Path) -> Database {
    Database { name: "app".into(), address: Address::Url(format!("sqlite://{}", path.display())) }
}

async fn open(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(20))
        .connect()
        .await
        .unwrap()
}

const TABLE: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, is_active INTEGER, last_login_at, created_at)";

/// A table of users with ids 1 to `users`, of whom every odd one is long gone.
async fn half_gone(folder: &Folder, users: i64) {
    let mut connection = folder.open().await;
    connection.execute(TABLE).await.unwrap();
    let seconds = NOW.0 / 1000;
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {users})
         INSERT INTO users SELECT i, 1, {seconds} - {DAY} * (CASE i % 2 WHEN 1 THEN 40 ELSE 3 END), {seconds} - 90 * {DAY} FROM n"
    );
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}

fn odd(users: i64) -> Vec<i64> {
    (1..=users).filter(|id| id % 2 == 1).collect()
}

fn chunks_of(chunk: u32) -> PassivateUsers {
    PassivateUsers { chunk, pause: Duration::ZERO, ..PassivateUsers::default() }
}

/// A moment as an application may write it, and what it means in seconds.
fn moment() -> impl Strategy<Value = (String, Option<i64>)> {
    let at = |days: i64, rest: i64| NOW.0 / 1000 - days * DAY - rest;
    let text = |at: i64, format: &str| chrono::DateTime::from_timestamp(at, 0).unwrap().format(format).to_string();
    prop_oneof![
        3 => Just(("NULL".to_owned(), None)),
        3 => (0..60i64, 0..DAY).prop_map(move |(d, r)| (at(d, r).to_string(), Some(at(d, r)))),
        1 => (0..60i64, 0..DAY).prop_map(move |(d, r)| (format!("'{}'", at(d, r)), Some(i64::MIN))),
        1 => (0..60i64, 0..DAY).prop_map(move |(d, r)| (format!("{}.5", at(d, r)), Some(at(d, r)))),
        1 => (0..60i64, 0..DAY).prop_map(move |(d, r)| (format!("{}123", at(d, r)), Some(at(d, r)))),
        3 => (0..60i64, 0..DAY).prop_map(move |(d, r)| (format!("'{}'", text(at(d, r), "%F %T")), Some(at(d, r)))),
        1 => (0..60i64, 0..DAY).prop_map(move |(d, r)| (format!("'{}'", text(at(d, r), "%FT%TZ")), Some(at(d, r)))),
        1 => (0..60i64, 0..DAY).prop_map(move |(d, r)| (
            format!("'{}'", text(at(d, r) + 5400, "%FT%T.250+01:30")),
            Some(at(d, r))
        )),
        1 => (0..60i64).prop_map(move |d| (format!("'{}'", text(at(d, 0), "%F")), Some(at(d, 0).div_euclid(DAY) * DAY))),
        2 => prop::sample::select(vec![
            "0", "-1", "''", "'never'", "'now'", "'2451545'", "2451545.5", "x'00'", "253402300799", "99999999999999999",
            "'0000-00-00 00:00:00'", "'0001-01-01T00:00:00Z'", "'1970-01-01'", "86400", "'20260102'", "'2026-13-01'", "'2026-01-01 nonsense'", "'12:00'",
        ]).prop_map(|text| (text.to_owned(), Some(i64::MIN))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is in the table, exactly those the model names become inactive, and nobody else changes.
    #[test]
    fn the_right_users_are_passivated(
        users in prop::collection::vec((prop::option::of(0..3i64), moment(), moment()), 0..200),
        chunk in 1..40u32,
        indexed in any::<bool>(),
    ) {
        let cutoff = NOW.0 / 1000 - 30 * DAY;
        let (mut gone, mut unreadable, mut sql) = (Vec::new(), 0, String::new());
        for (id, (active, login, created)) in users.iter().enumerate() {
            let seen = login.1.or(created.1).filter(|at| *at != i64::MIN);
            match (active, seen) {
                (Some(1), None) => unreadable += 1,
                (Some(1), Some(seen)) if seen < cutoff => gone.push(id as i64),
                _ => {}
            }
            let active = active.map_or("NULL".to_owned(), |active| active.to_string());
            sql += &format!("INSERT INTO users VALUES ({id}, {active}, {}, {});", login.0, created.0);
        }
        let already = |id: &i64| users[*id as usize].0 == Some(0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = Folder::new();
            let mut connection = folder.open().await;
            connection.execute(TABLE).await.unwrap();
            connection.execute(AssertSqlSafe(format!("BEGIN; {sql} COMMIT"))).await.unwrap();
            if indexed {
                connection.execute("CREATE INDEX seen ON users (is_active, last_login_at, created_at)").await.unwrap();
            }
            let recorder = Recorder::new();
            let result = folder.worker(chunks_of(chunk)).run(recorder.context(NOW)).await.unwrap();
            let inactive: Vec<i64> = folder.inactive().await.into_iter().filter(|id| !already(id)).collect();
            assert_eq!(inactive, gone, "{result}");
            let few = indexed && gone.len() <= 64;
            assert_eq!(result["checked"], if few { gone.len() } else { users.len() });
            assert_eq!(result["passivated"], gone.len());
            assert_eq!(result["unreadable"], if few { json!(null) } else { json!(unreadable) });
            assert_eq!(recorder.lines.lock().unwrap().len(), gone.len() + 1);
        });
    }
}

#[tokio::test]
async fn lines_progress_and_result_tell_what_was_done() {
    let folder = Folder::new();
    half_gone(&folder, 300).await;
    let recorder = Recorder::new();
    let result = folder.worker(chunks_of(10)).run(recorder.context(NOW)).await.unwrap();
    assert_eq!(folder.inactive().await, odd(300));
    // Pages of 64 rows hold 32 candidates each, and a chunk does not reach over the end of a page.
    let chunks = 4 * 4 + 3;
    assert_eq!(
        result,
        json!({"checked": 300, "candidates": 150, "passivated": 150, "seen_meanwhile": 0, "locked": 0, "unreadable": 0, "without_key": 0,
               "chunks": chunks, "dry_run": false})
    );
    let text = recorder.text();
    assert!(text.contains("passivated 1, last seen 2026-10-12T09:00:00.000Z\n"), "{text}");
    assert!(text.ends_with("passivated 150 users of 300 looked at, 0 unreadable"), "{text}");
    let progress = recorder.progress.lock().unwrap();
    assert_eq!(progress.last(), Some(&(150, 150)));
    assert!(progress.contains(&(0, 150)) && progress.contains(&(10, 150)));
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let folder = Folder::new();
    half_gone(&folder, 20).await;
    let recorder = Recorder::new();
    let context = Context { args: json!({"dry_run": true}), ..recorder.context(NOW) };
    let result = folder.worker(chunks_of(3)).run(context).await.unwrap();
    assert_eq!(
        (&result["candidates"], &result["passivated"], &result["dry_run"]),
        (&json!(10), &json!(0), &json!(true))
    );
    assert!(folder.inactive().await.is_empty());
    assert!(recorder.text().contains("would passivate 19, last seen"));
}

#[tokio::test]
async fn text_and_blob_keys_other_columns_and_where() {
    for (kind, key) in
        [("TEXT COLLATE NOCASE", "printf('Us\"er-%04d', i)"), ("BLOB", "randomblob(16)"), ("BIGINT", "-i")]
    {
        let folder = Folder::new();
        let mut connection = folder.open().await;
        let sql = format!(
            "CREATE TABLE \"the \"\"people\" (\"the key\" {kind} PRIMARY KEY, status TEXT, seen TEXT, \"select\" TEXT, tenant INT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
             INSERT INTO \"the \"\"people\" SELECT {key}, 'on', NULL, '2020-01-01 00:00:00', i % 4 FROM n"
        );
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
        let settings = PassivateUsers {
            table: "the \"people".into(),
            columns: Columns {
                id: "the key".into(),
                active: "Status".into(),
                last_login: "seen".into(),
                created: "select".into(),
                tenant: Some("tenant".into()),
            },
            active: "'on' -- and nothing else".into(),
            set: [("Status".to_owned(), "'off' -- also here".to_owned())].into(),
            condition: Some("tenant = 1 OR tenant = 2 -- the two that asked for it".into()),
            ..chunks_of(7)
        };
        let recorder = Recorder::new();
        let result = folder.worker(settings).run(recorder.context(NOW)).await.unwrap();
        assert_eq!(result["passivated"], 250, "{kind}");
        assert_eq!(result["tenants"], json!({"1": 125, "2": 125}), "{kind}");
        let sql = "SELECT count(*) FROM \"the \"\"people\" WHERE (status = 'off') = (tenant IN (1, 2))";
        assert_eq!(connection.fetch_one(sql).await.unwrap().get::<i64, _>(0), 500, "{kind}");
        assert!(!recorder.text().contains("no index"), "{kind}");
    }
}

#[tokio::test]
async fn a_key_without_index_or_twice_is_slow_but_right() {
    let folder = Folder::new();
    half_gone(&folder, 200).await;
    let sql = "CREATE TABLE copy AS SELECT id / 10 AS id, is_active, last_login_at, created_at FROM users; DROP TABLE users; ALTER TABLE copy RENAME TO users";
    folder.open().await.execute(sql).await.unwrap();
    let recorder = Recorder::new();
    folder.worker(chunks_of(3)).run(recorder.context(NOW)).await.unwrap();
    assert_eq!(folder.inactive().await.len(), 100);
    assert!(recorder.text().contains("column `id` of table `users` has no index"));
}

/// In SQLite, a PRIMARY KEY that is no INTEGER may be NULL, again and again.
#[tokio::test]
async fn users_whose_key_is_null_are_left_alone_and_told_of() {
    for index in ["", "CREATE INDEX seen ON users (is_active, last_login_at, created_at)"] {
        let folder = Folder::new();
        let mut connection = folder.open().await;
        let table = "CREATE TABLE users (id TEXT PRIMARY KEY, is_active INTEGER, last_login_at, created_at);
                     INSERT INTO users VALUES ('a', 1, 1e9, 0), (NULL, 1, 1e9, 0), (NULL, 1, NULL, 1e9), (NULL, 0, 1e9, 0), ('b', 1, 1e9, 0);";
        connection.execute(AssertSqlSafe(format!("{table} {index}"))).await.unwrap();
        connection.close().await.unwrap();
        let recorder = Recorder::new();
        let result = folder.worker(chunks_of(3)).run(recorder.context(NOW)).await.unwrap();
        assert_eq!((&result["passivated"], &result["without_key"]), (&json!(2), &json!(2)), "{index}: {result}");
        let said = recorder.text();
        let expected = "left alone 2 users whose key, column `id` of table `users`, is NULL: nothing tells them apart";
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn what_is_missing_is_named_and_nothing_is_created() {
    let folder = Folder::new();
    let run = async |settings: PassivateUsers| {
        let context = Recorder::new().context(NOW);
        folder.worker(settings).run(context).await.unwrap_err().to_string()
    };
    let settings = || PassivateUsers { database: "app".into(), ..PassivateUsers::default() };
    let text = run(settings()).await;
    assert!(text.contains("No such file or directory (os error 2); correct its url"), "{text}");
    assert!(!folder.path.exists());

    half_gone(&folder, 5).await;
    let text = run(PassivateUsers { table: "user".into(), ..settings() }).await;
    assert_eq!(text, "find table `user` in database `app`: it does not exist (nearest: `users`); correct `table`");
    let columns = Columns { last_login: "last_login".into(), ..Columns::default() };
    let text = run(PassivateUsers { columns, ..settings() }).await;
    assert!(text.contains("find column `last_login` in table `users`"), "{text}");
    assert!(text.contains("(nearest: `last_login_at`); correct `columns.last_login`"), "{text}");
    let text = run(PassivateUsers { condition: Some("tenant = 1".into()), ..settings() }).await;
    assert!(text.contains("(check `active`, `set` and `where`)") && text.contains("no such column: tenant"), "{text}");
    folder
        .open()
        .await
        .execute("ALTER TABLE users RENAME COLUMN id TO key; ALTER TABLE users ADD id; UPDATE users SET id = 1.5")
        .await
        .unwrap();
    assert!(run(settings()).await.contains("it holds a REAL"));
    assert!(folder.inactive().await.is_empty());

    std::fs::write(&folder.path, "this is no database, although it is long enough for one".repeat(100)).unwrap();
    let text = run(settings()).await;
    assert!(text.contains("file is not a database"), "{text}");
}

#[test]
fn settings_are_checked_before_anything_runs() {
    let refused =
        |settings: PassivateUsers| settings.worker(database(Path::new("/x.db"))).err().expect("refused").to_string();
    assert!(refused(PassivateUsers { chunk: 0, ..Default::default() }).contains("`chunk"));
    assert!(refused(PassivateUsers { table: "a\0b".into(), ..Default::default() }).contains("`table"));
    assert!(
        refused(PassivateUsers { inactive_after: Duration::ZERO, ..Default::default() }).contains("more than zero")
    );
    let columns = Columns { active: "status".into(), ..Columns::default() };
    assert!(refused(PassivateUsers { columns, ..Default::default() }).contains("must set the column `active`"));
    assert!(refused(PassivateUsers { active: " ".into(), ..Default::default() }).contains("`active"));
    assert!(refused(PassivateUsers { condition: Some(" ".into()), ..Default::default() }).contains("`where"));
}

/// The other process holds the write lock with a login that it has not committed yet.
#[tokio::test]
async fn who_logs_in_between_reading_and_writing_stays_active() {
    let folder = Folder::new();
    half_gone(&folder, 40).await;
    let mut other = folder.open().await;
    other.execute("BEGIN IMMEDIATE; UPDATE users SET last_login_at = 1795251600 WHERE id IN (1, 7, 39)").await.unwrap();
    let recorder = Recorder::new();
    let mut context = recorder.context(NOW);
    let (chosen, when_chosen) = tokio::sync::oneshot::channel();
    let chosen = Mutex::new(Some(chosen));
    // Candidates are counted from the snapshot before the login; then the write waits for the lock.
    context.progress = Arc::new(move |_, total, _| {
        if total > 0
            && let Some(chosen) = chosen.lock().unwrap().take()
        {
            assert_eq!(total, 20);
            chosen.send(()).unwrap();
        }
    });
    let worker = folder.worker(PassivateUsers::default());
    let run = tokio::spawn(async move { worker.run(context).await });
    when_chosen.await.unwrap();
    other.execute("COMMIT").await.unwrap();
    let result = run.await.unwrap().unwrap();
    let inactive = folder.inactive().await;
    assert_eq!(inactive, odd(40).into_iter().filter(|id| ![1, 7, 39].contains(id)).collect::<Vec<_>>());
    assert_eq!(
        (&result["candidates"], &result["passivated"], &result["seen_meanwhile"]),
        (&json!(20), &json!(17), &json!(3))
    );
}

/// The check stands in the writing statement itself: a chunk chosen earlier does not decide.
#[tokio::test]
async fn a_chunk_is_checked_again_when_it_is_written() {
    let folder = Folder::new();
    half_gone(&folder, 10).await;
    let settings = PassivateUsers::default();
    let cutoff = NOW - settings.inactive_after;
    let cancelled = Recorder::new().context(NOW).cancelled;
    let limits = (Timeouts::default(), Retry::default());
    let mut users = users::Users::open(&settings, &database(&folder.path), limits, cutoff, cancelled).await.unwrap();
    let (span, counts) = users.page(None, 100).await.unwrap();
    assert_eq!((counts.rows, counts.candidates, counts.unreadable), (10, 5, 0));
    let chunk = users.candidates(&span, 100).await.unwrap();
    assert_eq!(chunk.len(), 5);
    let sql = "UPDATE users SET last_login_at = datetime(1795251600, 'unixepoch') WHERE id = 3; DELETE FROM users WHERE id = 5";
    folder.open().await.execute(sql).await.unwrap();
    assert_eq!(users.passivate(&chunk).await.unwrap().len(), 3);
    assert_eq!(users.passivate(&chunk).await.unwrap().len(), 0);
    users.close().await;
    assert_eq!(folder.inactive().await, [1, 7, 9]);
}

/// A login that found its user still active must leave it so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_during_a_run_win() {
    let folder = Folder::new();
    half_gone(&folder, 2000).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut other = folder.open().await;
    let logins = tokio::spawn({
        let over = over.clone();
        async move {
            let (mut seen, mut id) = (BTreeMap::new(), 1i64);
            while !over.load(Ordering::SeqCst) {
                id = (id * 1103 + 12345) % 2000;
                let sql = "UPDATE users SET last_login_at = 1795251600 WHERE id = ? AND is_active = 1 RETURNING id";
                if sqlx::query(sql).bind(id).fetch_optional(&mut other).await.unwrap().is_some() {
                    seen.insert(id, ());
                }
            }
            seen
        }
    });
    let recorder = Recorder::new();
    let worker = folder.worker(PassivateUsers { pause: Duration::from_millis(1), ..chunks_of(7) });
    let result = worker.run(recorder.context(NOW)).await.unwrap();
    over.store(true, Ordering::SeqCst);
    let seen = logins.await.unwrap();
    let inactive = folder.inactive().await;
    assert!(inactive.iter().all(|id| id % 2 == 1 && !seen.contains_key(id)));
    assert!(odd(2000).iter().all(|id| seen.contains_key(id) || inactive.contains(id)));
    assert_eq!(result["passivated"], inactive.len());
}

#[tokio::test]
async fn a_lock_that_is_never_released_ends_the_run_with_a_reason_and_cancelling_ends_it_sooner() {
    let folder = Folder::new();
    half_gone(&folder, 10).await;
    let mut other = folder.open().await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let settings = PassivateUsers { database: "app".into(), ..Default::default() };
    let worker = folder.worker(settings);
    let text = worker.run(Recorder::new().context(NOW)).await.unwrap_err().to_string();
    assert!(text.starts_with("begin a transaction in database `app`: database is locked (tried 20 times)"), "{text}");

    let recorder = Recorder::new();
    let mut context = recorder.context(NOW);
    let cancel = recorder.cancel.clone();
    context.progress = Arc::new(move |_, total, _| {
        if total > 0 {
            cancel.send_replace(true);
        }
    });
    assert!(worker.run(context).await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_cancelled_run_is_completed_by_the_next() {
    let folder = Folder::new();
    half_gone(&folder, 100).await;
    let worker = folder.worker(chunks_of(4));
    let recorder = Recorder::new();
    let mut context = recorder.context(NOW);
    let cancel = recorder.cancel.clone();
    context.progress = Arc::new(move |current, total, _| {
        if total > 0 && current > 0 {
            cancel.send_replace(true);
        }
    });
    let error = worker.run(context).await.unwrap_err();
    assert_eq!(error.to_string(), "finish: cancelled, 4 of 50 users done; the next run goes on from there");
    assert_eq!(folder.inactive().await, [1, 3, 5, 7]);
    let result = worker.run(Recorder::new().context(NOW)).await.unwrap();
    assert_eq!((&result["candidates"], &result["passivated"]), (&json!(46), &json!(46)));
    assert_eq!(folder.inactive().await, odd(100));
}

const KILLED: &str = "DAYBOOK_TEST_PASSIVATE_DATABASE";

/// Not a test of its own: what the next test starts as a process, and kills.
#[tokio::test]
async fn killed_child() {
    let Some(path) = std::env::var_os(KILLED) else { return };
    let mut context = Recorder::new().context(NOW);
    context.progress = Arc::new(|current, total, _| eprintln!("progress {current} {total}"));
    let settings = PassivateUsers { pause: Duration::from_millis(1), ..chunks_of(5) };
    settings.worker(database(Path::new(&path))).unwrap().run(context).await.unwrap();
}

#[tokio::test]
async fn a_run_killed_half_way_is_completed_by_the_next() {
    let folder = Folder::new();
    half_gone(&folder, 4000).await;
    for kill_at in [10usize, 400] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "workers::passivate_users::tests::killed_child", "--nocapture"])
            .env(KILLED, &folder.path)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
        let reached = lines.map_while(Result::ok).any(|line| {
            let mut words = line.split(' ');
            words.next() == Some("progress")
                && words.next().is_some_and(|current| current.parse::<usize>().is_ok_and(|current| current >= kill_at))
                && words.next() != Some("0")
        });
        assert!(reached, "the child ended before it could be killed");
        child.kill().unwrap();
        child.wait().unwrap();
        let done = folder.inactive().await.len();
        // The chunk that was killed is there as a whole or not at all; all those reported are.
        assert!((kill_at..2000).contains(&done), "{done}");
    }
    let result = folder.worker(PassivateUsers::default()).run(Recorder::new().context(NOW)).await.unwrap();
    assert!(result["passivated"].as_u64().unwrap() < 1990);
    assert_eq!(folder.inactive().await, odd(4000));
}
