//! Connections that break and servers that go away while the worker runs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook::database::{Address, Cause, Database, Kind, Retry, Session, Timeouts};
use daybook::workers::PassivateUsers;

use crate::servers::{self, PASSWORD, Server};
use crate::site::{Site, chunks_of};

/// Ends every connection of the worker to a database.
fn end_connections(site: &Site) {
    let server = site.server.expect("a server");
    let admin = servers::Database { url: server.url("mysql"), name: "mysql".into() };
    match site.kind {
        Kind::Postgres => {
            let admin = servers::Database { url: server.url("postgres"), name: "postgres".into() };
            let sql = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE application_name = 'daybook' AND datname = '{}'",
                site.name
            );
            server.run(&admin, &[&sql]);
        }
        Kind::MySql => {
            let sql = format!("SELECT max(id) FROM information_schema.processlist WHERE db = '{}'", site.name);
            let id = server.number(&admin, &sql);
            server.run(&admin, &[&format!("KILL CONNECTION {id}")]);
        }
        Kind::Sqlite => {}
    }
}

#[tokio::test]
async fn a_lost_connection_is_made_again() {
    for site in Site::servers() {
        site.users(1000).await;
        let site = Arc::new(site);
        let ended = Arc::new(AtomicU32::new(0));
        let settings = PassivateUsers { pause: Duration::from_millis(1), ..chunks_of(10) };
        let progress = {
            let (site, ended) = (site.clone(), ended.clone());
            move |current, _| {
                if current > 0 && current % 150 == 0 {
                    end_connections(&site);
                    ended.fetch_add(1, Ordering::SeqCst);
                }
            }
        };
        let result = site.work_with(settings, progress).await.ok();
        assert!(ended.load(Ordering::SeqCst) >= 3);
        assert_eq!(result["passivated"], 600, "{result}");
        assert!(site.is_done().await, "{:?}", site.kind);
    }
}

/// A server that is restarted in the middle of a run; then one that does not come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_is_waited_for() {
    for kind in [servers::Kind::Postgres, servers::Kind::Mariadb] {
        let Some(server) = Server::own(kind) else { continue };
        let server: &'static Server = Box::leak(Box::new(server));
        let site = Arc::new(Site::on(server));
        site.users(300).await;
        let stopped = Arc::new(Mutex::new(false));
        let progress = move |current, _| {
            let mut stopped = stopped.lock().unwrap();
            if current >= 50 && !*stopped {
                *stopped = true;
                server.stop();
                std::thread::spawn(|| server.start());
            }
        };
        let result = site.work_with(chunks_of(10), progress).await.ok();
        assert_eq!(result["passivated"], 180, "{result}");
        assert!(site.is_done().await, "{kind:?}");

        server.stop();
        let retry = Retry { tries: 2, first: Duration::from_millis(1), longest: Duration::from_millis(1) };
        let mut session = Session::new(site.database.clone(), Timeouts::default());
        let mut failed = 0;
        let error = loop {
            let error = session.connection().await.err().expect("nobody listens");
            match session.failed(&retry, &mut failed, error) {
                Ok(wait) => tokio::time::sleep(wait).await,
                Err(error) => break error,
            }
        };
        assert!(error.is_retryable());
        let text = error.to_string();
        assert!(text.starts_with("connect to database `app`: Connection refused"), "{text}");
        assert!(text.ends_with("(tried 2 times)") && !text.contains(PASSWORD), "{text}");
    }
}

#[tokio::test]
async fn time_outs_are_set_and_their_causes_told_apart() {
    let seconds = Duration::from_secs;
    let timeouts = Timeouts { connect: seconds(20), statement: seconds(1), lock: seconds(1) };
    for site in Site::servers() {
        site.users(10).await;
        let mut one = site.database.connect(&timeouts).await.unwrap();
        let sleep = if site.kind == Kind::Postgres { "SELECT 1 FROM pg_sleep(20)" } else { "SELECT sleep(20)" };
        let slow = one.rows("sleep", sleep, &[]).await.unwrap_err();
        assert_eq!(slow.cause(), Cause::Slow, "{slow}");

        let mut holder = site.connect().await;
        holder.begin().await.unwrap();
        holder.execute("lock", "UPDATE users SET logins = 1 WHERE id = 1", &[]).await.unwrap();
        let timeouts = Timeouts { statement: seconds(30), ..timeouts };
        let mut one = site.database.connect(&timeouts).await.unwrap();
        let locked = one.execute("change", "UPDATE users SET logins = 2 WHERE id = 1", &[]).await.unwrap_err();
        assert_eq!(locked.cause(), Cause::Locked, "{locked}");

        // Each waits for a row of the other; whichever is chosen to end is told of a deadlock.
        let mut two = site.connect().await;
        two.begin().await.unwrap();
        two.execute("lock", "UPDATE users SET logins = 1 WHERE id = 2", &[]).await.unwrap();
        let (a, b) = tokio::join!(
            holder.execute("change", "UPDATE users SET logins = 2 WHERE id = 2", &[]),
            two.execute("change", "UPDATE users SET logins = 2 WHERE id = 1", &[])
        );
        let causes: Vec<Cause> = [a, b].into_iter().filter_map(|outcome| Some(outcome.err()?.cause())).collect();
        assert_eq!(causes, [Cause::Deadlock], "{:?}", site.kind);
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_without_it() {
    for site in Site::servers() {
        let server = site.server.expect("a server");
        let url = server.url_of(servers::USER, "wrong-4242", &site.name);
        let database = Database { name: "app".into(), address: Address::Url(url) };
        let error = database.connect(&Timeouts::default()).await.err().expect("refused");
        assert_eq!(error.cause(), Cause::Refused, "{error}");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("wrong-4242") && text.contains("`app`"), "{text}");
    }
}
