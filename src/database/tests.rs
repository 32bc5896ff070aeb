//! Connections on SQLite and to nobody. What servers do is tested with servers, in `tests/`.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

const SECRET: &str = "s3cr3t";

fn database(url: &str) -> Database {
    Database { name: "app".into(), address: Address::Url(url.into()) }
}

fn file(folder: &Path) -> Database {
    let path = folder.join("app.db");
    std::fs::File::options().create(true).append(true).open(&path).unwrap();
    database(&format!("sqlite://{}", path.display()))
}

fn impatient() -> Timeouts {
    let wait = Duration::from_millis(50);
    Timeouts { connect: wait, lock: wait, ..Timeouts::default() }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Urls that fail in as many ways as there are, each with the password somewhere, also where none belongs.
fn bad_urls() -> Vec<(String, Cause)> {
    let mut urls = vec![
        (SECRET.to_owned(), Cause::Refused),
        (format!("{SECRET}://x"), Cause::Refused),
        (format!("oracle://me:{SECRET}@host/app"), Cause::Refused),
        ("sqlite:///nowhere/app.db?mode=s3cr3t".into(), Cause::Refused),
        ("sqlite:///nowhere/app.db?password=s3cr3t".into(), Cause::Refused),
    ];
    for scheme in ["postgres", "mysql"] {
        let at = |rest: &str| format!("{scheme}://me:{rest}");
        urls.extend([
            (at(&format!("{SECRET}@127.0.0.1:1/app")), Cause::Lost),
            (at(&format!("{SECRET}@no-such-host.invalid/app")), Cause::Lost),
            (at(&format!("{SECRET}@127.0.0.1:99999/app")), Cause::Refused),
            (at(&format!("x?{SECRET}@127.0.0.1:1/app")), Cause::Refused),
            (at(&format!("{SECRET}#y@127.0.0.1:1/app")), Cause::Refused),
            (at(&format!("{SECRET}/y@127.0.0.1:1/app")), Cause::Refused),
            (at(&format!("%ff{SECRET}@127.0.0.1:1/app")), Cause::Refused),
            (at(&format!("x@127.0.0.1:1/app?pasword={SECRET}")), Cause::Refused),
            (at(&format!("x@127.0.0.1:1/app?sslmode={SECRET}")), Cause::Refused),
            (at(&format!("x@127.0.0.1:1/app?ssl-mode={SECRET}")), Cause::Refused),
        ]);
    }
    urls
}

#[tokio::test]
async fn no_password_is_in_an_error_or_the_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer({
        let log = log.clone();
        move || log.clone()
    });
    let guard = tracing::subscriber::set_default(subscriber.finish());
    let timeouts = Timeouts { connect: Duration::from_secs(20), ..Timeouts::default() };
    for (url, cause) in bad_urls() {
        let database = database(&url);
        let error = database.connect(&timeouts).await.err().unwrap_or_else(|| panic!("{url} connects"));
        assert_eq!(error.cause(), cause, "{url}: {error}");
        let shown = format!("{error} {error:?} {database:?}");
        assert!(!shown.contains(SECRET), "{url}: {shown}");
        assert!(shown.contains("`app`"), "{url}: {shown}");
    }
    tracing::warn!("the end");
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the end") && !log.contains(SECRET), "{log}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for scheme in ["postgres", "mysql"] {
        let database = database(&format!("{scheme}://me:x@127.0.0.1:{port}/app"));
        let error = database.connect(&impatient()).await.err().unwrap();
        assert_eq!(error.to_string(), "connect to database `app`: no answer within 50ms");
        assert!(error.is_retryable());
    }
}

#[tokio::test]
async fn a_file_is_never_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let error = database(&format!("sqlite://{}", path.display())).connect(&impatient()).await.err().unwrap();
    assert!(error.to_string().contains("No such file or directory"), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn values_go_in_and_come_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = file(folder.path()).connect(&impatient()).await.unwrap();
    assert_eq!((connection.kind(), connection.database()), (Kind::Sqlite, "app"));
    connection.command("make a table", "CREATE TABLE t (a, b, c, d, e); CREATE TABLE u (a)").await.unwrap();
    let values = vec![
        Value::Integer(-3),
        Value::Real(0.5),
        Value::Text("a 'text'".into()),
        Value::Bytes(vec![0, 255]),
        Value::Null,
    ];
    let done = connection.execute("insert", "INSERT INTO t VALUES (?, ?, ?, ?, ?), ($1, $2, $3, $4, $5)", &values);
    assert_eq!(done.await.unwrap(), 2);
    assert_eq!(connection.rows("read", "SELECT * FROM t", &[]).await.unwrap(), [values.clone(), values]);
    let error = connection.rows("read all", "SELECT * FROM absent", &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "read all in database `app`: no such table: absent");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_dropped_connection_rolls_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::new(file(folder.path()), impatient());
    session.connection().await.unwrap().command("make a table", "CREATE TABLE t (a)").await.unwrap();
    for (keep, rows) in [(false, 0), (true, 1)] {
        let connection = session.connection().await.unwrap();
        connection.begin().await.unwrap();
        connection.execute("insert", "INSERT INTO t VALUES (1)", &[]).await.unwrap();
        if keep {
            connection.commit().await.unwrap();
        }
        let over = Error::Statement {
            database: "app".into(),
            doing: "stop".into(),
            problem: "enough".into(),
            cause: Cause::Refused,
        };
        assert_eq!(
            session.failed(&Retry::default(), &mut 0, over).unwrap_err().to_string(),
            "stop in database `app`: enough"
        );
        let found = session.connection().await.unwrap().rows("read", "SELECT a FROM t", &[]).await.unwrap();
        assert_eq!(found.len(), rows);
    }
    session.close().await;
}

async fn insert(session: &mut Session) -> Result<(), Error> {
    let connection = session.connection().await?;
    connection.begin().await?;
    connection.execute("insert", "INSERT INTO t VALUES (1)", &[]).await?;
    connection.commit().await
}

#[tokio::test]
async fn what_was_locked_may_be_tried_again_but_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    // Of the lock it is impatient; to connect may take its time on a busy machine.
    let timeouts = Timeouts { connect: Duration::from_secs(30), ..impatient() };
    let mut other = file(folder.path()).connect(&timeouts).await.unwrap();
    other.command("make a table", "CREATE TABLE t (a)").await.unwrap();
    other.begin().await.unwrap();
    let mut session = Session::new(file(folder.path()), timeouts);
    let retry = Retry { tries: 3, first: Duration::from_millis(1), longest: Duration::from_millis(2) };
    let (mut failed, mut waits) = (0, Vec::new());
    let error = loop {
        let error = insert(&mut session).await.unwrap_err();
        assert_eq!(error.cause(), Cause::Locked);
        match session.failed(&retry, &mut failed, error) {
            Ok(wait) => waits.push(wait.as_millis()),
            Err(error) => break error,
        }
    };
    let text = error.to_string();
    assert_eq!(text, "begin a transaction in database `app`: database is locked (tried 3 times)");
    assert_eq!(waits, [1, 2]);
    other.rollback().await.unwrap();
    insert(&mut session).await.unwrap();
    let rows = session.connection().await.unwrap().rows("read", "SELECT a FROM t", &[]).await.unwrap();
    assert_eq!(rows, [[Value::Integer(1)]]);
}

#[test]
fn waits_grow_up_to_the_longest() {
    let retry = Retry::default();
    let waits: Vec<u128> = (1..).map_while(|failed| retry.wait(failed)).map(|wait| wait.as_millis()).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
}
