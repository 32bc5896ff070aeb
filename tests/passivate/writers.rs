//! Others write the same rows while the worker runs: a login wins, and nobody waits for long.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use daybook::database::{Kind, Value};
use daybook::workers::PassivateUsers;

use crate::site::{Site, chunks_of};

const USERS: u32 = 20_000;

/// An application: users log in, one after the other, until it is told to stop.
struct Logins {
    seen: BTreeSet<i64>,
    times: Vec<Duration>,
}

impl Logins {
    async fn until(site: &Site, over: &AtomicBool) -> Logins {
        let mut connection = site.connect().await;
        let (mut logins, mut id) = (Logins { seen: BTreeSet::new(), times: Vec::new() }, 1i64);
        let now = site.ago(0);
        let parameter = if site.kind == Kind::Postgres { "CAST($1 AS int)" } else { "?" };
        let sql = format!(
            "UPDATE users SET last_login_at = {now}, logins = logins + 1 WHERE id = {parameter} AND is_active = true"
        );
        while !over.load(Ordering::SeqCst) {
            id = (id * 1103 + 12_345) % i64::from(USERS) + 1;
            let since = Instant::now();
            let changed = connection.execute("log in", &sql, &[Value::Integer(id)]).await.unwrap();
            logins.times.push(since.elapsed());
            if changed > 0 {
                logins.seen.insert(id);
            }
        }
        logins
    }

    fn p99(&mut self) -> Duration {
        self.times.sort();
        self.times[self.times.len() * 99 / 100]
    }
}

/// A login that found its user still active leaves it so.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn logins_during_a_run_win_and_wait_for_nobody() {
    for site in Site::servers() {
        site.users(USERS).await;
        let site = Arc::new(site);
        let over = Arc::new(AtomicBool::new(false));
        let logins = tokio::spawn({
            let (site, over) = (site.clone(), over.clone());
            async move { Logins::until(&site, &over).await }
        });
        let settings = PassivateUsers { pause: Duration::from_millis(2), ..chunks_of(100) };
        let result = site.work(settings).await.ok();
        over.store(true, Ordering::SeqCst);
        let mut logins = logins.await.unwrap();
        let inactive = site.texts("SELECT id FROM users WHERE is_active = false").await;
        let inactive: BTreeSet<i64> = inactive.iter().map(|id| id.parse().unwrap()).collect();
        let gone = |id: &i64| id % 2 == 1 || id % 10 == 0;
        assert!(inactive.iter().all(|id| gone(id) && !logins.seen.contains(id)), "{:?}", site.kind);
        let left = (1..=i64::from(USERS)).filter(|id| gone(id) && !logins.seen.contains(id) && !inactive.contains(id));
        assert_eq!(left.count() as u64, result["locked"].as_u64().unwrap(), "{result}");
        assert_eq!(result["passivated"], inactive.len(), "{result}");
        let during = (logins.times.len(), logins.p99());
        // The same without the worker, for people to read; what it comes to with 1,000,000 users is in benches/README.md.
        let over = AtomicBool::new(false);
        let pause = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            over.store(true, Ordering::SeqCst);
        };
        let (mut alone, ()) = tokio::join!(Logins::until(&site, &over), pause);
        println!(
            "{:?}: {} logins with the worker, p99 {:?}; without, p99 {:?}",
            site.kind,
            during.0,
            during.1,
            alone.p99()
        );
    }
}

/// Rows that somebody else has locked are passed over and tried again; nobody waits for them.
#[tokio::test]
async fn locked_users_are_passed_over() {
    for site in Site::servers() {
        site.users(1000).await;
        let mut other = site.connect().await;
        other.begin().await.unwrap();
        let login = format!("UPDATE users SET last_login_at = {} WHERE id IN (1, 501)", site.ago(0));
        other.execute("log in", &login, &[]).await.unwrap();
        let outcome = site.work(chunks_of(100)).await;
        assert!(outcome.lines.contains("left alone 501: its row was locked by somebody else"), "{}", outcome.lines);
        let result = outcome.ok();
        assert_eq!((result["passivated"].as_u64(), result["locked"].as_u64()), (Some(598), Some(2)), "{result}");
        // The login is taken back, so the next run finds them.
        other.rollback().await.unwrap();
        let result = site.work(chunks_of(100)).await.ok();
        assert_eq!((result["passivated"].as_u64(), result["locked"].as_u64()), (Some(2), Some(0)), "{result}");
        assert!(site.is_done().await);
    }
}

/// Rows of other tables that refer to a user can be written while its chunk is locked, and the worker goes on while others
/// lock rows of users in any order.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn transactions_that_lock_in_any_order_do_not_stop_it() {
    for site in Site::servers() {
        site.users(2000).await;
        let site = Arc::new(site);
        let over = Arc::new(AtomicBool::new(false));
        let other = tokio::spawn({
            let (site, over) = (site.clone(), over.clone());
            async move {
                let mut connection = site.connect().await;
                let mut done = 0;
                while !over.load(Ordering::SeqCst) {
                    connection.begin().await.unwrap();
                    for id in [1999, 7, 1003, 501, 2] {
                        let sql = format!("UPDATE users SET logins = logins + 1 WHERE id = {id}");
                        connection.execute("count", &sql, &[]).await.unwrap();
                    }
                    connection.commit().await.unwrap();
                    done += 1;
                }
                done
            }
        });
        let settings = PassivateUsers { pause: Duration::from_millis(1), ..chunks_of(50) };
        let result = site.work(settings).await.ok();
        over.store(true, Ordering::SeqCst);
        assert!(other.await.unwrap() > 0);
        let left = result["locked"].as_i64().unwrap();
        assert_eq!(site.inactive().await, 1200 - left, "{result}");
    }
}
