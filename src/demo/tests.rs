//! The demo's data: always the same, made once, and something for both workers to do.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor, Row};
use tokio::sync::watch;

use super::*;
use crate::core::id::JobId;
use crate::workers::{Cancelled, CleanLogs, Context, PassivateUsers};

const NOW: Timestamp = Timestamp(1_795_251_600_000);

fn context(now: Timestamp) -> Context {
    Context {
        job: JobId(1),
        attempt: 1,
        args: serde_json::Value::Null,
        now,
        state_dir: std::path::PathBuf::new(),
        timeout: None,
        progress: Arc::new(|_, _, _| {}),
        log: Arc::new(|_| {}),
        cancelled: Cancelled::new(watch::channel(false).1),
    }
}

/// All users as text.
async fn users(dir: &Path) -> Vec<String> {
    let mut connection = SqliteConnectOptions::new().filename(dir.join(DATABASE)).connect().await.unwrap();
    let sql = "SELECT concat_ws('|', id, name, email, is_active, last_login_at, created_at) FROM users ORDER BY id";
    connection.fetch_all(sql).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn both_workers_find_something_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("new/demo");
    make(&dir, NOW).await.unwrap();
    // The workers run a little later than the data was made.
    let later = NOW + Duration::from_secs(3600);
    let settings = PassivateUsers { database: "app".into(), ..PassivateUsers::default() };
    let url = format!("sqlite://{}", dir.join(DATABASE).display());
    let database = crate::database::Database { name: "app".into(), address: crate::database::Address::Url(url) };
    let worker = settings.worker(database).unwrap();
    let result = worker.run(context(later)).await.unwrap();
    assert_eq!((&result["checked"], &result["unreadable"]), (&5000.into(), &0.into()));
    let passivated = result["passivated"].as_u64().unwrap();
    assert!((1400..1800).contains(&passivated), "{passivated}");

    let paths = vec![format!("{}/**/*.log*", dir.join(LOGS).display())];
    let settings = CleanLogs { paths, older_than: Some(Duration::from_secs(30 * 86_400)), ..CleanLogs::default() };
    let result = settings.worker().unwrap().run(context(later)).await.unwrap();
    let (new, old) = (4 * logs::NEW_FILES, 4 * logs::OLD_FILES);
    assert_eq!((&result["examined"], &result["deleted"]), (&(new + old).into(), &old.into()));
    assert!(dir.join("logs/README.txt").exists());
}

#[tokio::test]
async fn the_data_is_always_the_same_and_a_second_start_changes_nothing() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make(one.path(), NOW).await.unwrap();
    make(two.path(), NOW).await.unwrap();
    let made = users(one.path()).await;
    assert_eq!(made, users(two.path()).await);
    assert!(made.iter().any(|user| user.matches('|').count() == 4), "some never logged in");

    fs::remove_file(one.path().join("logs/web/archive/31-days.log")).unwrap();
    make(one.path(), NOW + Duration::from_secs(86_400)).await.unwrap();
    assert_eq!(made, users(one.path()).await);
    assert!(!one.path().join("logs/web/archive/31-days.log").exists());
}

#[tokio::test]
async fn what_a_killed_start_has_left_is_made_anew_and_a_foreign_file_is_left() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".app.db.unfinished"), "half a database").unwrap();
    fs::create_dir_all(folder.path().join(".logs.unfinished/web")).unwrap();
    make(folder.path(), NOW).await.unwrap();
    assert_eq!(users(folder.path()).await.len(), 5000);
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["app.db", "logs"]);

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(DATABASE), "mine").unwrap();
    make(folder.path(), NOW).await.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join(DATABASE)).unwrap(), "mine");
    let error = make(&folder.path().join(DATABASE), NOW).await.unwrap_err().to_string();
    assert!(error.starts_with("make `"), "{error}");
}
